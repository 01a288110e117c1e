import Glibc
import Synchronization
import VarveFiles
import VarveFormat

/// A copy in a directory of a local or mounted file system.
///
/// ```
/// varve.json copy.json lock packs/00…ff/ indexes/ manifests/ events/ parity/ ledger/ drills/ quarantine/ tmp/
/// ```
package final class DirectoryStorage: CopyStorage {
    package let location: String
    /// Whoever can write the disk can exchange what is on it at any moment: everything is named from here.
    let opened: Mutex<RootDirectory?>
    let openPacks = Mutex(OpenFiles())
    let isPassingCache: Bool

    /// Does not look at the disk: `Repository.open` has checked what is there.
    ///
    /// - Parameter isPassingCache: packs are written past the page cache, where that can be: nobody will read them soon,
    ///   and a processor copies nothing. The buffer must begin at a multiple of 4096.
    package convenience init(_ path: String, isPassingCache: Bool = false) {
        self.init(path, nil, isPassingCache)
    }

    /// Of a directory that is open.
    package convenience init(_ root: RootDirectory, isPassingCache: Bool = false) {
        self.init(root.path, root, isPassingCache)
    }

    private init(_ path: String, _ root: RootDirectory?, _ isPassingCache: Bool) {
        location = path
        opened = Mutex(root)
        self.isPassingCache = isPassingCache
    }

    /// The copy's own directory.
    package func root() throws(VarveError) -> RootDirectory {
        try opened.withLock { (opened) throws(VarveError) in
            if let opened { return opened }
            let root = try RootDirectory(location)
            opened = root
            return root
        }
    }

    /// Makes the directories of an empty copy, durably; the caller writes the identity files last.
    package static func create(at path: String) throws(VarveError) {
        let root = try RootDirectory(path)
        for kind in ObjectKind.allCases { try root.makeDirectory(forOwner: kind.rawValue) }
        let packs = ObjectKind.pack.rawValue
        for shard in 0..<256 { try root.makeDirectory(forOwner: "\(packs)/\(Hex.encode([UInt8(shard)]))") }
        try root.makeDirectory(forOwner: quarantine)
        try root.makeDirectory(forOwner: temporary)
        try root.directory(packs).sync()
        try root.sync()
    }

    static let quarantine = "quarantine"
    static let temporary = "tmp"

    package func publish(_ object: ObjectName, _ parts: [UnsafeRawBufferPointer]) throws(VarveError) {
        // Another process may remove and write it, too: whoever merges a ledger does.
        for _ in 0..<8 {
            if try publishNew(object, parts) { return }
            guard try size(of: object) != nil else { continue }
            if try sameBytes(object, parts) {
                // It may have come from a run that was killed between rename and fsync.
                try Publication.sync(directory(of: object), in: root())
                return
            }
            try setAside(object)
        }
        throw VarveError(.locked, "\(object) appears again and again while it is written", location: location)
    }

    /// Their bytes were durable before they got their names (`Publication.publish`), so their directories are left.
    package func confirm(_ objects: [ObjectName]) throws(VarveError) {
        for name in Set(objects.map(directory(of:))).sorted() { try Publication.sync(name, in: root()) }
    }

    private func publishNew(_ object: ObjectName, _ parts: [UnsafeRawBufferPointer]) throws(VarveError)
        -> Bool
    {
        func publish() throws(VarveError) -> Bool {
            try Publication.publish(in: root(), directory(of: object), temporary: Self.temporary) {
                (file) throws(VarveError) in
                for part in parts {
                    if isPassingCache && object.kind == .pack {
                        try file.appendDirect(part)
                    } else {
                        try file.append(part)
                    }
                }
                return object.name
            }.isNew
        }
        return try makingDirectory(directory(of: object), of: object.kind, publish)
    }

    /// A pack's shard may have been lost: what was in it is missing, and what comes now need not be. And an earlier
    /// version made no directories for what it did not know. Others are missed for a reason.
    private func makingDirectory<R>(
        _ name: String, of kind: ObjectKind, _ publish: () throws(VarveError) -> R
    ) throws(VarveError)
        -> R
    {
        do {
            return try publish()
        } catch let error where error.isNoEntry {
            // A copy that somebody made by hand may lack what was empty.
            let isNew = try makeDirectory(Self.temporary)
            guard try kind == .pack || kind.mayBeAbsent ? makeDirectory(name) || isNew : isNew else {
                throw error
            }
            return try publish()
        }
    }

    /// - Returns: whether there was none.
    @discardableResult
    func makeDirectory(_ name: String) throws(VarveError) -> Bool {
        let root = try root()
        guard try root.makeDirectory(forOwner: name) else { return false }
        try Publication.sync(Publication.parent(name), in: root)
        return true
    }

    /// - Precondition: `kind` is not `.pack`, whose shard depends on the name.
    package func publish(
        _ kind: ObjectKind,
        write: (_ append: (UnsafeRawBufferPointer) throws(VarveError) -> Void) throws(VarveError) -> String
    ) throws(VarveError) -> ObjectName {
        precondition(kind != .pack)
        return try makingDirectory(kind.rawValue, of: kind) { () throws(VarveError) in
            let (name, _) = try Publication.publish(
                in: root(), kind.rawValue, temporary: Self.temporary
            ) { (file) throws(VarveError) in
                try write { (bytes) throws(VarveError) in try file.append(bytes) }
            }
            return ObjectName(kind, name)
        }
    }

    /// A new file for an object that is copied; `publish` gives it its name.
    package func stage() throws(VarveError) -> any StagedObject { try StagedFile(in: root(), Self.temporary) }

    /// Publishes objects that were staged, together: each directory is made durable once.
    ///
    /// - Parameter replacing: of these, what is there is damaged, and set aside.
    /// - Precondition: `finish()` of each has returned.
    /// - Returns: false for each that was there already; it is left as it is.
    package func publish(
        _ staged: [(object: ObjectName, file: any StagedObject)], replacing: Set<ObjectName>
    ) throws(VarveError) -> [Bool] {
        defer { openPacks.withLock { for object in replacing { $0.forget(object) } } }
        for (object, _) in staged where object.kind == .pack || object.kind.mayBeAbsent {
            try makeDirectory(directory(of: object))
        }
        return try Publication.place(
            staged.map { object, file in
                guard let file = file as? StagedFile else { preconditionFailure("staged elsewhere") }
                return Publication.Placement(
                    file, at: name(of: object), aside: replacing.contains(object) ? quarantine(object) : nil)
            }, in: root())
    }

    private func sameBytes(_ object: ObjectName, _ parts: [UnsafeRawBufferPointer]) throws(VarveError) -> Bool
    {
        let length = parts.reduce(0) { $0 + $1.count }
        guard try size(of: object) == UInt64(length) else { return false }
        let stored: [UInt8]
        do {
            stored = try readAll(object, limit: length)
        } catch let error where error.errno == EIO || error.isOfAnotherKind {
            // What the disk can't read any more is damaged, and its content is at hand.
            return false
        } catch let error where error.code == .missing || error.isNoEntry {
            return false
        }
        var offset = 0
        for part in parts {
            guard stored[offset..<offset + part.count].elementsEqual(part) else { return false }
            offset += part.count
        }
        return true
    }
}
