import VarveFormat

/// What a `DB_CONFIG` file sets, as far as it concerns where an environment's files are and which logs it
/// keeps.
///
/// Read like libdb does (`__env_read_db_config`, `env_config.c:266`): lines of at most 255 bytes, blanks in
/// front and comments from `#` skipped, names without regard to case. Total: any bytes give a value, what is
/// not understood is kept in `otherLines`. Bytes that are not UTF-8 are replaced and noted as a problem.
package struct DatabaseConfiguration: Sendable, Hashable {
    /// In order: libdb looks for a database in the first one first, then in the home.
    package var dataDirectories: [String] = []
    /// Where new databases go; one of the data directories.
    package var createDirectory: String?
    package var logDirectory: String?
    package var temporaryDirectory: String?
    package var metadataDirectory: String?
    /// As nine letters, `rwxr-x--x`.
    package var intermediateDirectoryMode: String?
    /// Nil unless a line sets or clears it.
    package var logAutoRemove: Bool?
    package var logInMemory: Bool?
    /// Flags of `set_open_flags`, in lower case, that are on: `db_private`, `db_register`.
    package var openFlags: [String] = []
    /// Lines that set something else, as they are, in order.
    package var otherLines: [String] = []
    /// What can't be told exactly: a line too long, not UTF-8, or without a value. Who must know every
    /// absolute name refuses a file with problems. At most `problemLimit`.
    package var problems: [String] = []

    package static let problemLimit = 100
    /// No `DB_CONFIG` is near this size; what is beyond is a problem and not looked at.
    package static let maximumByteCount = 64 << 10
    /// What `fgets` puts into `char buf[256]`: the rest of a longer line is a line of its own to libdb.
    static let maximumLineLength = 255

    package init() {}

    package init(parsing bytes: UnsafeRawBufferPointer) {
        if bytes.count > Self.maximumByteCount {
            note("larger than \(ByteCount(Self.maximumByteCount)), the rest was not read")
        }
        let text = UnsafeRawBufferPointer(rebasing: bytes.prefix(Self.maximumByteCount))
        for (index, line) in text.split(separator: 10, omittingEmptySubsequences: false).enumerated() {
            let place = "line \(index + 1)"
            var rest = line
            if rest.count > Self.maximumLineLength {
                note(
                    "\(place) is longer than the \(Self.maximumLineLength) bytes that libdb takes for a line")
            }
            repeat {
                parse(bytes: rest.prefix(Self.maximumLineLength), place)
                rest = rest.dropFirst(Self.maximumLineLength)
            } while !rest.isEmpty
        }
    }

    private mutating func note(_ problem: String) {
        if problems.count < Self.problemLimit { problems.append(problem) }
    }

    private mutating func parse(bytes: Slice<UnsafeRawBufferPointer>, _ place: String) {
        // A string of C ends at a NUL.
        var line = bytes.prefix { $0 != 0 }
        if line.last == 13 { line = line.dropLast() }
        if String(validating: line, as: UTF8.self) == nil { note("\(place) is not text in UTF-8") }
        parse(String(decoding: line, as: UTF8.self), place)
    }

    /// Absolute directories, which a restored `DB_CONFIG` would make recovery work on.
    package var absoluteNames: [String] { directories.filter(PathShape.isAbsolute) }

    /// Relative directories that lead out of the home.
    package var climbingNames: [String] { directories.filter(PathShape.climbs) }

    /// Every directory that the file names.
    package var directories: [String] {
        var all = dataDirectories
        for one in [createDirectory, logDirectory, temporaryDirectory, metadataDirectory] {
            if let one, !all.contains(one) { all.append(one) }
        }
        return all
    }
}

extension DatabaseConfiguration {
    private mutating func parse(_ line: String, _ place: String) {
        let start = line.utf8.drop(while: Self.isSpace)
        guard let first = start.first, first != UInt8(ascii: "#") else { return }
        let nameBytes = start.prefix { !Self.isSeparator($0) }
        let name = String(decoding: nameBytes, as: UTF8.self).lowercased()
        // All of the rest is a directory's name, trailing blanks too (`__config_scan`, `env_config.c:726`).
        let rest = String(decoding: start[nameBytes.endIndex...].drop(while: Self.isSpace), as: UTF8.self)
        guard !rest.isEmpty else {
            note("\(place) gives no value for \(name)")
            return
        }
        switch name {
        case "set_data_dir", "add_data_dir", "db_data_dir":
            if !dataDirectories.contains(rest) { dataDirectories.append(rest) }
        case "set_create_dir": createDirectory = rest
        case "set_lg_dir", "db_log_dir": logDirectory = rest
        case "set_tmp_dir", "db_tmp_dir": temporaryDirectory = rest
        case "set_metadata_dir": metadataDirectory = rest
        case "set_intermediate_dir_mode": intermediateDirectoryMode = rest
        case "set_flags", "log_set_config", "set_open_flags":
            if !set(flag: rest, of: name) { otherLines.append(line) }
        default: otherLines.append(line)
        }
    }

    /// `<flag> [on|off]`; returns whether it is one of the flags that matter here.
    private mutating func set(flag text: String, of command: String) -> Bool {
        let words = text.utf8.split(whereSeparator: Self.isSeparator).map {
            String(decoding: $0, as: UTF8.self).lowercased()
        }
        guard let flag = words.first, words.count <= 2 else { return false }
        let on = words.count == 1 || words[1] == "on"
        guard on || words[1] == "off" else { return false }
        switch (command, flag) {
        case ("set_flags", "db_log_autoremove"), ("log_set_config", "db_log_auto_remove"): logAutoRemove = on
        case ("set_flags", "db_log_inmemory"), ("log_set_config", "db_log_in_memory"): logInMemory = on
        case ("set_open_flags", _):
            openFlags.removeAll { $0 == flag }
            if on { openFlags.append(flag) }
        default: return false
        }
        return true
    }

    private static func isSpace(_ byte: UInt8) -> Bool { byte == 32 || (byte >= 9 && byte <= 13) }

    /// What `__config_scan` splits words at.
    private static func isSeparator(_ byte: UInt8) -> Bool { byte == 32 || byte == 9 }
}
