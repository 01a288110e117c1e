import Glibc
import Testing
import VarveFiles
import VarveFormat
import VarveTestSupport

import enum ProcessSupport.Machine

@Suite struct DirectoryTests {
    let directory: TemporaryDirectory

    init() throws { directory = try TemporaryDirectory() }

    /// By bytes, which is not how Swift compares: it takes an accented letter for the same, however it is written.
    @Test func listsAreSortedByBytes() throws {
        let composed = "caf\u{e9}"
        let decomposed = "cafe\u{301}"
        #expect(composed == decomposed && decomposed > "caff", "the control: Swift has another order")
        let names = [
            "b", "a", "B", "a.b", "a-b", "ab", ".hidden", composed, decomposed, "caff", "z", "\u{1F600}",
        ]
        for name in names { try Bytes.write([], to: directory.path + "/" + name) }
        let listed = try Directory.list(directory.path).map { Array($0.utf8) }
        #expect(listed == names.map { Array($0.utf8) }.sorted { $0.lexicographicallyPrecedes($1) })
    }

    @Test func namesThatAreNoText() throws {
        let root = try RootDirectory(directory.path)
        try systemCall("mkdirat", "name") {
            mkdirat(root.descriptor, [CChar(bitPattern: 0xff), 1, 0], 0o700)
        }
        var names: [[UInt8]] = []
        try Directory.forEachName(directory.path) { names.append(Array($0)) }
        #expect(names == [[0xff, 1]])
    }

    @Test func whatIsNoDirectoryIsNotListed() throws {
        try Bytes.write([], to: directory.join("file"))
        for (name, code) in [("none", ENOENT), ("file", ENOTDIR)] {
            #expect(expect(.system) { try Directory.list(directory.join(name)) }?.errno == code)
            #expect(expect(.system) { try Directory.sync(directory.join(name)) }?.errno == code)
        }
    }

    @Test func makingThem() throws {
        let path = directory.join("a")
        try Directory.create(path, mode: 0o750)
        try Directory.create(path)
        #expect(try FileStatus.of(path)?.mode == 0o750, "one that is there stays as it is")
        try Bytes.write([], to: directory.join("file"))
        #expect(expect(.system) { try Directory.create(directory.join("file")) }?.errno == EEXIST)
        #expect(expect(.system) { try Directory.create(directory.join("b/c")) }?.errno == ENOENT)
        try Directory.createAll(directory.join("b/c/d"))
        try Directory.createAll(directory.join("b/c/d"))
        #expect(try FileStatus.of(directory.join("b/c/d"))?.kind == .directory)
        expect(.system) { try Directory.createAll(directory.join("file/x")) }
        // A link to a directory is one.
        try FileKind.symbolicLink(directory.join("link"), to: "a")
        try Directory.create(directory.join("link"))
        try Directory.createAll(directory.join("link/inner"))
        #expect(try Directory.list(path) == ["inner"])
        try Directory.sync(path)
        try Directory.syncFileSystem(path)
    }

    /// In somebody's directory root makes somebody's: not where it was there before.
    @Test(.needsRoot("to give directories away"))
    func makingThemForAnotherUser() throws {
        let home = directory.join("home")
        try Directory.create(home)
        try Directory.create(Path.join(home, "roots"))
        chown(home, 4711, 4712)
        try Directory.create(forOwner: Path.join(home, "his"))
        try Directory.create(forOwner: Path.join(home, "roots"))
        try Directory.create(Path.join(home, "plain"))
        let owners = try ["his", "roots", "plain"].map { try FileStatus.of(Path.join(home, $0))?.user }
        #expect(owners == [4711, 0, 0])
        #expect(try FileStatus.of(Path.join(home, "his"))?.group == 4712)
        try Bytes.write([], to: Path.join(home, "file"))
        #expect(expect(.system) { try Directory.create(forOwner: Path.join(home, "file")) }?.errno == EEXIST)
    }

    @Test func removingThem() throws {
        try Directory.createAll(directory.join("tree/inner"))
        try Bytes.write([1], to: directory.join("tree/inner/file"))
        try Directory.create(directory.join("outside"))
        try Bytes.write([2], to: directory.join("outside/file"))
        try FileKind.symbolicLink(directory.join("tree/link"), to: directory.join("outside"))
        try FileKind.symbolicLink(directory.join("tree/inner/up"), to: "..")
        #expect(expect(.system) { try Directory.removeEmpty(directory.join("tree")) }?.errno == ENOTEMPTY)
        #expect(expect(.system) { try Directory.removeFile(directory.join("none")) }?.errno == ENOENT)
        try Directory.removeTree(directory.join("tree"))
        #expect(try Directory.list(directory.path) == ["outside"])
        #expect(try Bytes.read(directory.join("outside/file")) == [2])
        // Through a link on the way it goes, the link itself is only removed.
        try Directory.create(directory.join("outside/tree"))
        try FileKind.symbolicLink(directory.join("way"), to: "outside")
        try Directory.removeTree(directory.join("way/tree"))
        #expect(try Directory.list(directory.join("outside")) == ["file"])
        try Directory.removeTree(directory.join("way"))
        #expect(try Directory.list(directory.path) == ["outside"])
        #expect(try Directory.list(directory.join("outside")) == ["file"])
    }

    @Test func renamingReplaces() throws {
        try Bytes.write([1], to: directory.join("a"))
        try Bytes.write([2], to: directory.join("b"))
        try Directory.rename(directory.join("a"), to: directory.join("b"))
        #expect(try Directory.list(directory.path) == ["b"])
        #expect(try Bytes.read(directory.join("b")) == [1])
        #expect(
            expect(.system) { try Directory.rename(directory.join("a"), to: directory.join("b")) }?.errno
                == ENOENT)
    }
}

@Suite(.timeLimit(.minutes(2))) struct DirectoryWatchTests {
    let directory: TemporaryDirectory

    init() throws { directory = try TemporaryDirectory() }

    private func watch() throws -> DirectoryWatch {
        guard let watch = DirectoryWatch(directory.path) else {
            throw VarveError(.system, "no watch is to be had")
        }
        return watch
    }

    /// Whether the watch tells of something at once, or waits until its time is over.
    private func expect(
        _ watch: borrowing DirectoryWatch, tells: Bool, _ comment: Comment? = nil,
        sourceLocation: SourceLocation = #_sourceLocation
    ) {
        let time: UInt64 = tells ? patience : 20_000_000
        let start = Clock.monotonic()
        watch.wait(milliseconds: Int32(time / 1_000_000))
        #expect((Clock.monotonic() - start < time) == tells, comment, sourceLocation: sourceLocation)
    }

    @Test func filesThatAppear() throws {
        let watch = try watch()
        expect(watch, tells: false, "the control: nothing has appeared")
        try Bytes.write([], to: directory.join("a"))
        expect(watch, tells: true)
        expect(watch, tells: false, "each is told once")
        try Bytes.write([], to: directory.join("b"))
        try Bytes.write([], to: directory.join("c"))
        expect(watch, tells: true)
        expect(watch, tells: false, "several at once are told at once")
        // By a new name, too; but not what is written to, or goes.
        try Directory.rename(directory.join("a"), to: directory.join("d"))
        expect(watch, tells: true)
        try Bytes.write([1, 2, 3], to: directory.join("b"))
        try Directory.removeFile(directory.join("b"))
        expect(watch, tells: false)
    }

    @Test func whileItWaits() throws {
        let watch = try watch()
        let path = directory.join("a")
        let other = try WorkerThread { _ = try? File.create(path).close() }
        expect(watch, tells: true)
        other.join()
    }

    @Test func whereThereIsNone() throws {
        // And nothing was closed that is somebody else's: many times, beside others.
        for _ in 0..<50 {
            if let watch = DirectoryWatch(directory.join("none")) {
                Issue.record("there is nothing to watch")
                watch.wait(milliseconds: 0)
            }
        }
    }
}
