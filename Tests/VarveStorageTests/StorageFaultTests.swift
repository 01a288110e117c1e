import Foundation
import Testing
import VarveFiles
import VarveFormat
import VarveStorage
import VarveTestSupport

import enum ProcessSupport.Machine

/// A file system of its own, for faults; unmounted when it goes.
final class SmallFileSystem {
    let directory: TemporaryDirectory

    init(options: String) throws {
        directory = try TemporaryDirectory()
        try #require(try Self.run("mount", "-t", "tmpfs", "-o", options, "varve-test", directory.path))
    }

    deinit { _ = try? Self.run("umount", directory.path) }

    func remount(_ options: String) throws -> Bool {
        try Self.run("mount", "-o", "remount,\(options)", directory.path)
    }

    private static func run(_ arguments: String...) throws -> Bool {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = arguments
        process.standardError = FileHandle.nullDevice
        try process.run()
        process.waitUntilExit()
        return process.terminationStatus == 0
    }
}

@Suite struct StorageFaultTests {
    private let name = ObjectName(.pack, String(repeating: "a", count: 64))

    private func publish(_ bytes: [UInt8], _ storage: DirectoryStorage) throws {
        try bytes.withUnsafeBytes { try storage.publish(name, [$0]) }
    }

    @Test(.needsMounting(), arguments: ["size=2m", "size=64m,nr_inodes=280"])
    func aFullFileSystemLeavesNothing(_ options: String) throws {
        let fileSystem = try SmallFileSystem(options: options)
        let path = fileSystem.directory.path
        try DirectoryStorage.create(at: path)
        let storage = DirectoryStorage(path)
        if options.contains("nr_inodes") {
            var number = 0
            while (try? Bytes.write([], to: Path.join(path, "filler-\(number)"))) != nil { number += 1 }
        }
        let error = expect(.system) {
            try publish([UInt8](repeating: 1, count: 4 << 20), storage)
        }
        #expect(error?.isNoSpace == true && error?.hint != nil)
        #expect(try storage.size(of: name) == nil)
        #expect(try Directory.list(Path.join(path, "tmp")).isEmpty)
        // Room again: the same call goes through.
        if options.contains("nr_inodes") { try Directory.removeFile(Path.join(path, "filler-0")) }
        // A process that another test starts holds the file that is gone until it executes its program.
        try inTime(5) { try publish([1, 2, 3], storage) }
        #expect(try storage.readAll(name, limit: 3) == [1, 2, 3])
    }

    /// Tries again while there is no room.
    private func inTime(_ seconds: Int, _ body: () throws -> Void) throws {
        let deadline = ContinuousClock.now + .seconds(seconds)
        while true {
            do { return try body() } catch let error as VarveError where error.isNoSpace {
                if ContinuousClock.now > deadline { throw error }
            }
            usleep(10_000)
        }
    }

    @Test(.needsMounting()) func aReadOnlyFileSystem() throws {
        let fileSystem = try SmallFileSystem(options: "size=8m")
        let storage = DirectoryStorage(fileSystem.directory.path)
        try DirectoryStorage.create(at: fileSystem.directory.path)
        try #require(try fileSystem.remount("ro"))
        let error = expect(.system) { try publish([1], storage) }
        #expect(error?.errno == EROFS && error?.hint != nil)
    }

    @Test(.enabled(if: !Host.isRoot, "root may write everywhere")) func anUnwritableDirectory() throws {
        let directory = try TemporaryDirectory()
        try DirectoryStorage.create(at: directory.path)
        chmod(directory.join("tmp"), 0o500)
        defer { chmod(directory.join("tmp"), 0o700) }
        let error = expect(.system) { try publish([1], DirectoryStorage(directory.path)) }
        #expect(error?.errno == EACCES && error?.hint != nil)
    }

    /// A lost shard takes its packs with it, and keeps no new one out.
    @Test func aMissingDirectory() throws {
        let directory = try TemporaryDirectory()
        try DirectoryStorage.create(at: directory.path)
        try Directory.removeTree(directory.join("packs/aa"))
        let storage = DirectoryStorage(directory.path)
        try publish([1], storage)
        #expect(try storage.list(.pack).count == 1)
        #expect(try Directory.list(directory.join("tmp")).isEmpty)
        try Directory.removeTree(directory.join("manifests"))
        expect(.system) {
            try [UInt8(1)].withUnsafeBytes { try storage.publish(ObjectName(.manifest, name.name), [$0]) }
        }
        #expect(try Directory.list(directory.join("tmp")).isEmpty)
    }

    /// Whole blocks go past the cache, the end through it; what is not aligned all through it. On a disk and in memory.
    @Test(arguments: ["/var/tmp", "/dev/shm"]) func pastThePageCache(_ parent: String) throws {
        let directory = try TemporaryDirectory(in: parent)
        try DirectoryStorage.create(at: directory.path)
        let storage = DirectoryStorage(directory.path, isPassingCache: true)
        var random = SeededRandom(seed: 1)
        let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: 3 << 20, alignment: 4096)
        defer { memory.deallocate() }
        memory.copyBytes(from: random.bytes(memory.count))
        for (number, length) in [0, 1, 4095, 4096, 4097, 8192, 1 << 20, (2 << 20) + 5, 3 << 20].enumerated() {
            for (start, kind) in [(0, ObjectKind.pack), (8, .pack), (0, .manifest)] {
                let bytes = UnsafeRawBufferPointer(rebasing: memory[min(start, length)..<length])
                let object = ObjectName(kind, "\(number)\(start)" + String(repeating: "0", count: 60))
                try storage.publish(object, [bytes])
                let stored = try storage.readAll(object, limit: memory.count)
                #expect(stored.elementsEqual(bytes), "\(length) bytes from \(start)")
            }
        }
    }

    @Test func publicationNeverReplaces() throws {
        let directory = try TemporaryDirectory()
        try Bytes.write([7], to: directory.join("there"))
        let published = try Publication.publish(in: RootDirectory(directory.path), ".", temporary: ".") {
            (file) throws(VarveError) in
            try [1, 2].withBytes { (bytes) throws(VarveError) in try file.append(bytes) }
            return "there"
        }
        #expect(!published.isNew)
        #expect(try Bytes.read(directory.join("there")) == [7])
        #expect(try Directory.list(directory.path) == ["there"])
    }

    @Test func publishedFilesAreReadOnly() throws {
        let directory = try TemporaryDirectory()
        try DirectoryStorage.create(at: directory.path)
        let storage = DirectoryStorage(directory.path)
        try publish([1], storage)
        #expect(try FileStatus.of(storage.path(of: name))?.mode == 0o400)
    }

    /// A shard is chosen by the name; a pack that lies in another is no pack of this storage.
    @Test func aSymbolicLinkIsNotWrittenThrough() throws {
        let directory = try TemporaryDirectory()
        try DirectoryStorage.create(at: directory.path)
        try Bytes.write([9], to: directory.join("outside"))
        symlink(directory.join("outside"), directory.join("packs/aa/\(name.name)"))
        try publish([1, 2], DirectoryStorage(directory.path))
        #expect(try Bytes.read(directory.join("outside")) == [9])
        #expect(try DirectoryStorage(directory.path).readAll(name, limit: 2) == [1, 2])
    }
}
