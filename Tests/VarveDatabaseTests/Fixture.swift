import Testing
import VarveFormat

@testable import VarveDatabase

#if canImport(Glibc)
    import Glibc
#elseif canImport(Darwin)
    import Darwin
#endif

/// One of the environments of `Fixtures/bdb`.
struct Fixture: CustomTestStringConvertible, Sendable {
    let name: String
    var testDescription: String { name }

    static let all = [
        "plain-4096", "checksum-512", "big-endian-512", "checksum-65536", "encrypted-1024", "absolute-512",
    ].map(Fixture.init)
    static let checksummed = [
        "checksum-512", "big-endian-512", "checksum-65536",
    ].map(Fixture.init)
    static let readableLogs = all.filter { $0.name != "encrypted-1024" }

    static func named(_ name: String) -> Fixture { Fixture(name: name) }

    private static let root: String = {
        let source = #filePath.split(separator: "/", omittingEmptySubsequences: false)
        return source.dropLast(3).joined(separator: "/") + "/Fixtures/bdb/"
    }()

    var path: String { Self.root + name }

    func bytes(_ file: String) throws -> [UInt8] {
        let stream = try #require(fopen(path + "/" + file, "rb"), "\(path)/\(file)")
        defer { fclose(stream) }
        var all: [UInt8] = []
        var piece = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let count = fread(&piece, 1, piece.count, stream)
            if count == 0 { return all }
            all += piece[..<count]
        }
    }

    var fileNames: [String] {
        get throws {
            let directory = try #require(opendir(path), "\(path)")
            defer { closedir(directory) }
            var names: [String] = []
            while let entry = readdir(directory) {
                let name = withUnsafeBytes(of: entry.pointee.d_name) { bytes in
                    String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
                }
                if name != "." && name != ".." { names.append(name) }
            }
            return names.sorted()
        }
    }

    /// The lines of `facts` that begin with this word, split into the words that follow.
    func facts(_ word: String) throws -> [[String]] {
        let text = String(decoding: try bytes("facts"), as: UTF8.self)
        return text.split(separator: "\n").map { $0.split(separator: " ").map(String.init) }
            .filter { $0.first == word }.map { Array($0.dropFirst()) }
    }

    func header(_ file: String) throws -> DatabaseHeader {
        try #require(try bytes(file).withUnsafeBytes { try DatabaseHeader.probe($0) }, "\(file)")
    }

    func logNumbers() throws -> [UInt32] {
        try fileNames.compactMap {
            if case .log(let number) = EnvironmentFileKind.classify($0) { number } else { nil }
        }
    }

    func summary(_ number: UInt32) throws -> LogFileSummary {
        try walk(number, try bytes(EnvironmentFileKind.logName(number)))
    }

    /// Every file with pages, and the checker for it: queue extents take the header of their queue.
    func pageFiles() throws -> [(name: String, checker: PageChecker)] {
        try fileNames.compactMap { name in
            if case .queueExtent(let queue, let number) = EnvironmentFileKind.classify(name) {
                return (name, PageChecker(header: try header(queue), queueExtent: number))
            }
            guard let header = try bytes(name).withUnsafeBytes({ try DatabaseHeader.probe($0) }) else {
                return nil
            }
            return (name, PageChecker(header: header))
        }
    }
}

func walk(_ number: UInt32, _ bytes: [UInt8]) throws -> LogFileSummary {
    try bytes.withUnsafeBytes { try LogWalker.walk(number: number, bytes: $0) }
}

extension PageChecker {
    func check(_ bytes: [UInt8], from position: UInt32 = 0) -> PageRunResult {
        var result = PageRunResult()
        bytes.withUnsafeBytes { check(run: $0, firstPage: PageNumber(position), into: &result) }
        return result
    }
}

/// Pseudorandom numbers that a printed seed brings back (SplitMix64).
struct SeededRandom: RandomNumberGenerator {
    let seed: UInt64
    private var state: UInt64

    init() { self.init(seed: UInt64.random(in: 0...UInt64.max)) }

    init(seed: UInt64) {
        self.seed = seed
        state = seed
    }

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var z = state
        z = (z ^ (z &>> 30)) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ (z &>> 27)) &* 0x94d0_49bb_1331_11eb
        return z ^ (z &>> 31)
    }

    mutating func bytes(_ count: Int) -> [UInt8] {
        (0..<count).map { _ in UInt8(truncatingIfNeeded: next()) }
    }
}
