import Glibc
import Testing
import VarveFiles
import VarveFormat
import VarveTestSupport

@Suite struct PathTests {
    @Test(arguments: [
        ("/a", "b", "/a/b"), ("/a/", "b", "/a/b"), ("/", "b", "/b"), ("a", "b/c", "a/b/c"), ("", "b", "b"),
        ("/a", "/b", "/b"), ("/a", ".", "/a"), ("/a", "", "/a"), (".", "b", "./b"), ("/a", "..", "/a/.."),
    ])
    func joined(_ directory: String, _ name: String, _ path: String) {
        #expect(Path.join(directory, name) == path)
    }

    @Test(arguments: [
        ("/a/b", "/a", "b"), ("/a/b/", "/a", "b"), ("/a", "/", "a"), ("/a///", "/", "a"), ("a", ".", "a"),
        ("a/", ".", "a"), ("a/b", "a", "b"), ("/", "/", ""),
    ])
    func takenApart(_ path: String, _ parent: String, _ name: String) {
        #expect(Path.parent(path) == parent)
        #expect(Path.name(path) == name)
    }

    /// As dirname(1) and basename(1) have it, and together again it is the same.
    @Test func randomPaths() {
        var random = SeededRandom()
        for _ in 0..<500 {
            let names = (0..<Int.random(in: 1...5, using: &random)).map { _ in
                String(
                    (0..<Int.random(in: 1...4, using: &random)).map { _ in
                        "ab.é-".randomElement(using: &random) ?? "a"
                    })
            }.filter { $0 != "." && $0 != ".." }
            guard let last = names.last else { continue }
            let path = (Bool.random(using: &random) ? "/" : "./") + names.joined(separator: "/")
            #expect(Path.name(path) == last, "'\(path)', seed \(random.seed)")
            #expect(Path.join(Path.parent(path), Path.name(path)) == path, "'\(path)', seed \(random.seed)")
        }
    }

    @Test func randomNamesDiffer() {
        let names = (0..<1000).map { _ in Path.randomName() }
        #expect(Set(names).count == 1000)
        #expect(names.allSatisfy { !$0.isEmpty && $0.count <= 13 && !$0.contains("/") && !$0.contains(".") })
    }

    @Test func resolved() throws {
        let directory = try TemporaryDirectory()
        let real = try Path.resolve(directory.path)
        try Directory.create(directory.join("a"))
        try FileKind.symbolicLink(directory.join("link"), to: "a")
        #expect(try Path.resolve(directory.join("link/../link/.")) == Path.join(real, "a"))
        #expect(try Path.resolve("/").elementsEqual("/"))
        #expect(expect(.system) { try Path.resolve(directory.join("none")) }?.errno == ENOENT)
    }
}

@Suite struct PathWalkTests {
    let directory: TemporaryDirectory

    init() throws {
        directory = try TemporaryDirectory()
        try Directory.createAll(directory.join("a/b"))
        try Bytes.write([7], to: directory.join("a/b/file"))
    }

    /// What the place holds, read without following links.
    private func read(
        _ path: String, from root: RootDirectory? = nil, last: Bool = true,
        _ mayFollow: (FileStatus) throws(VarveError) -> Void = { _ in }
    ) throws -> [UInt8] {
        let place = try PathWalk.find(
            path, from: root?.descriptor, followsLast: last, mayFollow: mayFollow)
        let descriptor = try systemCall("openat", place.name) {
            openat(place.directory.descriptor, place.name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC)
        }
        return try File(descriptor: descriptor, path: path).readAll(limit: 100)
    }

    @Test func whereItLeads() throws {
        try FileKind.symbolicLink(directory.join("relative"), to: "a/./b")
        try FileKind.symbolicLink(directory.join("absolute"), to: directory.join("a/b/file"))
        try FileKind.symbolicLink(directory.join("a/up"), to: "../relative/../b")
        for name in ["a/b/file", "a//b/./file", "a/../a/b/file", "relative/file", "absolute", "a/up/file"] {
            #expect(try read(directory.path + "/" + name) == [7], "\(name)")
        }
        let root = try RootDirectory(directory.path)
        #expect(try read("a/up/file", from: root) == [7])
        #expect(try read(directory.join("absolute"), from: root) == [7])
        // A last link is not followed where that is not wanted: then it is what the name is.
        #expect(expect(.system) { try read("absolute", from: root, last: false) }?.errno == ELOOP)
        let place = try PathWalk.find("a/up", from: root.descriptor, followsLast: false) { _ in
            Issue.record("no link is on the way")
        }
        #expect(place.name == "up")
        #expect(try place.directory.status().inode == FileStatus.of(directory.join("a"))?.inode)
        // Of the root itself there is no name.
        #expect(try PathWalk.find("/", mayFollow: { _ in }).name == ".")
    }

    /// A name that is not there yet has a place; one on the way must be there.
    @Test func whatIsNotThere() throws {
        let place = try PathWalk.find(directory.join("a/new"), followsLast: false) { _ in }
        #expect(place.name == "new")
        expect(.system) { try PathWalk.find(directory.join("a/new")) { _ in }.name }
        expect(.system) { try PathWalk.find(directory.join("none/new"), followsLast: false) { _ in }.name }
        expect(.system) { try PathWalk.find(directory.join("a/b/file/x")) { _ in }.name }
    }

    /// Each link is told, and none is followed that must not be.
    @Test func eachLinkIsAskedAbout() throws {
        try FileKind.symbolicLink(directory.join("one"), to: "a")
        try FileKind.symbolicLink(directory.join("two"), to: "one/b")
        let root = try RootDirectory(directory.path)
        var links: [FileStatus.Kind] = []
        #expect(try read("two/file", from: root) { links.append($0.kind) } == [7])
        #expect(links == [.symbolicLink, .symbolicLink])
        for allowed in 0..<2 {
            links = []
            expect(.refused) {
                try read("two/file", from: root) { (status) throws(VarveError) in
                    links.append(status.kind)
                    if links.count > allowed { throw VarveError(.refused, "no link is followed") }
                }
            }
            #expect(links.count == allowed + 1)
        }
    }

    /// As many as the kernel follows, and no more.
    @Test func aChainOfLinks() throws {
        try FileKind.symbolicLink(directory.join("link-0"), to: "a/b/file")
        for number in 1...40 {
            try FileKind.symbolicLink(directory.join("link-\(number)"), to: "link-\(number - 1)")
        }
        let root = try RootDirectory(directory.path)
        #expect(try read("link-39", from: root) == [7])
        #expect(try Bytes.read(directory.join("link-39")) == [7], "the kernel's own walk")
        #expect(expect(.system) { try read("link-40", from: root) }?.errno == ELOOP)
        #expect(expect(.system) { try Bytes.read(directory.join("link-40")) }?.errno == ELOOP)
    }
}
