import Glibc
import Testing
import VarveFiles
import VarveFormat
import VarveTestSupport

import enum ProcessSupport.Machine

@Suite struct FileLockTests {
    let directory: TemporaryDirectory
    var path: String { directory.join("lock") }

    init() throws { directory = try TemporaryDirectory() }

    private func lock(_ mode: FileLock.Mode) throws -> FileLock {
        guard let lock = try FileLock.acquire(path, mode) else { throw VarveError(.locked, path) }
        return lock
    }

    private func canLock(_ mode: FileLock.Mode) throws -> Bool {
        // Released at once.
        switch try FileLock.acquire(path, mode) {
        case .none: false
        case .some: true
        }
    }

    @Test func oneWriterOrManyReaders() throws {
        do {
            let writer = try lock(.exclusive)
            #expect(try !canLock(.exclusive) && !canLock(.shared))
            withExtended(writer)
        }
        let first = try lock(.shared)
        do {
            let second = try lock(.shared)
            #expect(try !canLock(.exclusive) && canLock(.shared))
            withExtended(second)
        }
        // One reader is enough to keep a writer out.
        #expect(try !canLock(.exclusive))
        withExtended(first)
    }

    /// A descriptor is held until here.
    private func withExtended(_ lock: borrowing FileLock) {}

    @Test func itIsReleasedAtItsEnd() throws {
        do {
            let held = try lock(.exclusive)
            // Another descriptor of the same file, opened and closed: a POSIX record lock would be gone.
            _ = try Bytes.read(path)
            #expect(try !canLock(.exclusive))
            withExtended(held)
        }
        #expect(try canLock(.exclusive))
    }

    @Test(.needs("flock"))
    func aKilledProcessHoldsNothing() throws {
        let pipe = try VarveFiles.Pipe()
        let child = try ChildProcess(
            "/usr/bin/flock", arguments: ["--no-fork", path, "/bin/sh", "-c", "echo held; exec sleep 100"],
            environment: [], descriptors: [(pipe.writing.descriptor, 1)])
        #expect(try pipe.reading.readSome() == Array("held\n".utf8))
        #expect(try !canLock(.exclusive) && !canLock(.shared), "the control")
        try child.send(signal: SIGKILL)
        #expect(try child.wait() == .killed(signal: SIGKILL))
        #expect(try canLock(.exclusive))
    }

    @Test func itsHolderIsNamed() throws {
        #expect(FileLock.holder(path) == nil)
        let held = try lock(.exclusive)
        #expect(FileLock.holder(path) == nil)
        try held.describeHolder("a long description of process 7")
        try held.describeHolder("process 8")
        #expect(FileLock.holder(path) == "process 8")
        #expect(FileLock.holder("lock", in: try RootDirectory(directory.path)) == "process 8")
    }

    /// Somebody's file that was linked to where the lock is, is neither locked through a link nor written to.
    @Test func nothingIsWrittenThroughALink() throws {
        try Bytes.write([1, 2, 3], to: directory.join("victim"))
        try FileKind.symbolicLink(path, to: "victim")
        #expect(expect(.system) { try FileLock.acquire(path, .exclusive) }?.errno == ELOOP)
        let root = try RootDirectory(directory.path)
        expect(.refused) { try FileLock.acquire("lock", in: root, .exclusive) }
        try Directory.removeFile(path)
        try systemCall("link", path) { link(directory.join("victim"), path) }
        guard let held = try FileLock.acquire("lock", in: root, .exclusive) else {
            throw VarveError(.locked, path)
        }
        try held.describeHolder("process 7")
        #expect(try Bytes.read(directory.join("victim")) == [1, 2, 3])
    }
}
