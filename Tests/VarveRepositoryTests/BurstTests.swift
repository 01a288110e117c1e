import Glibc
import Synchronization
import Testing
import VarveFiles
import VarveFormat
import VarveStorage
import VarveTestSupport

@testable import VarveRepository
@testable import VarveUpkeep

/// Readings that fail for a while: whatever they are part of is as if it had not been tried.
@Suite struct BurstTests {
    /// A storage of which some calls in a row fail.
    private final class BurstStorage: Storage {
        private let storage: any Storage
        private let errno: Int32
        private let failing: Range<Int>
        private let calls = Atomic<Int>(0)

        init(_ storage: any Storage, _ errno: Int32, _ failing: Range<Int>) {
            self.storage = storage
            self.errno = errno
            self.failing = failing
        }

        var count: Int { calls.load(ordering: .relaxed) }

        private func take() throws(VarveError) {
            if failing.contains(calls.wrappingAdd(1, ordering: .relaxed).oldValue) {
                throw SystemCallError(call: "pread", path: location, errno: errno).error
            }
        }

        private struct Source: ByteSource {
            let source: any ByteSource
            let take: @Sendable () throws(VarveError) -> Void
            var byteCount: Int { source.byteCount }
            func read(at offset: Int, into buffer: UnsafeMutableRawBufferPointer) throws(VarveError) {
                try take()
                try source.read(at: offset, into: buffer)
            }
        }

        var location: String { storage.location }
        func read(
            _ object: ObjectName, at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer
        ) throws(VarveError) -> Int {
            try take()
            return try storage.read(object, at: offset, into: buffer)
        }
        func open(_ object: ObjectName) throws(VarveError) -> any ByteSource {
            try take()
            return Source(source: try storage.open(object)) { [self] () throws(VarveError) in try take() }
        }
        func size(of object: ObjectName) throws(VarveError) -> UInt64? {
            try take()
            return try storage.size(of: object)
        }
        func list(_ kind: ObjectKind) throws(VarveError) -> [String] {
            try take()
            return try storage.list(kind)
        }
        func forEachPack(_ body: (ContentID) throws(VarveError) -> Void) throws(VarveError) {
            try take()
            try storage.forEachPack(body)
        }
        func publish(_ object: ObjectName, _ parts: [UnsafeRawBufferPointer]) throws(VarveError) {
            try storage.publish(object, parts)
        }
        func publish(
            _ kind: ObjectKind,
            write: (_ append: (UnsafeRawBufferPointer) throws(VarveError) -> Void) throws(VarveError) ->
                String
        ) throws(VarveError) -> ObjectName { try storage.publish(kind, write: write) }
        func replace(
            _ object: ObjectName,
            write: (_ append: (UnsafeRawBufferPointer) throws(VarveError) -> Void) throws(VarveError) -> Void
        ) throws(VarveError) { try storage.replace(object, write: write) }
        func confirm(_ objects: [ObjectName]) throws(VarveError) { try storage.confirm(objects) }
        func remove(_ object: ObjectName) throws(VarveError) { try storage.remove(object) }
        func setAside(_ object: ObjectName) throws(VarveError) { try storage.setAside(object) }
    }

    /// One pack is damaged and can be computed. At every call, for one call, some, or from then on, readings fail: no
    /// parity object that is whole is set aside or lost, nothing that was good is touched, and the next run mends all.
    @Test(arguments: [EIO, ENOMEM, ENOSPC, EMFILE, EACCES] as [Int32])
    func whileParityRepairs(_ errno: Int32) throws {
        var random = SeededRandom()
        let fixture = try ParityFixture(packs: [9000, 40_000, 5000], percent: 50, &random)
        let victim = ObjectName(.pack, try fixture.storage.list(.pack)[0])
        let parity = try fixture.storage.list(.parity)
        var damaged = try #require(fixture.originals[victim])
        damaged[damaged.count / 2] ^= 1
        let undisturbed = BurstStorage(fixture.storage, errno, 0..<0)
        try work(fixture, undisturbed)
        let calls = undisturbed.count
        #expect(calls > 20)
        var interrupted = 0
        for first in stride(from: 0, to: calls, by: Soak.isWanted ? 1 : 3) {
            for length in [1, 7, .max - first] {
                try fixture.restore()
                try fixture.write(damaged, victim)
                do {
                    try work(fixture, BurstStorage(fixture.storage, errno, first..<first + length))
                } catch is VarveError {
                    interrupted += 1
                }
                let comment: Comment = "\(errno) from \(first), \(length) calls, seed \(random.seed)"
                for (object, bytes) in fixture.originals where object != victim {
                    #expect(try fixture.bytes(object) == bytes, comment)
                }
                #expect(try Set(fixture.storage.list(.parity)).isSuperset(of: parity), comment)
                try work(fixture, fixture.storage)
                #expect(try fixture.bytes(victim) == fixture.originals[victim], comment)
                let covered = Set(try fixture.groups().flatMap(\.members).map(\.object))
                #expect(covered == fixture.objects, comment)
            }
        }
        #expect(interrupted > 0)
    }

    /// As `heal` does it.
    private func work(_ fixture: ParityFixture, _ storage: any Storage) throws {
        _ = try fixture.healer(storage).heal(fixture.objects)
        _ = try fixture.healer(storage).healParity()
        let writer = ParityWriter(
            storage: storage, repository: fixture.repository.id, percent: 50,
            scratchDirectory: fixture.repository.scratchDirectory)
        _ = try writer.cover()
    }

    /// The control of what is set aside: parity that was read from end to end and is of no use.
    @Test func whatIsOfNoUseIsSetAside() throws {
        var random = SeededRandom()
        let fixture = try ParityFixture(packs: [9000], percent: 50, &random)
        let name = try #require(try fixture.storage.list(.parity).first)
        try fixture.write([UInt8](repeating: 0, count: 20_000), ObjectName(.parity, name))
        #expect(try fixture.healer().healParity().map(\.result) == [.setAside])
        #expect(try fixture.storage.list(.parity) == [])
    }
}
