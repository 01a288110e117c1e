import Testing
import VarveFiles
import VarveFormat
import VarveOperations
import VarveRepository
import VarveTestSupport

/// What is committed can be read and restored, or it is not committed.
@Suite struct CommitTests {
    private let bench: Bench

    init() throws { bench = try Bench() }

    /// File systems keep times that RFC 3339 can't write; the file is no worse for it.
    @Test(arguments: [400_000_000_000, 253_402_300_800, -62_167_219_201, .max, .min])
    func aTimeThatNoManifestCanSayIsBounded(_ seconds: Int64) throws {
        var file = ListedFile("late", [1, 2, 3])
        file.attributes.modified = Timestamp(seconds: seconds)
        var source = ListedFiles([file])
        source.summary.directories[0].attributes.modified = Timestamp(seconds: seconds)
        let result = try bench.backup(source)
        #expect(result.manifest.warnings.map(\.code) == ["time"] && !result.manifest.tainted)
        #expect(result.manifest.warnings[0].message.contains("of late, and of 1 more,"))
        let read = try bench.repository.manifests.read(result.snapshot)
        #expect(read == result.manifest)
        #expect(read.files[0].attributes.modified == (seconds > 0 ? .latest : .earliest))
        #expect(try Bytes.read(Path.join(try bench.restore(), "late")) == [1, 2, 3])
    }

    @Test(arguments: [253_402_300_799, -62_167_219_200])
    func aTimeThatAManifestCanSayStaysAsItIs(_ seconds: Int64) throws {
        var file = ListedFile("edge", [1])
        file.attributes.modified = Timestamp(seconds: seconds, nanoseconds: 5)
        let result = try bench.backup([file])
        #expect(result.manifest.warnings.isEmpty)
        #expect(try bench.repository.manifests.read(result.snapshot).files[0].attributes == file.attributes)
    }

    /// A source that delivers what no restore could write is at fault, and is told before the commit.
    @Test(arguments: [String(repeating: "d", count: 256), "a/../b", "/etc/passwd", "a//b", "a/\0b"])
    func whatCanNotBeRestoredIsNotCommitted(_ path: String) throws {
        let error = expect(.refused) { try bench.backup([ListedFile(path, [1])]) }
        #expect(error?.message.contains("could never be restored") == true)
        #expect(try bench.repository.manifests.list().isEmpty)
        // The next one is not in its way.
        let longest = ListedFile(String(repeating: "d", count: 255), [1])
        try bench.backup([longest])
        try bench.expectRestored([longest], at: try bench.restore())
    }

    /// The last gate, whoever publishes.
    @Test func aManifestThatCanNotBeReadAgainIsNotPublished() throws {
        var manifest = try bench.backup([ListedFile("a", [1])]).manifest
        manifest.sequence += 1
        manifest.started = Timestamp(seconds: .max)
        let error = expect(.invalid) { try bench.repository.manifests.publish(manifest) }
        #expect(error?.message == "started: \(manifest.started) is outside of the years 0 to 9999")
        #expect(try bench.repository.manifests.list().count == 1)
        manifest.started = .latest
        #expect(try bench.repository.manifests.read(bench.repository.manifests.publish(manifest)) == manifest)
    }
}
