import Glibc
import Synchronization
import Testing
import VarveCopies
import VarveFiles
import VarveFormat
import VarveStorage
import VarveTestSupport

/// A storage that fails or hangs from some moment on.
private final class Faulty: Storage {
    enum Fault: Sendable { case none, full, unreadable, hung }

    private let storage = MemoryStorage()
    private let state = Mutex((fault: Fault.none, published: 0))
    let location: String

    init(_ name: String) { location = name }

    func breakDown(_ fault: Fault) { state.withLock { $0.fault = fault } }
    var published: Int { state.withLock { $0.published } }

    private func disturb(isReading: Bool) throws(VarveError) {
        switch state.withLock({ $0.fault }) {
        case .none: break
        case .full:
            if !isReading {
                throw VarveError(
                    .system, "no space left", location: location, hint: "make room", errno: ENOSPC)
            }
        case .unreadable: throw VarveError(.system, "input/output error", location: location, errno: EIO)
        case .hung: while state.withLock({ $0.fault == .hung }) { usleep(10_000) }
        }
    }

    func publish(_ object: ObjectName, _ parts: [UnsafeRawBufferPointer]) throws(VarveError) {
        try disturb(isReading: false)
        try storage.publish(object, parts)
        state.withLock { $0.published += 1 }
    }

    func publish(
        _ kind: ObjectKind,
        write: (_ append: (UnsafeRawBufferPointer) throws(VarveError) -> Void) throws(VarveError) -> String
    ) throws(VarveError) -> ObjectName {
        try disturb(isReading: false)
        return try storage.publish(kind, write: write)
    }

    func confirm(_ objects: [ObjectName]) throws(VarveError) { try disturb(isReading: false) }
    func remove(_ object: ObjectName) throws(VarveError) { try storage.remove(object) }
    func setAside(_ object: ObjectName) throws(VarveError) { try storage.setAside(object) }

    func read(_ object: ObjectName, at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer)
        throws(VarveError)
        -> Int
    {
        try disturb(isReading: true)
        return try storage.read(object, at: offset, into: buffer)
    }

    func size(of object: ObjectName) throws(VarveError) -> UInt64? { try storage.size(of: object) }
    func list(_ kind: ObjectKind) throws(VarveError) -> [String] { try storage.list(kind) }
    func forEachPack(_ body: (ContentID) throws(VarveError) -> Void) throws(VarveError) {
        try storage.forEachPack(body)
    }

    func open(_ object: ObjectName) throws(VarveError) -> any ByteSource {
        try disturb(isReading: true)
        return try storage.open(object)
    }
}

@Suite struct CopySetTests {
    private let copies = ["one", "two", "three"].map { Faulty($0) }

    private func set(required: Int = 1, incomplete: Int? = nil, patience: Double = 10) -> CopySet {
        CopySet(
            copies.enumerated().map { number, storage in
                CopySet.Member(
                    label: storage.location, storage: storage, isComplete: number != incomplete, check: {})
            }, required: required, patience: patience)
    }

    private func object(_ kind: ObjectKind, _ digit: Character) -> ObjectName {
        ObjectName(kind, String(repeating: digit, count: 64))
    }

    private func publish(_ set: CopySet, _ object: ObjectName) throws {
        try [UInt8]("content".utf8).withUnsafeBytes { try set.publish(object, [$0]) }
    }

    private func has(_ object: ObjectName) throws -> [Bool] {
        try copies.map { try $0.size(of: object) == 7 }
    }

    @Test func aFullDiskDoesNotStopTheOthers() throws {
        let set = set(required: 2)
        try publish(set, object(.pack, "1"))
        copies[1].breakDown(.full)
        try publish(set, object(.pack, "2"))
        #expect(try has(object(.pack, "1")) == [true, true, true])
        #expect(try has(object(.pack, "2")) == [true, false, true])
        #expect(set.failures().map { $0?.errno } == [nil, ENOSPC, nil])
        // It is left out from now on, also when there is room again: it lacks something.
        copies[1].breakDown(.none)
        try publish(set, object(.manifest, "3"))
        #expect(try has(object(.manifest, "3")) == [true, false, true])
        // Fewer than required: nothing counts.
        copies[2].breakDown(.full)
        let error = expect(.tooFewCopies) { try publish(set, object(.pack, "4")) }
        #expect(error?.message.contains("no space left") == true)
        // What the cause knows is not lost among several copies.
        #expect(
            error?.errno == ENOSPC && error?.hint?.contains("three: make room") == true,
            "\(error?.hint ?? "")")
    }

    /// The first one, which is read, may fail like any other.
    @Test func theFirstMayFail() throws {
        let set = set()
        let pack = object(.pack, "1")
        try publish(set, pack)
        copies[0].breakDown(.unreadable)
        try publish(set, object(.pack, "2"))
        #expect(try set.readAll(pack, limit: 7) == Array("content".utf8))
        #expect(set.location == "two")
    }

    @Test func anUnreadableObjectIsReadElsewhere() throws {
        let set = set()
        try publish(set, object(.pack, "1"))
        copies[0].breakDown(.unreadable)
        #expect(try set.readAll(object(.pack, "1"), limit: 7) == Array("content".utf8))
    }

    @Test func aHungDiskIsLeftBehind() throws {
        let set = set(patience: 0.3)
        copies[2].breakDown(.hung)
        let began = Clock.monotonic()
        try publish(set, object(.pack, "1"))
        #expect(Clock.monotonic() - began < 5_000_000_000)
        #expect(set.failures().map { $0?.code } == [nil, nil, .hung])
        try publish(set, object(.manifest, "2"))
        #expect(try has(object(.manifest, "2")) == [true, true, false])
        copies[2].breakDown(.none)
    }

    /// One that lags behind gets packs and no manifest.
    @Test func manifestsGoOnlyWhereAllIs() throws {
        let set = set(incomplete: 1)
        try publish(set, object(.pack, "1"))
        try publish(set, object(.manifest, "2"))
        try publish(set, object(.summary, "3"))
        #expect(try has(object(.pack, "1")) == [true, true, true])
        #expect(try has(object(.manifest, "2")) == [true, false, true])
        #expect(try has(object(.summary, "3")) == [true, false, true])
    }

    @Test func whatIsMadeInPiecesIsMadeOnce() throws {
        let set = set()
        var calls = 0
        let made = try set.publish(.index) { (append) throws(VarveError) in
            calls += 1
            try [UInt8]("con".utf8).withBytes(append)
            try [UInt8]("tent".utf8).withBytes(append)
            return String(repeating: "a", count: 64)
        }
        #expect(calls == 1)
        #expect(try has(made) == [true, true, true])
    }

    @Test func aSwappedDiskGetsNothing() throws {
        let swapped = CopySet(
            copies.enumerated().map { number, storage in
                CopySet.Member(label: storage.location, storage: storage, isComplete: true) {
                    () throws(VarveError) in
                    if number == 1 { throw VarveError(.wrongDisk, "swapped") }
                }
            })
        try publish(swapped, object(.pack, "1"))
        #expect(try has(object(.pack, "1")) == [true, false, true])
        #expect(copies[1].published == 0)
    }
}
