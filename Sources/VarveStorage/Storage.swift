import VarveFiles
import VarveFormat

/// What a repository keeps, all of it immutable. Packs and manifests are the truth; caches and parity are made from
/// them, as long as they are whole: parity is what makes damaged ones whole again. Records tell what was done with this
/// copy.
public enum ObjectKind: String, Sendable, CaseIterable {
    case pack = "packs"
    case index = "indexes"
    case filter = "filters"
    case manifest = "manifests"
    case summary = "summaries"
    case parity = "parity"
    case ledger = "ledger"
    case drill = "drills"

    /// Nothing is lost with an object of this kind but time: it is made anew from packs and manifests.
    public var isCache: Bool { self == .index || self == .filter || self == .summary || self == .parity }
    /// Evidence about this copy: it goes to no other, and no snapshot needs it.
    public var isRecord: Bool { self == .ledger || self == .drill }
    /// Earlier versions made no directory for it, and a copy without one is whole.
    public var mayBeAbsent: Bool { isCache || isRecord }
}

/// An object's kind and name. Names are lowercase hexadecimal, digits and "-": safe on every file system.
public struct ObjectName: Hashable, Sendable, CustomStringConvertible {
    public var kind: ObjectKind
    public var name: String

    public init(_ kind: ObjectKind, _ name: String) {
        self.kind = kind
        self.name = name
    }

    public init(_ kind: ObjectKind, _ id: ContentID) { self.init(kind, id.hex) }

    public var description: String { "\(kind.rawValue)/\(name)" }

    /// The hash of the stored bytes that the name promises: all of it, or what follows the sequence number of a
    /// manifest, and the table's name of a filter.
    public var contentHash: ContentID? {
        let digits = name.utf8.split(separator: UInt8(ascii: "-"), omittingEmptySubsequences: false).last
        return digits.flatMap { ContentID(hex: Substring($0)) }
    }
}

/// One copy of a repository, as named immutable objects. Every method may be called from any thread.
///
/// Names promise content; a storage does not check the promise when it reads. A missing object throws `.missing`.
public protocol Storage: Sendable {
    /// For messages.
    var location: String { get }

    /// Durable when it returns: a power cut a moment later loses nothing. If the object is there already with the
    /// same bytes, that is fine; with other bytes (damaged), the old one is set aside and the new one takes its name.
    func publish(_ object: ObjectName, _ parts: [UnsafeRawBufferPointer]) throws

    /// Makes durable that these objects are there: a run that was killed may have named them, and no more.
    func confirm(_ objects: [ObjectName]) throws

    /// Publishes an object that is made piece by piece, and too large to be held in memory.
    ///
    /// - Parameter write: gives the bytes in order, then the name; it may be called twice, and must then do the same.
    func publish(
        _ kind: ObjectKind, write: (_ append: (UnsafeRawBufferPointer) throws -> Void) throws -> String
    ) throws -> ObjectName

    /// Publishes an object in place of a damaged or lost one of the same name, which is set aside when the new one is
    /// durable; on any error it is still there.
    ///
    /// - Parameter write: gives the bytes in order, and throws if they are not what the name promises; it may be called
    ///   twice.
    func replace(
        _ object: ObjectName, write: (_ append: (UnsafeRawBufferPointer) throws -> Void) throws -> Void
    ) throws

    /// Reads up to `buffer.count` bytes at `offset`; short only at the object's end.
    func read(_ object: ObjectName, at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) throws
        -> Int

    /// The whole object will be read soon: where that helps, reading begins now. Never fails.
    func willRead(_ object: ObjectName)

    /// To read an object from the medium and not from a cache, as far as the storage can.
    func openMedia(_ object: ObjectName) throws -> any MediaObject

    /// Nil if there is no such object.
    func size(of object: ObjectName) throws -> UInt64?

    /// All names of a kind, sorted.
    func list(_ kind: ObjectKind) throws -> [String]

    /// Places for objects that are not there any more, by their names for messages: what was in them is lost, too.
    func missingDirectories() throws -> [String]

    /// Every pack, in any order; names that no pack has are left out. Faster than `list` where there are many.
    func forEachPack(_ body: (ContentID) throws -> Void) throws

    /// To read an object in pieces. What was opened can be read when the object has been removed.
    func open(_ object: ObjectName) throws -> any ByteSource

    /// For what is a cache or was condemned: never for anything a snapshot needs. Absent is fine.
    func remove(_ object: ObjectName) throws

    /// Takes a damaged object out of the way without deleting it. Absent is fine.
    func setAside(_ object: ObjectName) throws
}

extension Storage {
    public func missingDirectories() throws -> [String] { [] }

    /// A small object's bytes; refuses more than `limit`.
    public func readAll(_ object: ObjectName, limit: Int) throws -> [UInt8] {
        guard let size = try size(of: object) else { throw missing(object) }
        guard size <= UInt64(limit) else {
            throw VarveError(
                .corrupt, "\(object) has \(size) bytes, at most \(limit) are possible", location: location)
        }
        return try [UInt8](unsafeUninitializedCapacity: Int(size)) { buffer, count in
            count = try read(object, at: 0, into: UnsafeMutableRawBufferPointer(buffer))
        }
    }

    public func willRead(_ object: ObjectName) {}

    /// For storages that can't do better: in memory.
    public func replace(
        _ object: ObjectName, write: (_ append: (UnsafeRawBufferPointer) throws -> Void) throws -> Void
    ) throws {
        var bytes: [UInt8] = []
        try write { bytes.append(contentsOf: $0) }
        try setAside(object)
        try bytes.withUnsafeBytes { try publish(object, [$0]) }
    }

    public func openMedia(_ object: ObjectName) throws -> any MediaObject {
        guard try size(of: object) != nil else { throw missing(object) }
        return openCached(object)
    }

    public func missing(_ object: ObjectName) -> VarveError {
        VarveError(
            .missing, "\(object) is not there", location: location,
            hint: "run 'varve verify --content' to see which snapshots need it")
    }
}
