import VarveFormat

/// What a file in an environment is, told by its name alone (the last component of its path).
///
/// Only names that libdb makes are special: a database may be called `log.db` or `__dbx`. Whether a file of
/// kind `.other`, `.queueExtent` or `.partition` is a database at all, its first page tells
/// (`DatabaseHeader.probe`).
package enum EnvironmentFileKind: Sendable, Hashable {
    /// Shared memory and bookkeeping of a running environment: never archived, never restored. `__db.` and
    /// three digits or more (`DB_REGION_FMT`, `region.h:122`), `__db.register` and replication's files.
    case region
    /// `log.` and ten digits or more (`LFNAME`, `log.h:96`; `%010d` does not cut a longer number off).
    case log(UInt32)
    /// Extent `number` of the queue whose file is called `queue`: `__dbq.<queue>.<number>` (`QUEUE_EXTENT`,
    /// `qam.h:75`).
    case queueExtent(queue: String, number: UInt32)
    /// Partition `number` of the database called `database`: `__dbp.<database>.<nnn>` (`PART_NAME`,
    /// `partition.h:38`).
    case partition(database: String, number: UInt32)
    /// `DB_CONFIG`.
    case configuration
    case other

    package static func classify(_ name: String) -> EnvironmentFileKind {
        if name == "DB_CONFIG" { return .configuration }
        if let rest = name.dropping("log."), let number = decimal(rest, digits: 10) { return .log(number) }
        if let rest = name.dropping("__dbq."), let (queue, digits) = splitAtLastDot(rest),
            let number = decimal(digits, digits: 1)
        {
            return .queueExtent(queue: queue, number: number)
        }
        if let rest = name.dropping("__dbp."), let (database, digits) = splitAtLastDot(rest),
            let number = decimal(digits, digits: 3)
        {
            return .partition(database: database, number: number)
        }
        if let rest = name.dropping("__db."), isRegion(rest) { return .region }
        return .other
    }

    /// `__db.rep.system` is no such file: replication's own database, of an environment like any other.
    /// Neither is `__db.<txn>.<id>`, a database that a transaction is creating, renaming or removing
    /// (`db.c:1403`).
    private static func isRegion(_ rest: Substring) -> Bool {
        if decimal(rest, digits: 3) != nil { return true }
        // `env_register.c:13`, `rep.h:22`, `mp_mvcc.c:193`.
        let names = ["register", "rep.db", "reppg.db", "rep.gen", "rep.egen", "rep.init"]
        return names.contains { rest == $0 } || rest.hasPrefix("rep.diag") || rest.hasPrefix("freezer.")
    }

    /// The name of log file `number`.
    package static func logName(_ number: UInt32) -> String {
        let digits = String(number)
        return "log." + String(repeating: "0", count: 10 - digits.count) + digits
    }

    /// At least so many digits, padded with zeros to just that many: one spelling for each number.
    private static func decimal(_ text: Substring, digits: Int) -> UInt32? {
        guard text.utf8.count >= digits, text.utf8.allSatisfy({ $0 >= 48 && $0 <= 57 }) else { return nil }
        guard text.utf8.count == digits || text.utf8.first != 48 else { return nil }
        return UInt32(text)
    }

    private static func splitAtLastDot(_ text: Substring) -> (String, Substring)? {
        guard let dot = text.lastIndex(of: "."), dot > text.startIndex else { return nil }
        return (String(text[..<dot]), text[text.index(after: dot)...])
    }
}

extension String {
    fileprivate func dropping(_ prefix: String) -> Substring? {
        hasPrefix(prefix) ? dropFirst(prefix.count) : nil
    }
}
