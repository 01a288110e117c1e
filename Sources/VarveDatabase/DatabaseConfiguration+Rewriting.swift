import VarveFormat

extension DatabaseConfiguration {
    /// A line of `DB_CONFIG` that names a directory.
    package enum Setting: String, Sendable, Hashable, Codable {
        case data, create, log, temporary, metadata

        /// - Parameter name: in lower case.
        init?(name: String) {
            switch name {
            case "set_data_dir", "add_data_dir", "db_data_dir": self = .data
            case "set_create_dir": self = .create
            case "set_lg_dir", "db_log_dir": self = .log
            case "set_tmp_dir", "db_tmp_dir": self = .temporary
            case "set_metadata_dir": self = .metadata
            default: return nil
            }
        }
    }

    /// Whether libdb takes a line that gives a directory this name.
    package static func canName(_ directory: String) -> Bool {
        "set_metadata_dir \(directory)".utf8.count <= maximumLineLength
            && directory.utf8.allSatisfy { $0 != 10 && $0 != 13 && $0 != 0 }
    }

    /// What becomes of such a line.
    package enum Change: Sendable, Hashable {
        case keep
        case set(String)
        /// It stays as a comment.
        case disable
    }

    /// The same file with other directories: what is no such line stays as it is, byte for byte.
    ///
    /// A line that libdb may read otherwise than we do (too long, or no text) stays too.
    package static func rewrite(
        _ bytes: [UInt8], _ change: (Setting, String) -> Change
    ) -> [UInt8] {
        let lines = bytes.split(separator: 10, omittingEmptySubsequences: false).map { line in
            rewrite(line: line, change)
        }
        return Array(lines.joined(separator: [10]))
    }

    private static func rewrite(
        line: ArraySlice<UInt8>, _ change: (Setting, String) -> Change
    ) -> ArraySlice<UInt8> {
        guard line.count <= maximumLineLength, let text = String(validating: line, as: UTF8.self),
            let (name, value) = directory(in: text), let setting = Setting(name: name.lowercased())
        else { return line }
        switch change(setting, value) {
        case .keep: return line
        case .set(let other): return Array("\(name) \(other)".utf8)[...]
        case .disable: return Array("# \(text)".utf8)[...]
        }
    }

    /// The name of a setting and its value, as libdb takes a line apart.
    private static func directory(in line: String) -> (name: String, value: String)? {
        var bytes = Substring(line).utf8.prefix { $0 != 0 }
        if bytes.last == 13 { bytes = bytes.dropLast() }
        let start = bytes.drop { $0 == 32 || ($0 >= 9 && $0 <= 13) }
        let name = start.prefix { $0 != 32 && $0 != 9 }
        let value = start[name.endIndex...].drop { $0 == 32 || ($0 >= 9 && $0 <= 13) }
        guard let first = name.first, first != UInt8(ascii: "#"), !value.isEmpty else { return nil }
        return (String(Substring(name)), String(Substring(value)))
    }
}
