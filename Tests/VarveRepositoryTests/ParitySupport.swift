import Glibc
import Synchronization
import Testing
import VarveFiles
import VarveFormat
import VarveStorage
import VarveTestSupport

@testable import VarveRepository
@testable import VarveUpkeep

/// A repository of random packs and manifests under parity, and what it was.
final class ParityFixture {
    let directory: TemporaryDirectory
    let repository: Repository
    var storage: any CopyStorage { repository.storage }
    private(set) var originals: [ObjectName: [UInt8]] = [:]

    init(packs sizes: [Int], manifests: Int = 3, percent: Int? = 10, _ random: inout SeededRandom) throws {
        directory = try TemporaryDirectory()
        repository = try TestRepository.create(at: directory.join("repository"))
        for size in sizes { try addPack(size, &random) }
        for sequence in 0..<manifests { try addManifest(UInt64(sequence + 1), &random) }
        if let percent { _ = try cover(percent) }
    }

    func addPack(_ size: Int, _ random: inout SeededRandom) throws {
        let bytes = random.bytes(size)
        try add(ObjectName(.pack, bytes.withUnsafeBytes { hash($0) }), bytes)
    }

    private func addManifest(_ sequence: UInt64, _ random: inout SeededRandom) throws {
        let bytes = random.bytes(Int.random(in: 1...9000, using: &random))
        let id = try #require(ContentID(hex: bytes.withUnsafeBytes { hash($0) }))
        try add(ObjectName(.manifest, SnapshotReference(sequence: sequence, hash: id).name), bytes)
    }

    private func add(_ object: ObjectName, _ bytes: [UInt8]) throws {
        try bytes.withUnsafeBytes { try storage.publish(object, [$0]) }
        originals[object] = bytes
    }

    @discardableResult
    func cover(_ percent: Int = 10, renewing: Bool = false, policy: ParityPolicy = ParityPolicy()) throws
        -> ParityReport
    {
        try ChecksummedDocument.write(
            ParityDescription(repository: repository.id, percent: percent), to: ParityDescription.fileName,
            in: repository.storage)
        return try ParityWriter(
            storage: storage, repository: repository.id, percent: percent,
            scratchDirectory: repository.scratchDirectory, policy: policy
        ).cover(renewing: renewing)
    }

    var objects: Set<ObjectName> { Set(originals.keys) }

    func groups() throws -> [ParityGroup] {
        try ParityGroup.load(storage, of: repository.id).groups
    }

    func group() throws -> ParityGroup { try #require(try groups().first) }

    /// Nil if it is not there.
    func bytes(_ object: ObjectName) throws -> [UInt8]? {
        let path = storage.path(of: object)
        return try FileStatus.of(path) == nil ? nil : try Bytes.read(path)
    }

    func write(_ bytes: [UInt8], _ object: ObjectName) throws {
        try Bytes.write(bytes, to: storage.path(of: object))
    }

    func lose(_ object: ObjectName) throws { try Directory.removeFile(storage.path(of: object)) }

    func state() throws -> [ObjectName: [UInt8]] {
        var state: [ObjectName: [UInt8]] = [:]
        for object in objects { state[object] = try bytes(object) }
        return state
    }

    /// Undoes all damage but that of parity.
    func restore() throws {
        for (object, bytes) in originals { try write(bytes, object) }
        for name in try Directory.list(Path.join(repository.path, "quarantine")) {
            try Directory.removeFile(Path.join(repository.path, "quarantine/\(name)"))
        }
    }

    enum Damage: CaseIterable { case zeros, flip, noise }

    /// Spoils blocks of the group, by their numbers.
    func damage(_ blocks: Set<Int>, _ kind: Damage, _ random: inout SeededRandom) throws {
        let reader = ParityGroupReader(storage, try group().members)
        for (member, blocks) in Dictionary(grouping: blocks, by: { reader.member(of: $0) }) {
            let object = reader.members[member].object
            guard var bytes = try bytes(object) else { continue }
            for block in blocks {
                let start = (block - reader.starts[member]) * 4096
                guard start < bytes.count else { continue }
                let range = start..<min(start + 4096, bytes.count)
                switch kind {
                case .zeros: bytes.replaceSubrange(range, with: repeatElement(0, count: range.count))
                case .noise: bytes.replaceSubrange(range, with: random.bytes(range.count))
                case .flip:
                    bytes[Int.random(in: range, using: &random)] ^=
                        1 << UInt8.random(in: 0...7, using: &random)
                }
            }
            try write(bytes, object)
        }
    }

    func healer(_ storage: (any Storage)? = nil) -> ParityHealer {
        ParityHealer(
            storage: storage ?? self.storage, repository: repository.id,
            scratchDirectory: repository.scratchDirectory)
    }

    /// Nothing is left of the work.
    func requireNoTemporaryFiles() throws {
        #expect(try Directory.list(repository.scratchDirectory) == [])
    }
}

/// A disk with sectors that can't be read, until the object is replaced.
final class SpoiledStorage: Storage {
    private let storage: any Storage
    private let spoiled: Mutex<[ObjectName: Set<Int>]>

    init(_ storage: any Storage, _ spoiled: [ObjectName: Set<Int>]) {
        self.storage = storage
        self.spoiled = Mutex(spoiled)
    }

    private func check(_ object: ObjectName, _ offset: Int, _ count: Int) throws(VarveError) {
        let sectors = spoiled.withLock { $0[object] ?? [] }
        if count > 0, sectors.contains(where: { (offset / 4096...(offset + count - 1) / 4096).contains($0) })
        {
            throw VarveError(.system, "\(object): Input/output error (pread)", errno: EIO)
        }
    }

    private struct Source: ByteSource {
        let source: any ByteSource
        let check: @Sendable (Int, Int) throws(VarveError) -> Void
        var byteCount: Int { source.byteCount }
        func read(at offset: Int, into buffer: UnsafeMutableRawBufferPointer) throws(VarveError) {
            try check(offset, buffer.count)
            try source.read(at: offset, into: buffer)
        }
    }

    var location: String { storage.location }

    func read(_ object: ObjectName, at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer)
        throws(VarveError)
        -> Int
    {
        try check(object, Int(offset), buffer.count)
        return try storage.read(object, at: offset, into: buffer)
    }

    func open(_ object: ObjectName) throws(VarveError) -> any ByteSource {
        Source(source: try storage.open(object)) { [self] (offset, count) throws(VarveError) in
            try check(object, offset, count)
        }
    }

    func replace(
        _ object: ObjectName,
        write: (_ append: (UnsafeRawBufferPointer) throws(VarveError) -> Void) throws(VarveError) -> Void
    ) throws(VarveError) {
        try storage.replace(object, write: write)
        spoiled.withLock { $0[object] = nil }
    }

    func publish(_ object: ObjectName, _ parts: [UnsafeRawBufferPointer]) throws(VarveError) {
        try storage.publish(object, parts)
    }
    func publish(
        _ kind: ObjectKind,
        write: (_ append: (UnsafeRawBufferPointer) throws(VarveError) -> Void) throws(VarveError) -> String
    ) throws(VarveError) -> ObjectName { try storage.publish(kind, write: write) }
    func confirm(_ objects: [ObjectName]) throws(VarveError) { try storage.confirm(objects) }
    func size(of object: ObjectName) throws(VarveError) -> UInt64? { try storage.size(of: object) }
    func list(_ kind: ObjectKind) throws(VarveError) -> [String] { try storage.list(kind) }
    func forEachPack(_ body: (ContentID) throws(VarveError) -> Void) throws(VarveError) {
        try storage.forEachPack(body)
    }
    func remove(_ object: ObjectName) throws(VarveError) { try storage.remove(object) }
    func setAside(_ object: ObjectName) throws(VarveError) { try storage.setAside(object) }
}
