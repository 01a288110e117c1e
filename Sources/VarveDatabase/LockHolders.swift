import VarveFormat

/// Who holds a database's own lock, or its first page's, for writing, in what libdb 5.3 prints for
/// `DB_STAT_LOCK_LOCKERS` (lock_stat.c:536, :706): `a1 WRITE 1 HELD a.db handle 0`.
package struct LockHolders: Sendable {
    package enum Kind: String, Sendable {
        /// `DB_HANDLE_LOCK`
        case handle
        case page
    }

    private let name: String
    private let identity: [String]
    private let kind: Kind
    private var processes: [UInt32: Int32] = [:]
    private var locker: UInt32?

    /// - Parameters:
    ///   - file: the database's name; libdb prints the one that the application gave.
    ///   - fileID: which libdb prints where nobody has given it a name.
    package init(file: String, fileID: [UInt8], _ kind: Kind) {
        name = Self.last(Substring(file))
        identity = stride(from: 0, to: fileID.count, by: 4).map { start in
            let word = fileID[start..<min(start + 4, fileID.count)].reversed().reduce(UInt32(0)) {
                $0 << 8 | UInt32($1)
            }
            return String(word, radix: 16)
        }
        self.kind = kind
    }

    /// The next line.
    package mutating func add(_ line: String) {
        let words = line.split(separator: " ", maxSplits: 64)
        guard words.count >= 4, let id = UInt32(words[0], radix: 16) else { return }
        if words[1].hasPrefix("dd=") {
            guard let place = words.firstIndex(of: "pid/thread"), place + 1 < words.count,
                let process = words[place + 1].split(separator: "/").first.flatMap({ Int32($0) })
            else { return }
            processes[id] = process
        } else if words.count >= 7, locker == nil, words[1].hasSuffix("WRITE"), words[3] == "HELD",
            words[words.count - 1] == "0", words[words.count - 2] == kind.rawValue,
            isMine(words[4..<(words.count - 2)])
        {
            locker = id
        }
    }

    /// `file:database` of one in a file of several, or the words of its identity in parentheses.
    private func isMine(_ words: ArraySlice<Substring>) -> Bool {
        let text = words.joined(separator: " ")
        if text.hasPrefix("(") {
            return text.dropFirst().dropLast().split(separator: " ").map(String.init) == identity
        }
        return Self.last(text.prefix { $0 != ":" }) == name
    }

    private static func last(_ path: Substring) -> String {
        path.split(separator: "/").last.map(String.init) ?? ""
    }

    /// Nil if none was seen.
    package var holder: (isTransaction: Bool, process: Int32?)? {
        // `TXN_MINIMUM` (txn.h:36)
        locker.map { ($0 >= 0x8000_0000, processes[$0]) }
    }
}
