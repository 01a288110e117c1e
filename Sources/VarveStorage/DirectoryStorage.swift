import Glibc
import Synchronization
import VarveFiles
import VarveFormat

/// A copy in a directory of a local or mounted file system.
///
/// ```
/// varve.json copy.json lock packs/00…ff/ indexes/ manifests/ events/ parity/ ledger/ drills/ quarantine/ tmp/
/// ```
package final class DirectoryStorage: Storage {
    package let location: String
    /// Whoever can write the disk can exchange what is on it at any moment: everything is named from here.
    private let opened: Mutex<RootDirectory?>
    private let openPacks = Mutex(OpenFiles())
    private let isPassingCache: Bool

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
    package func root() throws -> RootDirectory {
        try opened.withLock { opened in
            if let opened { return opened }
            let root = try RootDirectory(location)
            opened = root
            return root
        }
    }

    /// Makes the directories of an empty copy, durably; the caller writes the identity files last.
    package static func create(at path: String) throws {
        let root = try RootDirectory(path)
        for kind in ObjectKind.allCases { try root.makeDirectory(forOwner: kind.rawValue) }
        let packs = ObjectKind.pack.rawValue
        for shard in 0..<256 { try root.makeDirectory(forOwner: "\(packs)/\(Hex.encode([UInt8(shard)]))") }
        try root.makeDirectory(forOwner: quarantine)
        try root.makeDirectory(forOwner: temporary)
        try root.directory(packs).sync()
        try root.sync()
    }

    private static let quarantine = "quarantine"
    private static let temporary = "tmp"

    package func publish(_ object: ObjectName, _ parts: [UnsafeRawBufferPointer]) throws {
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
    package func confirm(_ objects: [ObjectName]) throws {
        for name in Set(objects.map(directory(of:))).sorted() { try Publication.sync(name, in: root()) }
    }

    private func publishNew(_ object: ObjectName, _ parts: [UnsafeRawBufferPointer]) throws -> Bool {
        func publish() throws -> Bool {
            try Publication.publish(in: root(), directory(of: object), temporary: Self.temporary) { file in
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
    private func makingDirectory<R>(_ name: String, of kind: ObjectKind, _ publish: () throws -> R) throws
        -> R
    {
        do {
            return try publish()
        } catch let error as VarveError where error.isNoEntry {
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
    private func makeDirectory(_ name: String) throws -> Bool {
        let root = try root()
        guard try root.makeDirectory(forOwner: name) else { return false }
        try Publication.sync(Publication.parent(name), in: root)
        return true
    }

    /// - Precondition: `kind` is not `.pack`, whose shard depends on the name.
    package func publish(
        _ kind: ObjectKind, write: (_ append: (UnsafeRawBufferPointer) throws -> Void) throws -> String
    ) throws -> ObjectName {
        precondition(kind != .pack)
        return try makingDirectory(kind.rawValue, of: kind) {
            let (name, _) = try Publication.publish(
                in: root(), kind.rawValue, temporary: Self.temporary
            ) { file in try write { try file.append($0) } }
            return ObjectName(kind, name)
        }
    }

    /// A new file for an object that is copied; `publish` gives it its name.
    package func stage() throws -> StagedFile { try StagedFile(in: root(), Self.temporary) }

    /// Publishes objects that were staged, together: each directory is made durable once.
    ///
    /// - Parameter replacing: of these, what is there is damaged, and set aside.
    /// - Precondition: `finish()` of each has returned.
    /// - Returns: false for each that was there already; it is left as it is.
    package func publish(
        _ staged: [(object: ObjectName, file: StagedFile)], replacing: Set<ObjectName> = []
    ) throws -> [Bool] {
        defer { openPacks.withLock { for object in replacing { $0.forget(object) } } }
        for (object, _) in staged where object.kind == .pack || object.kind.mayBeAbsent {
            try makeDirectory(directory(of: object))
        }
        return try Publication.place(
            staged.map { object, file in
                Publication.Placement(
                    file, at: name(of: object), aside: replacing.contains(object) ? quarantine(object) : nil)
            }, in: root())
    }

    private func sameBytes(_ object: ObjectName, _ parts: [UnsafeRawBufferPointer]) throws -> Bool {
        let length = parts.reduce(0) { $0 + $1.count }
        guard try size(of: object) == UInt64(length) else { return false }
        let stored: [UInt8]
        do {
            stored = try readAll(object, limit: length)
        } catch let error as VarveError where error.errno == EIO || error.isOfAnotherKind {
            // What the disk can't read any more is damaged, and its content is at hand.
            return false
        } catch let error as VarveError where error.code == .missing || error.isNoEntry {
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

// MARK: What is set aside

extension DirectoryStorage {
    /// A damaged object is evidence, and parts of it may be good: it is moved to `quarantine/`.
    package func setAside(_ object: ObjectName) throws {
        openPacks.withLock { $0.forget(object) }
        try setAside(name(of: object), to: quarantine(object))
    }

    /// The same for a document in the copy's own directory.
    package func setAside(file name: String) throws {
        try setAside(name, to: "\(Self.quarantine)/\(name)-\(Path.randomName())")
    }

    private func setAside(_ name: String, to aside: String) throws {
        let root = try root()
        guard try root.status(of: name) != nil else { return }
        // Whoever empties the quarantine may remove it.
        try root.makeDirectory(forOwner: Self.quarantine)
        do {
            try root.rename(name, to: aside)
        } catch let error as VarveError where error.isNoEntry {
            // Somebody else did so meanwhile.
            return
        }
        try Publication.sync(Publication.parent(name), in: root)
        try Publication.sync(Self.quarantine, in: root)
    }

    /// Objects that were set aside, and that nothing has taken the place of: their times of writing and of going.
    package func lost(_ kind: ObjectKind) throws -> [(
        object: ObjectName, written: Timestamp, setAside: Timestamp
    )] {
        let root = try root()
        guard try root.status(of: Self.quarantine) != nil else { return [] }
        let names = try root.names(in: Self.quarantine).filter { $0.hasPrefix("\(kind.rawValue)-") }
        return try names.compactMap { name in
            // What follows the last dash is a random number.
            guard let end = name.lastIndex(of: "-"), name.count > kind.rawValue.count + 1 else { return nil }
            let object = ObjectName(kind, String(name[..<end].dropFirst(kind.rawValue.count + 1)))
            guard object.contentHash != nil, try size(of: object) == nil,
                let status = try root.status(of: "\(Self.quarantine)/\(name)")
            else { return nil }
            return (object, status.modified, status.changed)
        }
    }

    /// Where a damaged object goes: a new name each time.
    private func quarantine(_ object: ObjectName) -> String {
        "\(Self.quarantine)/\(object.kind.rawValue)-\(object.name)-\(Path.randomName())"
    }

    package func replace(
        _ object: ObjectName, write: (_ append: (UnsafeRawBufferPointer) throws -> Void) throws -> Void
    ) throws {
        // It is as old as what it replaces; where that is gone, older than any snapshot that may need it.
        let modified = try status(of: object)?.modified ?? Timestamp(seconds: 0)
        let (file, _) = try Publication.stage(in: root(), Self.temporary, modified: modified) { file in
            try write { try file.append($0) }
        }
        _ = try publish([(object, file)], replacing: [object])
    }

    /// What killed runs left. Only under the writer's lock: another writer's files look the same.
    package func removeTemporaryFiles() throws {
        let root = try root()
        // Of a document that was being replaced.
        for name in try root.names() where name.hasSuffix(".tmp") && name.contains(".json.") {
            try root.unlink(name)
        }
        try makeDirectory(Self.temporary)
        for name in try root.names(in: Self.temporary) where !SystemLeftovers.contains(name) {
            let name = "\(Self.temporary)/\(name)"
            // No writer makes directories here.
            guard let status = try root.status(of: name), status.kind != .directory else { continue }
            try root.unlink(name)
        }
    }

    /// Makes anew, and empty, what `missingDirectories` names.
    ///
    /// - Returns: their names.
    package func makeMissingDirectories() throws -> [String] {
        let missing = try missingDirectories()
        for name in missing { try makeDirectory(name) }
        // One whose directory was missing, too, was named by that.
        for name in try missingDirectories() { try makeDirectory(name) }
        return missing
    }
}

// MARK: Reading

extension DirectoryStorage {
    package func read(
        _ object: ObjectName, at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer
    ) throws -> Int {
        try file(object).file.read(into: buffer, at: offset)
    }

    package func willRead(_ object: ObjectName) { try? file(object).file.adviseNeeded() }

    private func file(_ object: ObjectName) throws -> OpenFile {
        if let open = openPacks.withLock({ $0.find(object) }) { return open }
        let opened = try judging(object) { OpenFile(try root().open(reading: name(of: object))) }
        openPacks.withLock { $0.keep(opened, for: object) }
        return opened
    }

    package func size(of object: ObjectName) throws -> UInt64? { try status(of: object)?.size }

    /// Of the file itself: a link is told as one. Nil if there is no such object.
    package func status(of object: ObjectName) throws -> FileStatus? {
        try root().status(of: name(of: object))
    }

    package func list(_ kind: ObjectKind) throws -> [String] { try listing(kind).objects }

    package func strangers(_ kind: ObjectKind) throws -> [String] { try listing(kind).strangers }

    /// What is in the kind's directory, by one reading of it: the names of objects, and the paths of what is none.
    package func listing(_ kind: ObjectKind) throws -> (objects: [String], strangers: [String]) {
        var (objects, strangers): ([String], [String]) = ([], [])
        try forEachName(kind) { name in
            let text = String(decoding: name, as: UTF8.self)
            if kind.names(name) { objects.append(text) } else { strangers.append("\(kind.rawValue)/\(text)") }
        }
        // Shards are visited in order; strings that are all ASCII compare as their bytes do.
        return (objects.sorted(), strangers.sorted())
    }

    package func forEachPack(_ body: (ContentID) throws -> Void) throws {
        try forEachName(.pack) { name in
            if let pack = ContentID(hexDigits: name) { try body(pack) }
        }
    }

    private func forEachName(_ kind: ObjectKind, _ body: (UnsafeRawBufferPointer) throws -> Void) throws {
        let root = try root()
        guard kind == .pack else {
            do {
                return try root.forEachName(in: kind.rawValue, body)
            } catch let error as VarveError where error.isNoEntry {
                if kind.mayBeAbsent { return }
                throw VarveError(
                    .missing, "the directory of \(kind.rawValue) is missing, and with it whatever was in it",
                    location: location, hint: "run 'varve heal'")
            }
        }
        guard let packs = try packs(root) else { return }
        for shard in Self.shards {
            do {
                try packs.forEachName(in: shard, body)
            } catch let error as VarveError where error.isNoEntry {
                // Lost, with the packs in it: the others are still good, and verification names what is missing.
            }
        }
    }

    private static let shards = (0..<256).map { Hex.encode([UInt8($0)]) }

    /// The directory of shards; nil if it is lost.
    private func packs(_ root: RootDirectory) throws -> RootDirectory? {
        do {
            return try root.directory(ObjectKind.pack.rawValue)
        } catch let error as VarveError where error.isNoEntry {
            return nil
        }
    }

    package func missingDirectories() throws -> [String] {
        let root = try root()
        let others = try ObjectKind.allCases.filter { !$0.mayBeAbsent && $0 != .pack }.map(\.rawValue).filter
        {
            try root.status(of: $0) == nil
        }
        guard let packs = try packs(root) else { return [ObjectKind.pack.rawValue] + others }
        let there = Set(try packs.names())
        return others
            + Self.shards.filter { !there.contains($0) }.map { "\(ObjectKind.pack.rawValue)/\($0)" }
    }

    package func open(_ object: ObjectName) throws -> any ByteSource {
        try judging(object) { try OpenObject(try root().open(reading: name(of: object))) }
    }

    package func openMedia(_ object: ObjectName) throws -> any MediaObject {
        try judging(object) { try MediaFile(root(), name(of: object)) }
    }

    /// Sets the time of the object's last change, not that of its content, to now; where that can't be, it stays.
    package func renewChangeTime(of object: ObjectName) {
        guard let file = try? root().open(reading: name(of: object)), let status = try? file.status() else {
            return
        }
        try? file.setMode(mode_t(status.mode))
    }

    package func remove(_ object: ObjectName) throws {
        openPacks.withLock { $0.forget(object) }
        do {
            try root().unlink(name(of: object))
        } catch let error as VarveError where error.isNoEntry {}
    }

    /// Where an object lies, for messages and for people; the first two digits of a pack's name choose its shard.
    package func path(of object: ObjectName) -> String { Path.join(location, name(of: object)) }

    /// The same from the copy's directory on.
    private func name(of object: ObjectName) -> String { "\(directory(of: object))/\(object.name)" }

    private func directory(of object: ObjectName) -> String {
        object.kind == .pack ? "\(object.kind.rawValue)/\(object.name.prefix(2))" : object.kind.rawValue
    }

    /// What is not there is missing, what this process may not read is unreadable; and neither is damaged.
    private func judging<R>(_ object: ObjectName, _ body: () throws -> R) throws -> R {
        do {
            return try body()
        } catch let error as VarveError where error.isNoEntry {
            throw missing(object)
        } catch let error as VarveError where error.isAccess {
            throw error.unreadable("\(object)")
        }
    }
}
