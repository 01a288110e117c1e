import VarveFormat

/// How a restored environment is recovered so that no database is lost whose name changed within the logs.
///
/// Recovery by libdb alone decides by the names that it finds when it begins: what was renamed twice, renamed after
/// it was made, or took the name of another database is removed, with success (`fop_rec.c:600`; proved). So where a
/// name changed, every database that the logs name is given a name that is its uid's alone, in a directory of its
/// own; a copy of the logs calls it by that name throughout and does nothing to names; and after recovery the files
/// get the names that they had where the logs end. The records that are changed keep their places and lengths, and
/// get their bytes back.
///
/// Such recovery reaches nothing outside of its directory: every name in the logs is replaced.
package struct RecoveryByUID: Sendable, Hashable {
    /// A restored file that takes part.
    package struct RestoredFile: Sendable, Hashable {
        /// Beneath the restored home.
        package var path: String
        /// Where it was found at the source, if another file is stored at that path.
        package var place: String?
        /// Nil for a queue's extent and for a placeholder.
        package var fileID: String?

        package init(path: String, place: String? = nil, fileID: String?) {
            (self.path, self.place, self.fileID) = (path, place, fileID)
        }
    }

    package struct Move: Sendable, Hashable {
        /// Beneath the restored home.
        package var from: String
        /// In the directory of the recovery.
        package var work: String
    }

    /// Before recovery.
    package private(set) var moves: [Move] = []
    /// Restored files that are not there where the logs end: removed databases, placeholders.
    package private(set) var dropped: [String] = []
    /// Where a file in the directory of the recovery belongs, beneath the restored home; by its name there.
    private var destinations: [String: String] = [:]
    private var works: [String: String] = [:]
    private var creations: [String: [Creation]] = [:]

    private struct Creation: Sendable, Hashable {
        var begin, end: LSN
        var fileID: String
    }

    /// Nil if recovery by libdb alone loses nothing.
    ///
    /// - Parameters:
    ///   - logged: what all restored logs say.
    ///   - restored: every database, extent and placeholder that was restored.
    ///   - homeOf: the directory beneath the restored home for a data directory that the logs name, "" for the home;
    ///     nil for one that is not known.
    package static func plan(
        _ logged: LoggedFiles, restored: [RestoredFile], homeOf: (String) -> String? = Self.relative
    ) throws(VarveError) -> RecoveryByUID? {
        var plan = RecoveryByUID()
        var isNeeded = logged.databases.contains(where: \.isRenamed)
        var finals: [String: String] = [:]
        for file in restored {
            guard let id = file.fileID else { continue }
            let known = logged.files[id]
            let final = known.map { Self.finalPath($0, found: file.place ?? file.path) }
            finals[id] = final ?? file.place ?? file.path
            if known?.removed == nil, finals[id] != file.path { isNeeded = true }
        }
        guard isNeeded else { return nil }
        plan.nameAll(logged, restored)
        for file in restored { plan.add(file, logged, finals) }
        for change in logged.changes {
            guard case .created(_, let temporary) = change.kind else { continue }
            plan.creations[temporary, default: []].append(
                Creation(begin: change.begin, end: change.lsn, fileID: change.fileID))
            guard finals[change.fileID] == nil, let file = logged.files[change.fileID] else { continue }
            if file.removed != nil { continue }
            // Made after the last look, so recovery makes it.
            guard let directory = homeOf(change.directory), let work = plan.works[change.fileID] else {
                throw VarveError(
                    .unsupported, "\(file.name) was made during the backup in a directory that is not known")
            }
            plan.destinations[work] = Self.join(directory, file.name)
        }
        for destination in plan.destinations.values {
            // A name that a hostile log made up, or a directory that was not restored beneath the home.
            guard relative(destination) != nil, !destination.isEmpty else {
                throw VarveError(
                    .unsupported, "\(destination) lies outside of the restored home, and its name changed",
                    hint: "restore with the directories that the environment had")
            }
        }
        return plan
    }

    /// Takes the data directory as it is, if it lies in the home.
    package static func relative(_ directory: String) -> String? {
        PathShape.isAbsolute(directory) || PathShape.climbs(directory) ? nil : directory
    }

    /// The shortest names to the databases with the shortest names: a name in the log can't grow.
    private mutating func nameAll(_ logged: LoggedFiles, _ restored: [RestoredFile]) {
        let files = logged.files.values.map { ($0.names.map(\.name.utf8.count).min() ?? 0, $0.fileID) }
        for (number, file) in files.sorted(by: <).enumerated() {
            works[file.1] = String(number, radix: 36)
        }
        // Partitions are found by the name of their database.
        var owners: [String: String] = [:]
        for file in restored {
            if let work = file.fileID.flatMap({ works[$0] }) { owners[file.place ?? file.path] = work }
        }
        for file in restored {
            guard let id = file.fileID, works[id] != nil,
                case .partition(let database, let number) = EnvironmentFileKind.classify(
                    Self.last(file.path)),
                let owner = owners[Self.join(Self.directory(file.path), database)]
            else { continue }
            let digits = String(number)
            works[id] =
                "__dbp.\(owner)." + String(repeating: "0", count: max(0, 3 - digits.count)) + digits
        }
    }

    private mutating func add(_ file: RestoredFile, _ logged: LoggedFiles, _ finals: [String: String]) {
        if let id = file.fileID {
            guard let known = logged.files[id], let work = works[id] else {
                if logged.isUnmade(id) { dropped.append(file.path) }
                // The logs don't name it, so recovery has nothing to do with it.
                return
            }
            if known.removed != nil {
                dropped.append(file.path)
            } else {
                moves.append(Move(from: file.path, work: work))
                destinations[work] = finals[id]
            }
            return
        }
        guard case .queueExtent(let queue, let number) = EnvironmentFileKind.classify(Self.last(file.path))
        else {
            dropped.append(file.path)
            return
        }
        let owner = Self.join(Self.directory(file.path), queue)
        guard let id = ownerID(owner, logged, finals), let work = works[id] else { return }
        if logged.files[id]?.removed != nil {
            dropped.append(file.path)
        } else {
            moves.append(Move(from: file.path, work: "__dbq.\(work).\(number)"))
        }
    }

    /// The queue that an extent belongs to, by any name that it had.
    private func ownerID(_ path: String, _ logged: LoggedFiles, _ finals: [String: String]) -> String? {
        if let id = finals.first(where: { $0.value == path })?.key { return id }
        return logged.files.values.first { file in
            guard let final = finals[file.fileID] else { return false }
            let directory = final.dropLast(file.name.utf8.count)
            return file.names.contains { directory + $0.name == path }
        }?.fileID
    }

    /// Where a file that recovery left in its directory belongs; nil for one that is none of its databases.
    package func destination(of name: String) -> String? {
        if let destination = destinations[name] { return destination }
        guard case .queueExtent(let work, let number) = EnvironmentFileKind.classify(name),
            let queue = destinations[work]
        else { return nil }
        return Self.join(Self.directory(queue), "__dbq.\(Self.last(queue)).\(number)")
    }

    /// Every database that takes part, where it is after recovery.
    package var databasePaths: [String] { destinations.values.sorted() }

    /// Where a database found at `found` is where the logs end.
    static func finalPath(_ file: LoggedFiles.DatabaseFile, found: String) -> String {
        let names = file.names.map { normalized($0.name) }
        let final = normalized(file.name)
        let sorted = names.sorted { $0.utf8.count > $1.utf8.count }
        if !PathShape.isAbsolute(final),
            let name = sorted.first(where: { found == $0 || found.hasSuffix("/" + $0) })
        {
            return String(found.dropLast(name.count)) + final
        }
        let place = directory(found)
        if isTemporary(last(found)) {
            // It was being made, renamed or removed, in a directory of one of its names.
            let directories = Set(names.map(directory)).sorted { $0.utf8.count > $1.utf8.count }
            if !PathShape.isAbsolute(final),
                let inner = directories.first(where: {
                    $0.isEmpty || place == $0 || place.hasSuffix("/" + $0)
                })
            {
                let outer = place.dropLast(inner.count).split(separator: "/").joined(separator: "/")
                return join(outer, final)
            }
            return join(place, last(final))
        }
        // Absolute names that stayed in their directory.
        if Set(names.map(directory)).count == 1, names.contains(where: { last($0) == last(found) }) {
            return join(place, last(final))
        }
        return found
    }

    /// libdb's name for a file that a transaction makes, renames or removes: `__db.<txn>.<n>`, and `<txn>.<n>` in a
    /// directory beneath (`__db_backup_name`, `db.c:1403`).
    private static func isTemporary(_ name: String) -> Bool {
        if name.hasPrefix("__db.") { return true }
        let parts = name.utf8.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        guard parts.count == 2, parts[0].count == 8, parts[1].count <= 8 else { return false }
        let isHex = parts.allSatisfy { part in
            !part.isEmpty && part.allSatisfy { (48...57).contains($0) || (97...102).contains($0) }
        }
        // Ids of transactions begin with 2^31.
        return isHex && parts[0].first.map { $0 >= UInt8(ascii: "8") } == true
    }

    private static func normalized(_ name: String) -> String {
        let parts = name.split(separator: "/").filter { $0 != "." }.joined(separator: "/")
        return name.hasPrefix("/") ? "/" + parts : parts
    }

    private static func last(_ path: String) -> String {
        path.split(separator: "/").last.map(String.init) ?? path
    }

    private static func directory(_ path: String) -> String {
        path.split(separator: "/").dropLast().joined(separator: "/")
    }

    private static func join(_ directory: String, _ name: String) -> String {
        directory.isEmpty || directory == "." ? name : directory + "/" + name
    }
}

// MARK: - The logs

extension RecoveryByUID {
    /// The bytes of a record, header and all, as recovery has to read them; nil for one that stays as it is.
    ///
    /// - Precondition: `bytes` are the whole record that `record` was parsed from, of a log that is not encrypted.
    /// - Throws: `.unsupported` for a name that is too short for what it would have to become.
    package func patched(_ record: LogRecord, _ bytes: [UInt8]) throws(VarveError) -> [UInt8]? {
        precondition(bytes.count == Int(record.length))
        var patch = Patch(bytes: bytes, lsn: record.lsn)
        switch record.event {
        case .register(let registration):
            switch registration.operation {
            case .reopenInMemory, .reopenInMemoryExclusive: return nil
            default: if registration.name.isEmpty { return nil }
            }
            // One that no committed transaction made gets a name that nothing has: none may lead out.
            let work = works[registration.fileID] ?? "_"
            // After type, transaction, previous and opcode.
            try patch.setText(work, at: 20)
        case .file(.create(let name, let directory)), .file(.write(let name, let directory)):
            guard let work = creation(name, record.lsn) else {
                try patch.disarm()
                break
            }
            try patch.setText(work, at: 16)
            if !directory.isEmpty { try patch.setText(".", at: try patch.end(ofTextAt: 16)) }
        case .file: try patch.disarm()
        default: return nil
        }
        patch.setChecksum()
        return patch.bytes
    }

    /// The name of the file that is made under a temporary name at that moment; nil for one that will not be there.
    private func creation(_ temporary: String, _ lsn: LSN) -> String? {
        guard let creation = creations[temporary]?.first(where: { $0.begin <= lsn && lsn <= $0.end })
        else { return nil }
        guard let work = works[creation.fileID], destinations[work] != nil else { return nil }
        return work
    }
}

private struct Patch {
    var bytes: [UInt8]
    let lsn: LSN
    /// Of an unencrypted log.
    private static let header = 12
    /// `__db_debug`: recovery does nothing for it (`db_rec.c`).
    private static let debugType: UInt32 = 47

    /// Puts a shorter text in the place of a field of the body; the rest of the field is zeros.
    mutating func setText(_ text: String, at offset: Int) throws(VarveError) {
        let start = Self.header + offset
        let length = try field(start)
        guard text.utf8.count < length else {
            throw VarveError(
                .unsupported, "a name in the log record at \(lsn) is shorter than recovery needs it",
                hint: "recover with db5.3_recover -c; databases that were renamed may be missing then")
        }
        for (index, byte) in (Array(text.utf8) + repeatElement(0, count: length - text.utf8.count))
            .enumerated()
        {
            bytes[start + 4 + index] = byte
        }
    }

    func end(ofTextAt offset: Int) throws(VarveError) -> Int {
        offset + 4 + (try field(Self.header + offset))
    }

    private func field(_ start: Int) throws(VarveError) -> Int {
        guard start + 4 <= bytes.count else { throw tooShort }
        let length = Int(word(start))
        guard length <= bytes.count - start - 4 else { throw tooShort }
        return length
    }

    private var tooShort: VarveError { VarveError(.corrupt, "the log record at \(lsn) ends early") }

    private func word(_ offset: Int) -> UInt32 {
        (0..<4).reduce(0) { $0 | UInt32(bytes[offset + $1]) << (8 * UInt32($1)) }
    }

    private mutating func set(_ word: UInt32, at offset: Int) {
        for index in 0..<4 { bytes[offset + index] = UInt8(truncatingIfNeeded: word >> (8 * UInt32(index))) }
    }

    /// Makes a `__db_debug` of it, of the same transaction: an operation of so many zeros, no file, no key, no data.
    mutating func disarm() throws(VarveError) {
        let body = Self.header + 16
        let rest = bytes.count - body - 20
        guard rest >= 0 else { throw tooShort }
        set(Self.debugType, at: Self.header)
        for index in body..<bytes.count { bytes[index] = 0 }
        set(UInt32(rest), at: body)
        set(.max, at: body + 4 + rest)
    }

    /// Puts the checksum right.
    mutating func setChecksum() {
        let sum = bytes[Self.header...].withUnsafeBytes { checksum($0) }
        set(sum ^ word(0) ^ word(4), at: 8)
    }
}
