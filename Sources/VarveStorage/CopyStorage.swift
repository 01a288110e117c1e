import VarveFiles
import VarveFormat

/// The place of one whole copy: its objects with their times, the small documents that say who it is, staging, and the
/// lease of whoever writes. What is a copy's and not an object's is here, so that a reader or a writer of objects
/// (`Storage`) can be several copies at once.
package protocol CopyStorage: Storage {
    // MARK: Documents

    /// A document's bytes; nil if there is none. At most 1 MiB: more is `.corrupt`.
    ///
    /// - Parameter name: `varve.json`, or `copies/<id>.json`.
    func readDocument(_ name: String) throws(VarveError) -> [UInt8]?

    /// Whether something has the name, damaged or not.
    func holds(document name: String) throws(VarveError) -> Bool

    /// Names of the documents in a directory, `copies`; empty if there is no such directory.
    func documentNames(in directory: String) throws(VarveError) -> [String]

    /// All of it, or what was there before: durable when it returns. Makes the directory that it is in.
    func replaceDocument(_ name: String, with bytes: [UInt8]) throws(VarveError)

    /// Durable when it returns. Absent is fine.
    func removeDocument(_ name: String) throws(VarveError)

    /// Takes a damaged document out of the way without deleting it. Absent is fine.
    func setAside(document name: String) throws(VarveError)

    // MARK: Objects and their times

    /// Nil if there is no such object.
    func status(of object: ObjectName) throws(VarveError) -> ObjectStatus?

    /// By one reading of the place: names that objects can have, sorted, and what else lies there (`strangers`).
    func listing(_ kind: ObjectKind) throws(VarveError) -> (objects: [String], strangers: [String])

    /// Objects that were set aside, and that nothing has taken the place of: their times of writing and of going.
    func lost(_ kind: ObjectKind) throws(VarveError) -> [(
        object: ObjectName, written: Timestamp, setAside: Timestamp
    )]

    /// Sets the time of the object's last change, not that of its content, to now; where that can't be, it stays.
    func renewChangeTime(of object: ObjectName)

    /// Where an object lies, for messages and for people.
    func path(of object: ObjectName) -> String

    // MARK: Writing now, naming later

    /// A new object without a name; `publish` gives it one.
    func stage() throws(VarveError) -> any StagedObject

    /// Publishes objects that were staged here, together.
    ///
    /// - Parameter replacing: of these, what is there is damaged, and set aside.
    /// - Precondition: `finish` of each has returned.
    /// - Returns: false for each that was there already; it is left as it is.
    func publish(_ staged: [(object: ObjectName, file: any StagedObject)], replacing: Set<ObjectName>)
        throws(VarveError)
        -> [Bool]

    /// The same copy, written past caches where that can be: for what nobody reads soon.
    func passingCache() throws(VarveError) -> any CopyStorage

    // MARK: Who writes

    /// The right to write, for as long as a reference is kept; a crash gives it up.
    ///
    /// - Parameter holder: who takes it, for the error that others get.
    /// - Throws: `.locked` if somebody else has it. Trying again later may help.
    func acquireLease(as holder: String) throws(VarveError) -> any WriterLease

    /// Somebody has the lease now.
    var isLeased: Bool { get }

    /// What killed runs left. Only under the lease: another writer's files look the same.
    func removeTemporaryFiles() throws(VarveError)

    /// Makes anew, and empty, what `missingDirectories` names.
    ///
    /// - Returns: those.
    func makeMissingDirectories() throws(VarveError) -> [ObjectDirectory]
}

/// What a storage tells of an object without reading it.
package struct ObjectStatus: Hashable, Sendable {
    /// Bytes.
    package var size: UInt64
    /// When its content was written.
    package var modified: Timestamp
    /// Since when it has been there as it is: what was read before was another one.
    package var changed: Timestamp

    package init(size: UInt64, modified: Timestamp, changed: Timestamp) {
        self.size = size
        self.modified = modified
        self.changed = changed
    }
}

/// A new object on the way to its name. Let go of before, it is removed.
package protocol StagedObject: AnyObject {
    func append(_ bytes: UnsafeRawBufferPointer) throws(VarveError)

    /// The disk begins with the last `byteCount` bytes that were appended; nobody waits for it.
    func startWriting(last byteCount: Int)

    /// Makes the bytes durable. After an error the object is of no use.
    ///
    /// - Parameter modified: the time that it gets, of what it is a copy of; nil: now.
    func finish(modified: Timestamp?) throws(VarveError)
}

/// Held as long as it is referred to.
package protocol WriterLease: AnyObject, Sendable {}

extension StagedFile: StagedObject {}
