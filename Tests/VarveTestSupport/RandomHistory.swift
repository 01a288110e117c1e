import VarveFormat

/// Files that change at random, without any database's manners: what a seed makes of them is always the same.
package struct RandomHistory {
    package private(set) var random: SeededRandom
    package private(set) var files: [String: [UInt8]] = [:]
    /// Lengths to choose edits by: pages, and what extents are cut into.
    private let page: Int
    private let largestFile: Int
    /// What files were, to go back to.
    private var old: [[UInt8]] = []
    private var created = 0

    private static let fileLimit = 8
    private static let oldLimit = 12

    package init(_ random: SeededRandom, page: Int = 512, largestFile: Int = 160 << 10) {
        self.random = random
        self.page = page
        self.largestFile = largestFile
        for _ in 0..<4 { create() }
    }

    /// The next generation: a few edits, at least one of which changes something. What a database does all the time,
    /// a few bytes changed in place, comes most often: that makes long chains of deltas.
    package mutating func advance() {
        let before = files
        repeat {
            for path in files.keys.sorted() where number(0...3) == 0 { touch(path) }
            if number(0...2) > 0 { for _ in 0..<number(1...3) { edit() } }
        } while files == before
        for bytes in before.values where number(0...9) == 0 { old.append(bytes) }
        if old.count > Self.oldLimit { old.removeFirst(old.count - Self.oldLimit) }
    }

    /// As a source delivers them: in any order, in pieces, zeros now and then left out.
    package mutating func listed() -> [ListedFile] {
        files.sorted { $0.key < $1.key }.shuffled(using: &random).map { path, bytes in
            var writes: [(offset: UInt64, bytes: [UInt8])] = []
            var at = 0
            while at < bytes.count {
                let piece = Array(bytes[at..<min(at + number(1...64) * page, bytes.count)])
                if number(0...1) == 0 || piece.contains(where: { $0 != 0 }) {
                    writes.append((UInt64(at), piece))
                }
                at += piece.count
            }
            return ListedFile(path, writes: writes, size: UInt64(bytes.count))
        }
    }

    private mutating func number(_ range: ClosedRange<Int>) -> Int { Int.random(in: range, using: &random) }

    private mutating func anyPath() -> String? { files.keys.sorted().randomElement(using: &random) }

    private mutating func create() {
        guard files.count < Self.fileLimit else { return }
        created += 1
        files["\(number(0...2) == 0 ? "sub/" : "")f\(created)"] = content(number(0...largestFile / 2))
    }

    /// Noise, text, zeros, or pages of a little of each.
    private mutating func content(_ count: Int) -> [UInt8] {
        switch number(0...4) {
        case 0: return random.bytes(count)
        case 1: return (0..<count).map { UInt8(ascii: "a") + UInt8($0 / 7 % 26) }
        case 2: return [UInt8](repeating: 0, count: count)
        default:
            var bytes = [UInt8](repeating: 0, count: count)
            for start in stride(from: 0, to: count, by: page) {
                let part = random.bytes(min(number(0...page), count - start))
                bytes.replaceSubrange(start..<start + part.count, with: part)
            }
            return bytes
        }
    }

    /// As a database marks the pages that it writes.
    private mutating func touch(_ path: String) {
        guard var bytes = files[path], bytes.count > 8 else { return }
        for start in stride(from: 0, to: bytes.count - 8, by: page) where number(0...3) == 0 {
            bytes.replaceSubrange(start..<start + 8, with: random.bytes(8))
        }
        files[path] = bytes
    }

    private mutating func edit() {
        guard let path = anyPath(), let bytes = files[path] else { return create() }
        switch number(0...29) {
        case 0, 1: create()
        case 2: files[path] = nil
        case 3, 4: rename(path)
        case 5: files[path] = old.randomElement(using: &random) ?? bytes
        case 6: files[path] = content(number(0...largestFile / 2))
        case 7...10:
            let length = newLength(bytes.count)
            files[path]?.resize(to: length)
        default:
            guard !bytes.isEmpty else { return }
            files[path] = changed(bytes)
        }
        if let count = files[path]?.count, count > largestFile { files[path]?.resize(to: largestFile) }
    }

    /// To a new name, or two files take each other's.
    private mutating func rename(_ path: String) {
        guard let other = anyPath(), other != path else {
            created += 1
            files["f\(created)"] = files.removeValue(forKey: path)
            return
        }
        (files[path], files[other]) = (files[other], files[path])
    }

    private mutating func newLength(_ count: Int) -> Int {
        switch number(0...3) {
        case 0: number(0...count)
        case 1: count / 2 / page * page
        case 2: count + number(0...3 * page)
        default: min(largestFile, 2 * count + page)
        }
    }

    /// Contents of the same file, changed somewhere.
    private mutating func changed(_ bytes: [UInt8]) -> [UInt8] {
        var bytes = bytes
        switch number(0...9) {
        case 0: bytes.insert(contentsOf: content(number(1...page)), at: number(0...bytes.count))
        case 1: bytes.removeSubrange(range(in: bytes, atMost: page))
        case 2: swapPages(&bytes)
        case 3:
            guard let other = anyPath(), let from = files[other], !from.isEmpty else { break }
            let source = from[range(in: from, atMost: 16 * page)]
            let start = number(0...max(0, bytes.count - 1))
            bytes.replaceSubrange(start..<min(start + source.count, bytes.count), with: source)
        default:
            for _ in 0..<number(1...20) {
                let range = range(in: bytes, atMost: [1, 16, 64, page, 4 * page][number(0...4)])
                bytes.replaceSubrange(range, with: content(range.count))
            }
        }
        return bytes
    }

    private mutating func range(in bytes: [UInt8], atMost count: Int) -> Range<Int> {
        let start = number(0...bytes.count - 1)
        return start..<min(bytes.count, start + number(1...count))
    }

    private mutating func swapPages(_ bytes: inout [UInt8]) {
        let pages = bytes.count / page
        guard pages > 1 else { return }
        for _ in 0..<number(1...pages) {
            let (a, b) = (number(0...pages - 1) * page, number(0...pages - 1) * page)
            let first = Array(bytes[a..<a + page])
            bytes.replaceSubrange(a..<a + page, with: Array(bytes[b..<b + page]))
            bytes.replaceSubrange(b..<b + page, with: first)
        }
    }
}

extension [UInt8] {
    fileprivate mutating func resize(to count: Int) {
        if count < self.count { removeLast(self.count - count) }
        append(contentsOf: repeatElement(0, count: count - self.count))
    }
}
