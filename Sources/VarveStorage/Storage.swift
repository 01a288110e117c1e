import VarveFiles
import VarveFormat

/// One copy of a repository, as named immutable objects. Every method may be called from any thread.
///
/// Names promise content; a storage does not check the promise when it reads. A missing object throws `.missing`.
package protocol Storage: Sendable {
    /// For messages.
    var location: String { get }

    /// Durable when it returns: a power cut a moment later loses nothing. If the object is there already with the
    /// same bytes, that is fine; with other bytes (damaged), the old one is set aside and the new one takes its name.
    func publish(_ object: ObjectName, _ parts: [UnsafeRawBufferPointer]) throws(VarveError)

    /// Makes durable that these objects are there: a run that was killed may have named them, and no more.
    func confirm(_ objects: [ObjectName]) throws(VarveError)

    /// Publishes an object that is made piece by piece, and too large to be held in memory.
    ///
    /// - Parameter write: gives the bytes in order, then the name; it may be called twice, and must then do the same.
    func publish(
        _ kind: ObjectKind,
        write: (_ append: (UnsafeRawBufferPointer) throws(VarveError) -> Void) throws(VarveError) -> String
    ) throws(VarveError) -> ObjectName

    /// Publishes an object in place of a damaged or lost one of the same name, which is set aside when the new one is
    /// durable; on any error it is still there.
    ///
    /// - Parameter write: gives the bytes in order, and throws if they are not what the name promises; it may be called
    ///   twice.
    func replace(
        _ object: ObjectName,
        write: (_ append: (UnsafeRawBufferPointer) throws(VarveError) -> Void) throws(VarveError) -> Void
    ) throws(VarveError)

    /// Reads up to `buffer.count` bytes at `offset`; short only at the object's end.
    func read(_ object: ObjectName, at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer)
        throws(VarveError)
        -> Int

    /// The whole object will be read soon: where that helps, reading begins now. Never fails.
    func willRead(_ object: ObjectName)

    /// To read an object from the medium and not from a cache, as far as the storage can.
    func openMedia(_ object: ObjectName) throws(VarveError) -> any MediaObject

    /// Nil if there is no such object.
    func size(of object: ObjectName) throws(VarveError) -> UInt64?

    /// All names of a kind, sorted. Only names that an object can have (`ObjectKind.names`): what systems leave in
    /// directories is no object, and no reason to do anything.
    func list(_ kind: ObjectKind) throws(VarveError) -> [String]

    /// What else lies where objects of the kind are: `packs/98/Thumbs.db`. To be mentioned, at most.
    func strangers(_ kind: ObjectKind) throws(VarveError) -> [String]

    /// Places for objects that are not there any more: what was in them is lost, too.
    func missingDirectories() throws(VarveError) -> [ObjectDirectory]

    /// Every pack, in any order; names that no pack has are left out. Faster than `list` where there are many.
    func forEachPack(_ body: (ContentID) throws(VarveError) -> Void) throws(VarveError)

    /// To read an object in pieces. What was opened can be read when the object has been removed.
    func open(_ object: ObjectName) throws(VarveError) -> any ByteSource

    /// For what is a cache or was condemned: never for anything a snapshot needs. Absent is fine.
    func remove(_ object: ObjectName) throws(VarveError)

    /// Takes a damaged object out of the way without deleting it. Absent is fine.
    func setAside(_ object: ObjectName) throws(VarveError)
}

extension Storage {
    package func missingDirectories() throws(VarveError) -> [ObjectDirectory] { [] }

    package func strangers(_ kind: ObjectKind) throws(VarveError) -> [String] { [] }

    /// A small object's bytes; refuses more than `limit`.
    package func readAll(_ object: ObjectName, limit: Int) throws(VarveError) -> [UInt8] {
        guard let size = try size(of: object) else { throw missing(object) }
        guard size <= UInt64(limit) else {
            throw VarveError(
                .corrupt, "\(object) has \(size) bytes, at most \(limit) are possible", location: location)
        }
        return try [UInt8](unsafeUninitializedCapacity: Int(size)) { (buffer, count) throws(VarveError) in
            count = try read(object, at: 0, into: UnsafeMutableRawBufferPointer(buffer))
        }
    }

    package func willRead(_ object: ObjectName) {}

    /// For storages that can't do better: in memory.
    package func replace(
        _ object: ObjectName,
        write: (_ append: (UnsafeRawBufferPointer) throws(VarveError) -> Void) throws(VarveError) -> Void
    ) throws(VarveError) {
        var bytes: [UInt8] = []
        try write { bytes.append(contentsOf: $0) }
        try setAside(object)
        try bytes.withBytes { (bytes) throws(VarveError) in try publish(object, [bytes]) }
    }

    package func openMedia(_ object: ObjectName) throws(VarveError) -> any MediaObject {
        guard try size(of: object) != nil else { throw missing(object) }
        return openCached(object)
    }

    package func missing(_ object: ObjectName) -> VarveError {
        VarveError(
            .missing, "\(object) is not there", location: location,
            hint: "run 'varve verify --content' to see which snapshots need it")
    }
}
