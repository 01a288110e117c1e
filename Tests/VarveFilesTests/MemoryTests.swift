import Glibc
import Testing
import VarveTestSupport

@testable import VarveFiles

@Suite struct SharedMemoryTests {
    /// What a child writes to the descriptor, we see; and the other way round.
    @Test func aChildSharesIt() throws {
        let memory = try SharedMemory(count: 8192)
        #expect(memory.bytes.count == 8192 && memory.bytes.allSatisfy { $0 == 0 })
        memory.bytes[4096] = UInt8(ascii: "x")
        let pipe = try VarveFiles.Pipe()
        let memoryFile = "/proc/self/fd/5"
        let script = """
            printf abc | dd of=\(memoryFile) conv=notrunc 2>/dev/null
            dd if=\(memoryFile) bs=1 skip=4096 count=1 2>/dev/null
            """
        let child = try ChildProcess(
            "/bin/sh", arguments: ["-c", script], environment: ["PATH=/usr/bin:/bin"],
            descriptors: [(memory.file.descriptor, 5), (pipe.writing.descriptor, 1)])
        #expect(try pipe.reading.readSome() == [UInt8(ascii: "x")])
        #expect(try child.wait() == .exited(0))
        #expect(memory.bytes.prefix(4).elementsEqual([97, 98, 99, 0]))
    }

    @Test func twoMappingsOfOneMemory() throws {
        let memory = try SharedMemory(count: 5000)
        let copy = dup(memory.file.descriptor)
        let other = try SharedMemory(mapping: File(descriptor: copy, path: "copy"))
        #expect(other.bytes.count == 5000)
        memory.bytes[4999] = 7
        #expect(other.bytes[4999] == 7)
        other.bytes[0] = 8
        #expect(memory.bytes[0] == 8)
        // The control: another memory is another.
        #expect(try SharedMemory(count: 5000).bytes[4999] == 0)
        #expect(try memory.file.status().links == 0)
    }

    @Test func whatCanNotBeMapped() throws {
        #expect(
            expect(.system) { try SharedMemory(mapping: File.memory("empty")).bytes.count }?.errno == EINVAL)
        let directory = try TemporaryDirectory()
        try Bytes.write([1], to: directory.join("file"))
        let readOnly = try File.open(reading: directory.join("file"))
        let copy = dup(readOnly.descriptor)
        let error = expect(.system) {
            try SharedMemory(mapping: File(descriptor: copy, path: "copy")).bytes.count
        }
        #expect(error?.errno == EACCES)
        withExtendedLifetime(readOnly) {}
    }
}

@Suite struct MappedFileTests {
    private func found(_ name: String) throws -> [MappedFile] {
        try MappedFile.find(named: name) { $0.contains(name) }.found.filter { $0.process == getpid() }
    }

    @Test func aMappingIsFoundByItsName() throws {
        let directory = try TemporaryDirectory()
        let name = "mapped by \(Path.randomName())"
        let file = try File.create(directory.join(name))
        try file.truncate(to: 4096)
        let inode = try file.status().inode
        // Open alone is no mapping.
        #expect(try found(name).isEmpty)
        let address = mmap(nil, 4096, PROT_READ, MAP_SHARED, file.descriptor, 0)
        try #require(address != MAP_FAILED)
        #expect(try found(name) == [MappedFile(process: getpid(), inode: inode, isDeleted: false)])
        #expect(try MappedFile.of(getpid(), named: name).count == 1)
        // Its last component is the name, and all of it.
        #expect(try found(String(name.dropFirst())).isEmpty && found(name + "x").isEmpty)
        try Directory.removeFile(directory.join(name))
        #expect(try found(name) == [MappedFile(process: getpid(), inode: inode, isDeleted: true)])
        munmap(address, 4096)
        #expect(try found(name).isEmpty)
    }

    @Test func aProcessThatIsGone() throws {
        let child = try ChildProcess("/bin/true", environment: [], descriptors: [])
        _ = try child.wait()
        let error = expect(.system) { try MappedFile.of(child.process, named: "x") }
        #expect(error?.isNoEntry == true || error?.errno == ESRCH)
    }
}

@Suite struct FileSystemTypeTests {
    @Test func whatTheKernelTells() throws {
        // `PROC_SUPER_MAGIC`; the temporary directory is on another.
        #expect(try FileSystemType.of("/proc").rawValue == 0x9fa0)
        let directory = try TemporaryDirectory()
        #expect(try FileSystemType.of(directory.path) != FileSystemType.of("/proc"))
        #expect(try FileSystemType.of(directory.path) == FileSystemType.of(Path.parent(directory.path)))
        #expect(expect(.system) { try FileSystemType.of(directory.join("none")) }?.errno == ENOENT)
    }

    @Test func howMuchRoomThereIs() throws {
        let directory = try TemporaryDirectory()
        let capacity = FileSystemType.capacityBytes(directory.path)
        #expect(capacity > 0 && FileSystemType.availableBytes(directory.path) <= capacity)
        #expect(FileSystemType.capacityBytes(directory.join("none")) == 0)
        #expect(FileSystemType.availableBytes(directory.join("none")) == 0)
        #expect(FileSystemType.capacityBytes("/proc") == 0)
    }
}
