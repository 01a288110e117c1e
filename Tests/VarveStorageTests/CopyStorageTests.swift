import Testing
import VarveFiles
import VarveFormat
import VarveStorage
import VarveTestSupport

/// What every storage of a whole copy does beside what every storage does.
@Suite struct CopyStorageTests {
    enum Kind: CaseIterable { case directory, memory }

    private let directory: TemporaryDirectory
    private let pack = ObjectName(.pack, String(repeating: "ab", count: 32))

    init() throws { directory = try TemporaryDirectory() }

    private func make(_ kind: Kind) throws -> any CopyStorage {
        guard kind == .directory else { return MemoryStorage() }
        try DirectoryStorage.create(at: directory.path)
        return DirectoryStorage(directory.path)
    }

    @Test(arguments: Kind.allCases) func documents(_ kind: Kind) throws {
        let storage = try make(kind)
        #expect(try storage.readDocument("varve.json") == nil && !storage.holds(document: "varve.json"))
        #expect(try storage.documentNames(in: "copies").isEmpty)
        for bytes in [[1, 2, 3], [4], []] as [[UInt8]] {
            try storage.replaceDocument("varve.json", with: bytes)
            #expect(try storage.readDocument("varve.json") == bytes)
        }
        for name in ["b", "a"] { try storage.replaceDocument("copies/\(name).json", with: [7]) }
        #expect(try storage.documentNames(in: "copies").sorted() == ["a.json", "b.json"])
        #expect(try storage.holds(document: "copies/a.json"))
        try storage.removeDocument("copies/a.json")
        try storage.removeDocument("copies/a.json")
        try storage.setAside(document: "varve.json")
        try storage.setAside(document: "varve.json")
        #expect(try storage.documentNames(in: "copies") == ["b.json"])
        #expect(try storage.readDocument("varve.json") == nil)
    }

    private func publish(_ storage: any CopyStorage, _ bytes: [UInt8]) throws {
        try bytes.withUnsafeBytes { try storage.publish(pack, [$0]) }
    }

    @Test(arguments: Kind.allCases) func objectsHaveTimes(_ kind: Kind) throws {
        let storage = try make(kind)
        #expect(try storage.status(of: pack) == nil)
        let before = Clock.now()
        try publish(storage, [1, 2, 3])
        let status = try #require(try storage.status(of: pack))
        // A file's times are those of the kernel's last tick.
        #expect(status.size == 3 && status.modified.seconds >= before.seconds - 1)
        #expect(status.changed.seconds >= before.seconds - 1)
        #expect(try storage.listing(.pack).objects == [pack.name])
        #expect(try storage.lost(.pack).isEmpty)
        try storage.setAside(pack)
        let lost = try storage.lost(.pack)
        #expect(lost.map(\.object) == [pack] && lost[0].setAside >= lost[0].written)
        try publish(storage, [1, 2, 3])
        #expect(try storage.lost(.pack).isEmpty, "what has taken its place is no loss")
    }

    @Test(arguments: Kind.allCases) func writtenNowAndNamedLater(_ kind: Kind) throws {
        let storage = try make(kind)
        func staged(_ bytes: [UInt8]) throws -> any StagedObject {
            let file = try storage.stage()
            try bytes.withUnsafeBytes { try file.append($0) }
            file.startWriting(last: bytes.count)
            try file.finish(modified: Timestamp(seconds: 1000))
            return file
        }
        let first = try staged([1, 2])
        #expect(try storage.size(of: pack) == nil, "it has no name yet")
        #expect(try storage.publish([(pack, first)], replacing: []) == [true])
        #expect(try storage.status(of: pack)?.modified == Timestamp(seconds: 1000))
        #expect(try storage.publish([(pack, staged([9]))], replacing: []) == [false])
        #expect(try storage.readAll(pack, limit: 9) == [1, 2], "it was there already")
        #expect(try storage.publish([(pack, staged([9]))], replacing: [pack]) == [true])
        #expect(try storage.readAll(pack, limit: 9) == [9])
    }

    @Test(arguments: Kind.allCases) func oneWriterAtATime(_ kind: Kind) throws {
        let storage = try make(kind)
        #expect(!storage.isLeased)
        var lease: (any WriterLease)? = try storage.acquireLease(as: "the first")
        #expect(lease != nil && storage.isLeased)
        let error = #expect(throws: VarveError.self) { _ = try storage.acquireLease(as: "the second") }
        #expect(error?.code == .locked && error?.isTransient == true)
        lease = nil
        #expect(!storage.isLeased)
        _ = try storage.acquireLease(as: "the third")
    }
}
