import Testing
import VarveBlobs
import VarveFiles
import VarveFormat
import VarveRepository
import VarveStorage
import VarveTestSupport
import VarveUpkeep

/// No damaged byte of a repository passes, and each is told with the object that it is in.
///
/// The repository is `GoldenRepository`'s: every kind of blob, a deep map, an index and a manifest in a few kilobytes,
/// so that every position can be tried.
@Suite struct DamageTests {
    let directory: TemporaryDirectory
    /// Every file but the lock, which holds no data, relative to the repository.
    let files: [String]

    init() throws {
        directory = try TemporaryDirectory()
        _ = try GoldenRepository.create(at: directory.path)
        files = try Bytes.files(beneath: directory.path).filter { $0 != "lock" }
    }

    private enum Means { case media, content }

    /// What is said of the repository: nil if it passes.
    private func complaint(_ means: Means) throws(VarveError) -> String? {
        do {
            let verifier = Verifier(try Repository.open(directory.path))
            // Thousands of times: without a record.
            var options = MediaOptions()
            options.isCached = true
            let report = try means == .media ? verifier.verifyMedia(options) : verifier.verifyContent()
            if report.isGood { return nil }
            return report.findings.map { "\($0.text): \($0.problem)" }.joined(separator: "; ")
        } catch let error where error.code == .corrupt || error.code == .unsupported {
            return "\(error)"
        }
    }

    /// As findings spell it: without the shard.
    private func objectName(_ file: String) -> String {
        let parts = file.split(separator: "/")
        return parts.count == 3 ? "\(parts[0])/\(parts[2])" : file
    }

    private func expectNamed(_ file: String, _ what: String, _ means: Means) throws {
        let complaint = try complaint(means)
        #expect(
            complaint?.contains(objectName(file)) == true, "\(what) of \(file): \(complaint ?? "it passes")")
    }

    @Test func anUntouchedRepositoryPasses() throws {
        #expect(
            files.count == 7, "varve.json, copy.json, identity.json, a pack, an index, a manifest, a summary")
        #expect(try complaint(.media) == nil)
        #expect(try complaint(.content) == nil)
        let report = try Verifier(try Repository.open(directory.path)).verifyContent()
        #expect(report.snapshots == 1 && report.blobs > 10)
    }

    /// Where the pack holds zstd frames.
    private func compressedPayloads() throws -> [Range<Int>] {
        let storage = DirectoryStorage(directory.path)
        let pack = try #require(ContentID(hex: try storage.list(.pack)[0]))
        return try PackReader.directory(of: pack, in: storage).entries.filter { $0.header.encoding != .raw }
            .map {
                Int($0.offset) + $0.header.length..<Int($0.offset) + $0.header.totalLength
            }
    }

    /// All in a soak; else the header, the end, and of the rest every eighth, from another one on each time.
    private func positions(of bytes: [UInt8]) -> [Int] {
        var random = SeededRandom()
        let phase = Int.random(in: 0..<8, using: &random)
        return bytes.indices.filter {
            Soak.isWanted || $0 < 32 || $0 >= bytes.count - 16 || $0 % 8 == phase
        }
    }

    @Test func everyFlippedByteIsNamed() throws {
        let compressed = try compressedPayloads()
        var harmless = 0
        for file in files {
            let path = directory.join(file)
            let good = try Bytes.read(path)
            for (number, at) in positions(of: good).enumerated() {
                var damaged = good
                damaged[at] ^= 1 << (at % 8)
                try Bytes.write(damaged, to: path)
                // One hash over all of it: no byte is another case than the next.
                if Soak.isWanted || number % 8 == 0 { try expectNamed(file, "byte \(at)", .media) }
                // A zstd frame has bits that change nothing (RFC 8878, 3.1.1.1.1: the unused bit, and others): what
                // it decodes to is checked, and right. Its stored bytes are the business of media verification.
                if compressed.contains(where: { $0.contains(at) && file.hasPrefix("packs/") }),
                    try complaint(.content) == nil
                {
                    harmless += 1
                } else {
                    try expectNamed(file, "byte \(at)", .content)
                }
            }
            try Bytes.write(good, to: path)
        }
        #expect(harmless <= compressed.count, "no more than one in each frame")
        #expect(try complaint(.media) == nil)
        #expect(try complaint(.content) == nil)
    }

    @Test func everyTruncationIsNamed() throws {
        for file in files {
            let path = directory.join(file)
            let good = try Bytes.read(path)
            for (number, length) in positions(of: good).enumerated() {
                try Bytes.write(Array(good.prefix(length)), to: path)
                // As above: to the hash over all of it no length is another case than the next.
                if Soak.isWanted || number % 8 == 0 { try expectNamed(file, "\(length) bytes", .media) }
                try expectNamed(file, "\(length) bytes", .content)
            }
            try Bytes.write(good + [0], to: path)
            try expectNamed(file, "a byte more", .media)
            try expectNamed(file, "a byte more", .content)
            try Bytes.write(good, to: path)
        }
    }

    /// Ranges as disks lose them: zeros and foreign bytes; the seed is printed on failure.
    @Test func overwrittenRangesAreNamed() throws {
        var random = SeededRandom()
        for file in files {
            let path = directory.join(file)
            let good = try Bytes.read(path)
            for round in 0..<25 {
                let start = Int.random(in: good.indices, using: &random)
                let count = Int.random(in: 1...good.count - start, using: &random)
                var damaged = good
                let zeros = [UInt8](repeating: 0, count: count)
                damaged.replaceSubrange(
                    start..<start + count, with: round % 2 == 0 ? zeros : random.bytes(count))
                if damaged == good { continue }
                try Bytes.write(damaged, to: path)
                let what = "\(start)..<\(start + count) (seed \(random.seed))"
                try expectNamed(file, what, .media)
                try expectNamed(file, what, .content)
            }
            try Bytes.write(good, to: path)
        }
    }

    /// A file that no object is called like is nobody's loss: it is mentioned.
    @Test func aFileThatIsNoObjectIsMentioned() throws {
        for stray in ["packs/00/notes.txt", "indexes/x", "manifests/0000000001-abc"] {
            try Bytes.write([1], to: directory.join(stray))
            let verifier = Verifier(try Repository.open(directory.path))
            for report in [try verifier.verifyMedia(), try verifier.verifyContent()] {
                #expect(report.isGood && report.strangers == [objectName(stray)])
            }
            try Directory.removeFile(directory.join(stray))
        }
        // A good pack in another's shard is found by no reader.
        let pack = try #require(files.first { $0.hasPrefix("packs/") })
        let elsewhere = pack.hasPrefix("packs/00") ? "packs/01" : "packs/00"
        try Directory.rename(directory.join(pack), to: directory.join("\(elsewhere)/\(Path.name(pack))"))
        try expectNamed(pack, "moved", .media)
        try expectNamed(pack, "moved", .content)
    }

    @Test func anotherRepositorysPackIsNamed() throws {
        let pack = try #require(files.first { $0.hasPrefix("packs/") })
        var bytes = try Bytes.read(directory.join(pack))
        bytes[20] ^= 1
        let name = bytes.withUnsafeBytes { hash($0) }
        try Bytes.write(bytes, to: directory.join("packs/\(name.prefix(2))/\(name)"))
        // Its bytes are what its name says; whose it is shows in the header.
        #expect(try complaint(.media) == nil)
        #expect(try complaint(.content)?.contains(name) == true)
    }
}
