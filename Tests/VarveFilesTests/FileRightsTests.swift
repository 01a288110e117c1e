import Glibc
import Testing
import VarveFiles
import VarveFormat
import VarveTestSupport

import enum ProcessSupport.Machine

/// As root: what counts is what the owner may do, and only for the thread that asks.
@Suite(.needsRoot("to take on the rights of others")) struct FileRightsTests {
    private static let nobody: uid_t = 65534

    private func home(mode: mode_t = 0o755) throws -> (TemporaryDirectory, RootDirectory) {
        let directory = try TemporaryDirectory()
        chmod(directory.path, 0o755)
        try Directory.create(directory.join("home"))
        chown(directory.join("home"), Self.nobody, Self.nobody)
        chmod(directory.join("home"), mode)
        try Bytes.write(Array("secret".utf8), to: directory.join("secret"))
        try Bytes.write(Array("open".utf8), to: directory.join("open"))
        chmod(directory.join("open"), 0o644)
        return (directory, try RootDirectory(directory.join("home")))
    }

    @Test func whatTheOwnerMayNotRootMayNot() throws {
        let (directory, root) = try home()
        let rights = try FileRights(ofEnvironment: root)
        #expect(rights.user == Self.nobody)
        expect(.system) {
            try rights.perform { () throws(VarveError) in try Bytes.read(directory.join("secret")) }
        }
        expect(.system) {
            try rights.perform { () throws(VarveError) in try Bytes.write([1], to: directory.join("new")) }
        }
        expect(.system) {
            try rights.perform { () throws(VarveError) in try Directory.removeFile(directory.join("open")) }
        }
        // The controls: he may read this, root may read that, before and after and where calls are nested.
        #expect(
            try rights.perform { () throws(VarveError) in try Bytes.read(directory.join("open")) }
                == Array("open".utf8))
        #expect(try Bytes.read(directory.join("secret")) == Array("secret".utf8))
        try rights.perform { () throws(VarveError) in
            _ = try rights.perform { () throws(VarveError) in try Bytes.read(directory.join("open")) }
            var isRefused = false
            do { _ = try Bytes.read(directory.join("secret")) } catch { isRefused = true }
            #expect(isRefused, "a call within a call gives the owner's rights back too early")
            try root.create("his").close()
        }
        #expect(try root.status(of: "his")?.user == Self.nobody)
        try root.create("roots").close()
        #expect(try root.status(of: "roots")?.user == 0)
    }

    @Test func theOtherThreadsStayRoots() throws {
        let (directory, root) = try home()
        let rights = try FileRights(ofEnvironment: root)
        let isDone = Monitor(false)
        let failures = Monitor(0)
        let other = try WorkerThread {
            while !isDone.change({ $0 }) {
                if (try? Bytes.read(directory.join("secret"))) == nil { failures.change { $0 += 1 } }
            }
        }
        for _ in 0..<2000 {
            let bytes = rights.tryRead(directory.join("secret"))
            #expect(bytes == nil)
        }
        isDone.change { $0 = true }
        other.join()
        #expect(failures.change { $0 } == 0)
    }

    /// A home that root made for a group is its members'; one that nobody else can write is root's.
    @Test func aHomeOfAGroup() throws {
        let (directory, root) = try home()
        let path = directory.join("home")
        // `nobody` is a member of its own group.
        chown(path, 0, Self.nobody)
        chmod(path, 0o2775)
        #expect(try FileRights(ofEnvironment: root).user == 0)
        let region = Path.join(path, FileRights.regionName)
        try Bytes.write([0], to: region)
        chown(region, Self.nobody, Self.nobody)
        chmod(region, 0o664)
        let shared = try FileRights(ofEnvironment: root)
        #expect(shared.user == Self.nobody && shared.group == Self.nobody && shared.isShared)
        try shared.requireOwnRegion(try #require(try FileStatus.of(region)), path)
        // Not writable for the group: not theirs. Root does not join it.
        chmod(region, 0o600)
        let own = try FileRights(ofEnvironment: root)
        #expect(own.user == 0)
        let status = try #require(try FileStatus.of(region))
        expect(.notOwner) { try own.requireOwnRegion(status, path) }
        // A link to somebody's region makes root nobody.
        unlink(region)
        try systemCall("symlink", region) { symlink(directory.join("open"), region) }
        #expect(try FileRights(ofEnvironment: root).user == 0)
        // Root's own region, where others can exchange it.
        unlink(region)
        try Bytes.write([0], to: region)
        let roots = try #require(try FileStatus.of(region))
        expect(.notOwner) { try FileRights(ofEnvironment: root).requireOwnRegion(roots, path) }
        chmod(path, 0o755)
        try FileRights(ofEnvironment: root).requireOwnRegion(roots, path)
    }
}

extension FileRights {
    fileprivate func tryRead(_ path: String) -> [UInt8]? {
        try? perform { () throws(VarveError) in try Bytes.read(path) }
    }
}
