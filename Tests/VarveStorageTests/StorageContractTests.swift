import Testing
import VarveCopies
import VarveFiles
import VarveFormat
import VarveStorage
import VarveTestSupport

/// A kind of storage, made empty for each test.
struct StorageMaker: CustomTestStringConvertible, Sendable {
    let testDescription: String
    let make: @Sendable (TemporaryDirectory) throws -> any Storage

    static let all = [
        StorageMaker(testDescription: "DirectoryStorage") { directory in
            try DirectoryStorage.create(at: directory.path)
            return DirectoryStorage(directory.path)
        },
        StorageMaker(testDescription: "DirectoryStorage past the page cache") { directory in
            try DirectoryStorage.create(at: directory.path)
            return DirectoryStorage(directory.path, isPassingCache: true)
        },
        StorageMaker(testDescription: "MemoryStorage") { _ in MemoryStorage() },
        StorageMaker(testDescription: "CopySet") { directory in
            let copies = try ["a", "b"].map { name in
                try Directory.create(directory.join(name))
                try DirectoryStorage.create(at: directory.join(name))
                return CopySet.Member(
                    label: name, storage: DirectoryStorage(directory.join(name)), isComplete: true, check: {})
            }
            return CopySet(copies)
        },
    ]
}

/// What every storage does.
@Suite struct StorageContractTests {
    let directory: TemporaryDirectory

    init() throws { directory = try TemporaryDirectory() }

    private func object(_ kind: ObjectKind, _ first: String) -> ObjectName {
        let hash = first + String(repeating: "0", count: 64 - first.utf8.count)
        return switch kind {
        case .pack, .index, .summary, .parity, .ledger: ObjectName(kind, hash)
        case .manifest, .event: ObjectName(kind, "0000000001-" + hash)
        case .filter: ObjectName(kind, String(repeating: "a", count: 64) + "-" + hash)
        case .drill: ObjectName(kind, "20260101000000-" + hash)
        }
    }

    private func publish(_ storage: any Storage, _ object: ObjectName, _ parts: [UInt8]...) throws {
        let joined = parts.map { part -> UnsafeMutableRawBufferPointer in
            let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: part.count, alignment: 8)
            buffer.copyBytes(from: part)
            return buffer
        }
        defer { for buffer in joined { buffer.deallocate() } }
        try storage.publish(object, joined.map { UnsafeRawBufferPointer($0) })
    }

    @Test(arguments: StorageMaker.all, ObjectKind.allCases)
    func publishedIsThere(_ maker: StorageMaker, _ kind: ObjectKind) throws {
        let storage = try maker.make(directory)
        let name = object(kind, "ab")
        #expect(try storage.size(of: name) == nil)
        try publish(storage, name, [1, 2, 3], [], [4, 5])
        #expect(try storage.size(of: name) == 5)
        #expect(try storage.readAll(name, limit: 5) == [1, 2, 3, 4, 5])
        // In pieces, also when it has been removed; never beyond its end.
        let opened = try storage.open(name)
        if kind.isCache { try storage.remove(name) }
        #expect(opened.byteCount == 5)
        var piece: [UInt8] = [0, 0]
        try piece.withUnsafeMutableBytes { try opened.read(at: 3, into: $0) }
        #expect(piece == [4, 5])
        expect(.corrupt) {
            try piece.withUnsafeMutableBytes { try opened.read(at: 4, into: $0) }
        }
        for other in ObjectKind.allCases where other != kind {
            #expect(try storage.size(of: object(other, "ab")) == nil)
        }
    }

    @Test(arguments: StorageMaker.all) func anEmptyObject(_ maker: StorageMaker) throws {
        let storage = try maker.make(directory)
        let name = object(.index, "00")
        try publish(storage, name)
        #expect(try storage.size(of: name) == 0)
        #expect(try storage.readAll(name, limit: 0).isEmpty)
        #expect(try storage.open(name).byteCount == 0)
    }

    @Test(arguments: StorageMaker.all) func publishedTwice(_ maker: StorageMaker) throws {
        let storage = try maker.make(directory)
        let name = object(.pack, "ab")
        try publish(storage, name, [1, 2, 3])
        try publish(storage, name, [1], [2, 3])
        #expect(try storage.readAll(name, limit: 3) == [1, 2, 3])
        #expect(try storage.list(.pack) == [name.name])
    }

    @Test(arguments: StorageMaker.all, [[9, 2, 3], [1, 2], [1, 2, 3, 4], []] as [[UInt8]])
    func aDamagedObjectGivesWay(_ maker: StorageMaker, _ damaged: [UInt8]) throws {
        let storage = try maker.make(directory)
        let name = object(.pack, "ab")
        try publish(storage, name, damaged)
        _ = try storage.readAll(name, limit: 9)
        try publish(storage, name, [1, 2, 3])
        #expect(try storage.readAll(name, limit: 3) == [1, 2, 3])
        guard storage is DirectoryStorage else { return }
        // Evidence: kept, out of the way.
        let kept = try Directory.list(directory.join("quarantine"))
        #expect(kept.count == 1 && kept.first?.hasPrefix("packs-\(name.name)-") == true)
        #expect(try Bytes.read(directory.join("quarantine/\(kept.first ?? "")")) == damaged)
    }

    @Test(arguments: StorageMaker.all) func ranges(_ maker: StorageMaker) throws {
        let storage = try maker.make(directory)
        let name = object(.pack, "ab")
        let bytes = Array(0..<100 as Range<UInt8>)
        try publish(storage, name, bytes)
        for (offset, count) in [(0, 0), (0, 100), (1, 50), (99, 1), (99, 2), (100, 5), (5000, 5), (0, 200)] {
            var buffer = [UInt8](repeating: 0xEE, count: count)
            let read = try buffer.withUnsafeMutableBytes {
                try storage.read(name, at: UInt64(offset), into: $0)
            }
            let expected = Array(bytes.dropFirst(offset).prefix(count))
            #expect(read == expected.count, "\(count) bytes at \(offset)")
            #expect(Array(buffer.prefix(read)) == expected)
            #expect(buffer.dropFirst(read).allSatisfy { $0 == 0xEE })
        }
        expect(.corrupt) { try storage.readAll(name, limit: 99) }
    }

    @Test(arguments: StorageMaker.all) func listsAreSorted(_ maker: StorageMaker) throws {
        let storage = try maker.make(directory)
        let names = ["ff", "00", "7a", "7b", "70"]
        for kind in ObjectKind.allCases {
            #expect(try storage.list(kind).isEmpty)
            for name in names { try publish(storage, object(kind, name), [1]) }
            #expect(try storage.list(kind) == names.sorted().map { object(kind, $0).name })
        }
    }

    @Test(arguments: StorageMaker.all) func whatIsMissing(_ maker: StorageMaker) throws {
        let storage = try maker.make(directory)
        let name = object(.manifest, "ab")
        var buffer: [UInt8] = [0]
        expect(.missing) { try storage.readAll(name, limit: 9) }
        expect(.missing) { _ = try storage.open(name) }
        expect(.missing) {
            try buffer.withUnsafeMutableBytes { try storage.read(name, at: 0, into: $0) }
        }
        try storage.remove(name)
        try storage.setAside(name)
    }

    @Test(arguments: StorageMaker.all) func removedAndSetAside(_ maker: StorageMaker) throws {
        let storage = try maker.make(directory)
        for (first, act) in [("ab", storage.remove), ("cd", storage.setAside)] {
            let name = object(.pack, first)
            try publish(storage, name, [1, 2])
            // A reader may hold it open.
            _ = try storage.readAll(name, limit: 2)
            try act(name)
            #expect(try storage.size(of: name) == nil)
            expect(.missing) { try storage.readAll(name, limit: 2) }
            #expect(try storage.list(.pack).isEmpty)
        }
    }

    /// More objects than descriptors are kept open, from several threads.
    @Test(arguments: StorageMaker.all) func manyReaders(_ maker: StorageMaker) throws {
        let storage = try maker.make(directory)
        let names = (16..<116).map { object(.pack, String($0, radix: 16)) }
        for (number, name) in names.enumerated() { try publish(storage, name, [UInt8(number)]) }
        let wrong = Monitor(0)
        let threads = try (0..<4).map { _ in
            try WorkerThread {
                for round in 0..<500 {
                    let number = round * 37 % names.count
                    let read = try? storage.readAll(names[number], limit: 1)
                    if read != [UInt8(number)] { wrong.change { $0 += 1 } }
                }
            }
        }
        for thread in threads { thread.join() }
        #expect(wrong.change { $0 } == 0)
    }
}
