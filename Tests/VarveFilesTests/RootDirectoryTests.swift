import Glibc
import Testing
import VarveFiles
import VarveFormat
import VarveTestSupport

/// Every test runs with `openat2` and with the walk that takes its place on old kernels and behind filters.
@Suite struct RootDirectoryTests {
    static let both: [RootDirectory.Resolution] = [.kernel, .walk]

    private func make(_ resolution: RootDirectory.Resolution) throws -> (TemporaryDirectory, RootDirectory) {
        let directory = try TemporaryDirectory()
        for name in ["root", "root/a", "root/a/b", "outside"] { try Directory.create(directory.join(name)) }
        try Bytes.write(Array("inside".utf8), to: directory.join("root/a/b/file"))
        try Bytes.write(Array("secret".utf8), to: directory.join("outside/file"))
        return (directory, try RootDirectory(directory.join("root"), resolution: resolution))
    }

    private func link(_ target: String, _ path: String) throws {
        try systemCall("symlink", path) { symlink(target, path) }
    }

    /// What the body throws must be the refusal of a link.
    private func refusesLink<R>(_ body: () throws -> R, sourceLocation: SourceLocation = #_sourceLocation) {
        do {
            _ = try body()
            Issue.record("a link was followed", sourceLocation: sourceLocation)
        } catch let error as VarveError {
            #expect(error.code == .refused, "\(error)", sourceLocation: sourceLocation)
            #expect(error.errno == ELOOP, "\(error)", sourceLocation: sourceLocation)
            #expect(error.message.contains("symbolic link"), sourceLocation: sourceLocation)
        } catch {
            Issue.record(error, sourceLocation: sourceLocation)
        }
    }

    @Test(arguments: both) func whatLiesBeneathIsFound(_ resolution: RootDirectory.Resolution) throws {
        let (directory, root) = try make(resolution)
        #expect(try root.read("a/b/file", limit: 100) == Array("inside".utf8))
        #expect(try root.read("a/b/none", limit: 100) == nil)
        #expect(try root.status(of: "a/b")?.kind == .directory)
        #expect(try root.status(of: "none/b") == nil)
        #expect(try root.names(in: "a") == ["b"])
        let inner = try root.directory("a/b")
        #expect(try inner.names() == ["file"])
        #expect(try inner.names() == ["file"], "a second listing begins at the beginning")
        #expect(try inner.identity() == RootDirectory(directory.join("root/a/b")).identity())
        #expect(try inner.identity() != root.identity())
    }

    @Test(arguments: both) func whatIsMadeIsThere(_ resolution: RootDirectory.Resolution) throws {
        let (directory, root) = try make(resolution)
        try root.makeDirectories("x/y/z")
        #expect(try !root.makeDirectory("x/y"))
        try root.create("x/new").close()
        expect(.system) { _ = try root.create("x/new") }
        try root.replace("x/y/state", with: [1, 2, 3])
        try root.replace("x/y/state", with: [4])
        #expect(try root.read("x/y/state", limit: 9) == [4])
        #expect(try root.names(in: "x/y") == ["state", "z"], "nothing temporary stays")
        let other = try RootDirectory(directory.join("outside"), resolution: resolution)
        try root.link("x/y/state", to: "linked", in: other)
        #expect(try other.status(of: "linked")?.inode == root.status(of: "x/y/state")?.inode)
        #expect(try !root.renameWithoutReplacing("x/y/state", to: "linked", in: other))
        #expect(try root.renameWithoutReplacing("x/y/state", to: "x/moved"))
        try root.rename("x/moved", to: "file", in: other)
        #expect(try other.read("file", limit: 9) == [4])
        try root.unlink("x/new")
        try root.removeEmpty("x/y/z")
        try root.removeTree("x")
        #expect(try root.names() == ["a"])
    }

    @Test(arguments: both) func aLinkIsRefusedWhereverItIs(_ resolution: RootDirectory.Resolution) throws {
        let (directory, root) = try make(resolution)
        try link(directory.join("outside"), directory.join("root/out"))
        try link("../outside", directory.join("root/a/up"))
        try link("b", directory.join("root/a/near"))
        try link("/proc/self/root", directory.join("root/magic"))
        try link("b/file", directory.join("root/a/plain"))
        for name in ["out/file", "a/up/file", "a/near/file", "magic/etc/passwd", "a/plain"] {
            refusesLink { _ = try root.open(reading: name) }
            refusesLink { _ = try root.open(updating: name) }
        }
        for name in ["out/new", "a/up/new", "a/near/new"] {
            refusesLink { _ = try root.create(name) }
            refusesLink { try root.makeDirectory(name) }
            refusesLink { try root.unlink(name) }
            refusesLink { try root.link("a/b/file", to: name) }
            refusesLink { try root.rename("a/b/file", to: name) }
            refusesLink { try root.removeTree(name) }
        }
        for name in ["out", "a/up", "a/near"] {
            refusesLink { try root.directory(name) }
            refusesLink { try root.names(in: name) }
            refusesLink { try root.makeDirectory(name) }
            #expect(try root.status(of: name)?.kind == .symbolicLink)
        }
        #expect(try Directory.list(directory.join("outside")) == ["file"])
        // The control: by path each of them leads out.
        #expect(try Bytes.read(directory.join("root/out/file")) == Array("secret".utf8))
    }

    @Test(arguments: [
        "", "/etc", ".", "..", "a/..", "../outside", "a//b", "a/./b", "a/", "x\0y",
        String(repeating: "x", count: 256),
    ])
    func whatIsNoNameIsRefused(_ name: String) throws {
        for resolution in Self.both {
            let (directory, root) = try make(resolution)
            defer { withExtendedLifetime(directory) {} }
            expect(.invalid) { _ = try root.open(reading: name) }
            expect(.invalid) { _ = try root.create(name) }
            expect(.invalid) { try root.removeTree(name) }
            #expect(try root.names() == ["a"])
        }
    }

    @Test(.timeLimit(.minutes(1)), arguments: both)
    func whatIsNoFileIsRefusedAtOnce(_ resolution: RootDirectory.Resolution) throws {
        let (directory, root) = try make(resolution)
        try systemCall("mkfifo", "pipe") { mkfifo(directory.join("root/pipe"), 0o600) }
        let socket = Glibc.socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(socket) }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let path = directory.join("root/socket")
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8.prefix($0.count - 1)) }
        let bound = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(socket, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        try #require(bound == 0)
        for (name, what) in [("pipe", "a named pipe"), ("socket", "a socket"), ("a", "a directory")] {
            for isUpdate in [false, true] {
                do {
                    _ = try isUpdate ? root.open(updating: name).path : root.open(reading: name).path
                    Issue.record("\(name) was opened")
                } catch {
                    #expect(error.message.contains(what), "\(error)")
                }
            }
        }
    }

    /// Deeper than there are descriptors for, with names that are no text, and with links to what must stay.
    @Test(arguments: both) func aTreeGoesAndNothingElse(_ resolution: RootDirectory.Resolution) throws {
        let (directory, root) = try make(resolution)
        try root.makeDirectories("tree")
        var inner = try root.directory("tree")
        for _ in 0..<300 {
            try inner.makeDirectory("d")
            try inner.create("f").close()
            try systemCall("symlinkat", "l") { symlinkat("/", inner.descriptor, "l") }
            try systemCall("symlinkat", "m") { symlinkat(directory.join("outside"), inner.descriptor, "m") }
            let name = [CChar(bitPattern: 0xff), 1, 0]
            try systemCall("mkdirat", "n") { mkdirat(inner.descriptor, name, 0o700) }
            inner = try inner.directory("d")
        }
        try root.removeTree("tree")
        #expect(try root.names() == ["a"])
        #expect(try Bytes.read(directory.join("outside/file")) == Array("secret".utf8))
        try link(directory.join("outside"), directory.join("root/gone"))
        try Directory.removeTree(directory.join("root/gone"))
        #expect(try root.names() == ["a"])
        #expect(try Directory.list(directory.join("outside")) == ["file"])
    }

    /// Each link on the way is told before it is followed; an accent behind a slash hides none.
    @Test func aWalkTellsOfEachLink() throws {
        let (directory, _) = try make(.walk)
        let accented = "\u{301}file"
        try Bytes.write([1], to: directory.join("outside") + "/" + accented)
        try link("../outside", directory.join("root/out"))
        try link(directory.join("root/out"), directory.join("root/a/again"))
        func links(_ name: String, last: Bool = true) throws -> Int {
            var count = 0
            _ = try PathWalk.find(directory.join("root") + "/" + name, followsLast: last) { _ in count += 1 }
            return count
        }
        let above = try links(".")
        #expect(try links("a/b/file") == above)
        #expect(try links("out/file") == above + 1)
        #expect(try links("out/" + accented) == above + 1)
        #expect(try links("a/again/file") == above + 2)
        #expect(try links("a/again") == above + 2)
        #expect(try links("a/again", last: false) == above)
        try link("loop", directory.join("root/loop"))
        expect(.system) { try links("loop") }
    }

    /// Somebody exchanges a directory for a link to another one, all the time.
    @Test(arguments: both) func anExchangeLeadsNowhere(_ resolution: RootDirectory.Resolution) throws {
        let (directory, root) = try make(resolution)
        try link(directory.join("outside"), directory.join("root/link"))
        let isDone = Monitor(false)
        let attacker = try WorkerThread {
            while !isDone.change({ $0 }) {
                for (from, to) in [("a", "away"), ("link", "a"), ("a", "link"), ("away", "a")] {
                    rename(directory.join("root/\(from)"), directory.join("root/\(to)"))
                }
            }
        }
        try Directory.create(directory.join("outside/b"))
        try Bytes.write(Array("secret".utf8), to: directory.join("outside/b/file"))
        var ledAstray = 0
        for _ in 0..<2000 {
            if let bytes = try? root.read("a/b/file", limit: 100) {
                #expect(bytes == Array("inside".utf8))
            }
            if let file = try? root.create("a/b/new") {
                _ = consume file
                try? root.unlink("a/b/new")
            }
            // The control: what a path would have done.
            if let bytes = try? Bytes.read(directory.join("root/a/b/file")), bytes == Array("secret".utf8) {
                ledAstray += 1
            }
        }
        isDone.change { $0 = true }
        attacker.join()
        #expect(ledAstray > 0)
        #expect(try Directory.list(directory.join("outside/b")) == ["file"])
    }
}
