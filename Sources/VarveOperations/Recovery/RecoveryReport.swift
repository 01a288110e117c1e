import VarveFormat

/// What catastrophic recovery of a restored environment reached, as it was measured afterwards.
package struct RecoveryReport: Sendable, Codable, Hashable {
    package struct Database: Sendable, Codable, Hashable {
        /// Beneath the restored home.
        package var path: String
        /// `db_verify` passed.
        package var isGood: Bool
        /// libdb's words.
        package var messages: [String]
    }

    /// The end of the recovered log; nil if there is none.
    package var endOfLog: LSN?
    /// As the snapshot promises it; true if nothing differs.
    /// Nil for an environment without logs: nothing was to be recovered.
    package var recoverableTo: Timestamp?
    package var databases: [Database]
    /// What is not as it was promised, one sentence each.
    package var differences: [String]
    /// Databases that are rightly gone: the application removed or renamed them while the backup ran.
    package var removed: [String]
    /// Databases that the logs name and that are not there: the backup has missed them, and said so.
    package var missing: [String]
    /// Nothing but the restored files could be reached.
    package var isIsolated: Bool
    /// Where the restored directories lay meanwhile: their places at the source.
    package var places: [String]

    package var isGood: Bool { databases.allSatisfy(\.isGood) && differences.isEmpty }

    /// Lines of libdb that are shown of a bad database, and characters of each.
    private static let messageLimit = (lines: 5, characters: 200)

    /// For people, one fact a line.
    package var lines: [String] {
        let bad = databases.filter { !$0.isGood }
        let verified = "\(databases.count - bad.count) of \(databases.count) database files verified"
        var lines: [String] = []
        if differences.isEmpty, recoverableTo == nil {
            lines.append("there are no logs, so there was nothing to recover; \(verified)")
        } else if differences.isEmpty, let recoverableTo {
            let end = endOfLog.map { "\($0)" } ?? "the end of the log"
            let what =
                missing.isEmpty ? "everything durable" : "of the databases that are there, everything durable"
            lines.append("recovered to \(end), \(what) before \(recoverableTo); \(verified)")
        } else {
            lines.append("recovery ended, and the result is not what the snapshot promises; \(verified)")
            lines += differences.map { "differs: \($0)" }
        }
        if !removed.isEmpty {
            lines.append("removed or renamed while the backup ran: \(Self.list(removed))")
        }
        if !missing.isEmpty {
            lines.append("not there, because the backup has missed them: \(Self.list(missing))")
        }
        for database in bad {
            lines.append("db_verify fails: \(database.path)")
            lines += Self.shortened(database.messages).map { "  \($0)" }
        }
        return lines
    }

    static func shortened(_ messages: [String]) -> [String] {
        let limit = messageLimit
        var lines = messages.prefix(limit.lines).map {
            $0.count > limit.characters ? String($0.prefix(limit.characters)) + "…" : $0
        }
        if messages.count > limit.lines {
            lines.append("… and \(messages.count - limit.lines) more (--json prints them)")
        }
        return lines
    }

    private static func list(_ names: [String]) -> String {
        names.prefix(5).joined(separator: ", ") + (names.count > 5 ? " and \(names.count - 5) more" : "")
    }
}
