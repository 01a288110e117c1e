import Glibc
import Testing
import VarveFiles
import VarveFormat
import VarveTestSupport

@Suite struct PublicationTests {
    let directory: TemporaryDirectory
    let root: RootDirectory

    init() throws {
        directory = try TemporaryDirectory()
        for name in ["objects", "tmp", "quarantine"] { try Directory.create(directory.join(name)) }
        root = try RootDirectory(directory.path)
    }

    private func append(_ bytes: [UInt8], _ file: StagedFile) throws(VarveError) {
        try bytes.withBytes { (bytes) throws(VarveError) in try file.append(bytes) }
    }

    private func stage(_ bytes: [UInt8]) throws -> StagedFile {
        try Publication.stage(in: root, "tmp") { (file) throws(VarveError) in try append(bytes, file) }.file
    }

    private func read(_ name: String) throws -> [UInt8] { try Bytes.read(directory.join(name)) }
    private func list(_ name: String) throws -> [String] { try Directory.list(directory.join(name)) }

    /// Whoever has the old file open keeps all of it; nobody ever sees a part.
    @Test func replacingIsAtomic() throws {
        let path = directory.join("state")
        let versions = (1...4).map { [UInt8](repeating: $0, count: 100_000) }
        try Publication.replace(path, with: versions[0])
        let old = try File.open(reading: path)
        let isDone = Monitor(false)
        let (seen, wrong) = (Monitor(0), Monitor(0))
        let reader = try WorkerThread {
            while !isDone.change({ $0 }) {
                let bytes = try? Bytes.read(path)
                if !versions.contains(where: { $0 == bytes }) { wrong.change { $0 += 1 } }
                seen.change { $0 += 1 }
            }
        }
        for round in 0..<40 { try Publication.replace(path, with: versions[round % 4]) }
        // The reader has looked at least once meanwhile.
        _ = seen.wait { $0 > 0 ? true : nil }
        isDone.change { $0 = true }
        reader.join()
        #expect(wrong.change { $0 } == 0)
        #expect(try old.readAll(limit: 1 << 20) == versions[0])
        #expect(try Directory.list(directory.path) == ["objects", "quarantine", "state", "tmp"])
        // The control: what is written in place changes beneath whoever has it open.
        let current = try File.open(reading: path)
        try Bytes.write([9], to: path)
        #expect(try current.readAll(limit: 1 << 20) == [9])
    }

    @Test func aReplacementThatFailsLeavesNothing() throws {
        // A file can't take a directory's place.
        try Directory.create(directory.join("objects/state"))
        #expect(
            expect(.system) { try Publication.replace("objects/state", in: root, with: [1]) }?.errno == EISDIR
        )
        #expect(try list("objects") == ["state"] && list("objects/state").isEmpty)
        #expect(
            expect(.system) { try Publication.replace("none/state", in: root, with: [1]) }?.errno == ENOENT)
        // A link there is replaced, not followed.
        try FileKind.symbolicLink(directory.join("objects/link"), to: directory.join("objects/state"))
        try Publication.replace("objects/link", in: root, with: [1], mode: 0o640)
        let status = try FileStatus.of(directory.join("objects/link"), followLinks: false)
        #expect(status?.kind == .regular && status?.mode == 0o640)
    }

    @Test func whatAKilledReplacementLeavesIsKnown() throws {
        #expect(Publication.isStaged("state.1x2y.tmp", for: "/somewhere/state"))
        for other in ["state", "state.tmp.old", "other.1x2y.tmp", "state.1x2y"] {
            #expect(!Publication.isStaged(other, for: "/somewhere/state"), "\(other)")
        }
    }

    @Test func aStagedFileGoesUnlessItIsNamed() throws {
        do {
            let file = try StagedFile(in: root, "tmp")
            try append([1], file)
            #expect(try list("tmp").count == 1)
        }
        #expect(try list("tmp").isEmpty)
        let time = Timestamp(seconds: 1_000_000_000, nanoseconds: 0)
        let (file, _) = try Publication.stage(in: root, "tmp", modified: time) { (file) throws(VarveError) in
            try append([1, 2], file)
        }
        #expect(try list("tmp").count == 1)
        #expect(try Publication.place([.init(file, at: "objects/a")], in: root) == [true])
        #expect(try list("tmp").isEmpty && read("objects/a") == [1, 2])
        let status = try FileStatus.of(directory.join("objects/a"))
        #expect(status?.mode == 0o400 && status?.modified == time)
        // Its object has gone by then, and the file stays.
        #expect(try list("objects") == ["a"])
    }

    @Test func whatFailsLeavesNothing() throws {
        expect(.interrupted) {
            try Publication.stage(in: root, "tmp") { (file) throws(VarveError) in
                try append([1], file)
                throw VarveError(.interrupted, "interrupted")
            }.file
        }
        #expect(try list("tmp").isEmpty)
        expect(.system) {
            try Publication.publish(in: root, "none", temporary: "tmp") { (file) throws(VarveError) in
                try append([1], file)
                return "a"
            }.name
        }
        #expect(try list("tmp").isEmpty)
        // One of several: those before it may have their names, and the others are gone.
        expect(.system) {
            let names = ["objects/a", "none/b", "objects/c"]
            _ = try Publication.place(
                names.map { Publication.Placement(try stage([1]), at: $0) }, in: root)
        }
        #expect(try list("objects") == ["a"] && list("tmp").isEmpty)
    }

    /// The pages of a failed write-back are lost: the whole file is written again, once.
    @Test(arguments: [1, 2]) func aDiskThatLosesWhatWasWritten(_ failures: Int) throws {
        var calls = 0
        func write(_ file: StagedFile) throws(VarveError) {
            calls += 1
            try append([UInt8(calls)], file)
            if calls <= failures { throw SystemCallError(call: "fsync", path: "disk", errno: EIO).error }
        }
        if failures == 1 {
            let (file, _) = try Publication.stage(in: root, "tmp", write)
            #expect(try Publication.place([.init(file, at: "objects/a")], in: root) == [true])
            #expect(try read("objects/a") == [2])
        } else {
            #expect(expect(.system) { try Publication.stage(in: root, "tmp", write).file }?.errno == EIO)
        }
        #expect(calls == 2)
        #expect(try list("tmp").isEmpty)
    }

    @Test func aNameThatIsTakenStays() throws {
        let placements = try [1, 2].map { Publication.Placement(try stage([$0]), at: "objects/a") }
        #expect(try Publication.place(placements, in: root) == [true, false])
        #expect(try read("objects/a") == [1])
    }

    /// A damaged file is kept under another name, and a good one has its own.
    @Test func aDamagedFileIsPutAside() throws {
        try Bytes.write([9, 9], to: directory.join("objects/a"))
        let inode = try FileStatus.of(directory.join("objects/a"))?.inode
        let placements = try [
            Publication.Placement(stage([1]), at: "objects/a", aside: "quarantine/a"),
            Publication.Placement(stage([2]), at: "objects/b", aside: "quarantine/b"),
        ]
        #expect(try Publication.place(placements, in: root) == [true, true])
        #expect(try read("objects/a") == [1] && read("objects/b") == [2])
        #expect(try list("quarantine") == ["a"] && read("quarantine/a") == [9, 9])
        #expect(try FileStatus.of(directory.join("quarantine/a"))?.inode == inode)
        // What is no file goes there too, whatever it is.
        try Directory.createAll(directory.join("objects/d/below"))
        let other = try Publication.Placement(stage([3]), at: "objects/d", aside: "quarantine/d")
        #expect(try Publication.place([other], in: root) == [true])
        #expect(try read("objects/d") == [3] && list("quarantine/d") == ["below"])
    }

    @Test func namesBeneathTheRoot() {
        #expect(Publication.join(".", "a") == "a" && Publication.join("b/c", "a") == "b/c/a")
        #expect(Publication.parent("a") == "." && Publication.parent("b/c/a") == "b/c")
    }
}
