import Glibc
import Synchronization
import VarveFiles
import VarveFormat

/// A copy in a directory of a local or mounted file system.
///
/// ```
/// varve.json copy.json lock packs/00…ff/ indexes/ manifests/ events/ parity/ ledger/ drills/ quarantine/ tmp/
/// ```
public final class DirectoryStorage: Storage {
    public let location: String
    private let openPacks = Mutex(OpenFiles())
    private let isPassingCache: Bool

    /// Does not look at the disk: `Repository.open` has checked what is there.
    ///
    /// - Parameter isPassingCache: packs are written past the page cache, where that can be: nobody will read them soon,
    ///   and a processor copies nothing. The buffer must begin at a multiple of 4096.
    public init(_ path: String, isPassingCache: Bool = false) {
        location = path
        self.isPassingCache = isPassingCache
    }

    /// Makes the directories of an empty copy, durably; the caller writes the identity files last.
    public static func create(at path: String) throws {
        for kind in ObjectKind.allCases { try Directory.create(forOwner: Path.join(path, kind.rawValue)) }
        let packs = Path.join(path, ObjectKind.pack.rawValue)
        for shard in 0..<256 { try Directory.create(forOwner: Path.join(packs, Hex.encode([UInt8(shard)]))) }
        try Directory.create(forOwner: Path.join(path, "quarantine"))
        try Directory.create(forOwner: Path.join(path, "tmp"))
        try Directory.sync(packs)
        try Directory.sync(path)
    }

    public func publish(_ object: ObjectName, _ parts: [UnsafeRawBufferPointer]) throws {
        if try publishNew(object, parts) { return }
        if try sameBytes(object, parts) {
            // It may have come from a run that was killed between rename and fsync.
            try Directory.sync(directory(of: object))
            return
        }
        try setAside(object)
        guard try publishNew(object, parts) else {
            throw VarveError(.locked, "\(object) appeared while it was written", location: location)
        }
    }

    /// Their bytes were durable before they got their names (`Publication.publish`), so their directories are left.
    public func confirm(_ objects: [ObjectName]) throws {
        for path in Set(objects.map(directory(of:))).sorted() { try Directory.sync(path) }
    }

    private func publishNew(_ object: ObjectName, _ parts: [UnsafeRawBufferPointer]) throws -> Bool {
        func publish() throws -> Bool {
            try Publication.publish(in: directory(of: object), temporary: temporary) { file in
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
    private func makingDirectory<R>(_ path: String, of kind: ObjectKind, _ publish: () throws -> R) throws
        -> R
    {
        do {
            return try publish()
        } catch let error as VarveError where error.isNoEntry && (kind == .pack || kind.mayBeAbsent) {
            try makeDirectory(path)
            return try publish()
        }
    }

    private func makeDirectory(_ path: String) throws {
        guard try FileStatus.of(path) == nil else { return }
        try Directory.create(forOwner: path)
        try Directory.sync(Path.parent(path))
    }

    private var temporary: String { Path.join(location, "tmp") }

    /// - Precondition: `kind` is not `.pack`, whose shard depends on the name.
    public func publish(
        _ kind: ObjectKind, write: (_ append: (UnsafeRawBufferPointer) throws -> Void) throws -> String
    ) throws -> ObjectName {
        precondition(kind != .pack)
        let directory = Path.join(location, kind.rawValue)
        return try makingDirectory(directory, of: kind) {
            let (name, _) = try Publication.publish(in: directory, temporary: temporary) { file in
                try write { try file.append($0) }
            }
            return ObjectName(kind, name)
        }
    }

    /// A new file for an object that is copied; `publish` gives it its name.
    public func stage() throws -> StagedFile { try StagedFile(in: temporary) }

    /// Publishes objects that were staged, together: each directory is made durable once.
    ///
    /// - Parameter replacing: of these, what is there is damaged, and set aside.
    /// - Precondition: `finish()` of each has returned.
    /// - Returns: false for each that was there already; it is left as it is.
    public func publish(
        _ staged: [(object: ObjectName, file: StagedFile)], replacing: Set<ObjectName> = []
    ) throws -> [Bool] {
        defer { openPacks.withLock { for object in replacing { $0.forget(object) } } }
        for (object, _) in staged where object.kind == .pack || object.kind.mayBeAbsent {
            try makeDirectory(directory(of: object))
        }
        return try Publication.place(
            staged.map { object, file in
                Publication.Placement(
                    file, at: path(of: object), aside: replacing.contains(object) ? quarantine(object) : nil)
            })
    }

    private func sameBytes(_ object: ObjectName, _ parts: [UnsafeRawBufferPointer]) throws -> Bool {
        let length = parts.reduce(0) { $0 + $1.count }
        guard try size(of: object) == UInt64(length) else { return false }
        let stored: [UInt8]
        do {
            stored = try readAll(object, limit: length)
        } catch let error as VarveError where error.errno == EIO {
            // What the disk can't read any more is damaged, and its content is at hand.
            return false
        }
        var offset = 0
        for part in parts {
            guard stored[offset..<offset + part.count].elementsEqual(part) else { return false }
            offset += part.count
        }
        return true
    }

    /// A damaged object is evidence, and parts of it may be good: it is moved to `quarantine/`.
    public func setAside(_ object: ObjectName) throws {
        openPacks.withLock { $0.forget(object) }
        try setAside(path(of: object), to: quarantine(object))
    }

    /// The same for a document in the copy's own directory.
    public func setAside(file name: String) throws {
        try setAside(
            Path.join(location, name), to: Path.join(location, "quarantine/\(name)-\(Path.randomName())"))
    }

    private func setAside(_ path: String, to aside: String) throws {
        guard try FileStatus.of(path, followLinks: false) != nil else { return }
        // Whoever empties the quarantine may remove it.
        try Directory.create(forOwner: Path.parent(aside))
        do {
            try Directory.rename(path, to: aside)
        } catch let error as VarveError where error.isNoEntry {
            // Somebody else did so meanwhile.
            return
        }
        try Directory.sync(Path.parent(path))
        try Directory.sync(Path.parent(aside))
    }

    /// Objects that were set aside, and that nothing has taken the place of: their times of writing and of going.
    public func lost(_ kind: ObjectKind) throws -> [(
        object: ObjectName, written: Timestamp, setAside: Timestamp
    )] {
        let quarantine = Path.join(location, "quarantine")
        guard try FileStatus.of(quarantine) != nil else { return [] }
        let names = try Directory.list(quarantine).filter { $0.hasPrefix("\(kind.rawValue)-") }
        return try names.compactMap { name in
            // What follows the last dash is a random number.
            guard let end = name.lastIndex(of: "-"), name.count > kind.rawValue.count + 1 else { return nil }
            let object = ObjectName(kind, String(name[..<end].dropFirst(kind.rawValue.count + 1)))
            guard object.contentHash != nil, try size(of: object) == nil,
                let status = try FileStatus.of(Path.join(quarantine, name))
            else { return nil }
            return (object, status.modified, status.changed)
        }
    }

    /// Where a damaged object goes: a new name each time.
    private func quarantine(_ object: ObjectName) -> String {
        Path.join(location, "quarantine/\(object.kind.rawValue)-\(object.name)-\(Path.randomName())")
    }

    public func replace(
        _ object: ObjectName, write: (_ append: (UnsafeRawBufferPointer) throws -> Void) throws -> Void
    ) throws {
        // It is as old as what it replaces; where that is gone, older than any snapshot that may need it.
        let modified = try FileStatus.of(path(of: object))?.modified ?? Timestamp(seconds: 0)
        let (file, _) = try Publication.stage(in: temporary, modified: modified) { file in
            try write { try file.append($0) }
        }
        _ = try publish([(object, file)], replacing: [object])
    }

    public func read(
        _ object: ObjectName, at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer
    ) throws -> Int {
        try file(object).file.read(into: buffer, at: offset)
    }

    public func willRead(_ object: ObjectName) { try? file(object).file.adviseNeeded() }

    private func file(_ object: ObjectName) throws -> OpenFile {
        if let open = openPacks.withLock({ $0.find(object) }) { return open }
        let opened = try reportingMissing(object) { OpenFile(try File.open(reading: path(of: object))) }
        openPacks.withLock { $0.keep(opened, for: object) }
        return opened
    }

    public func size(of object: ObjectName) throws -> UInt64? {
        try FileStatus.of(path(of: object))?.size
    }

    public func list(_ kind: ObjectKind) throws -> [String] {
        var names: [String] = []
        try forEachName(kind) { if kind.names($0) { names.append(String(decoding: $0, as: UTF8.self)) } }
        // Shards are visited in order; strings that are all ASCII compare as their bytes do.
        return names.sorted()
    }

    public func strangers(_ kind: ObjectKind) throws -> [String] {
        var names: [String] = []
        try forEachName(kind) { name in
            if !kind.names(name) { names.append("\(kind.rawValue)/\(String(decoding: name, as: UTF8.self))") }
        }
        return names.sorted()
    }

    public func forEachPack(_ body: (ContentID) throws -> Void) throws {
        try forEachName(.pack) { name in
            if let pack = ContentID(hexDigits: name) { try body(pack) }
        }
    }

    private func forEachName(_ kind: ObjectKind, _ body: (UnsafeRawBufferPointer) throws -> Void) throws {
        let root = Path.join(location, kind.rawValue)
        guard kind == .pack else {
            do {
                return try Directory.forEachName(root, body)
            } catch let error as VarveError where error.isNoEntry && kind.mayBeAbsent {
                return
            }
        }
        for shard in 0..<256 {
            do {
                try Directory.forEachName(Path.join(root, Hex.encode([UInt8(shard)])), body)
            } catch let error as VarveError where error.isNoEntry {
                // Lost, with the packs in it: the others are still good, and verification names what is missing.
            }
        }
    }

    public func missingDirectories() throws -> [String] {
        try (0..<256).map { Path.join(ObjectKind.pack.rawValue, Hex.encode([UInt8($0)])) }.filter {
            try FileStatus.of(Path.join(location, $0)) == nil
        }
    }

    public func open(_ object: ObjectName) throws -> any ByteSource {
        try reportingMissing(object) { try OpenObject(try File.open(reading: path(of: object))) }
    }

    public func openMedia(_ object: ObjectName) throws -> any MediaObject {
        try reportingMissing(object) { try MediaFile(path(of: object)) }
    }

    public func remove(_ object: ObjectName) throws {
        openPacks.withLock { $0.forget(object) }
        do {
            try Directory.removeFile(path(of: object))
        } catch let error as VarveError where error.isNoEntry {}
    }

    /// Where an object lies; the first two digits of a pack's name choose its shard.
    public func path(of object: ObjectName) -> String { Path.join(directory(of: object), object.name) }

    private func directory(of object: ObjectName) -> String {
        let root = Path.join(location, object.kind.rawValue)
        return object.kind == .pack ? Path.join(root, String(object.name.prefix(2))) : root
    }

    private func reportingMissing<R>(_ object: ObjectName, _ body: () throws -> R) throws -> R {
        do {
            return try body()
        } catch let error as VarveError where error.isNoEntry {
            throw missing(object)
        }
    }

    /// What killed runs left. Only under the writer's lock: another writer's files look the same.
    public func removeTemporaryFiles() throws {
        let directory = Path.join(location, "tmp")
        for name in try Directory.list(directory) where !SystemLeftovers.contains(name) {
            try Directory.removeFile(Path.join(directory, name))
        }
    }
}

/// An object's file, for as long as a reference is kept.
private final class OpenObject: ByteSource {
    private let file: File
    let byteCount: Int

    init(_ file: consuming File) throws {
        byteCount = Int(try file.status().size)
        self.file = file
    }

    func read(at offset: Int, into buffer: UnsafeMutableRawBufferPointer) throws {
        guard try file.read(into: buffer, at: UInt64(offset)) == buffer.count else {
            throw VarveError(
                .corrupt, "it ends before byte \(offset + buffer.count)", location: file.path)
        }
    }
}

/// A descriptor shared by readers; closed when the last one lets go.
private final class OpenFile: Sendable {
    let file: File
    init(_ file: consuming File) { self.file = file }
}

/// The files read last: a restore reads neighbouring extents from few packs.
private struct OpenFiles {
    private static let limit = 32
    private var files: [(object: ObjectName, file: OpenFile)] = []

    mutating func find(_ object: ObjectName) -> OpenFile? {
        guard let index = files.lastIndex(where: { $0.object == object }) else { return nil }
        let found = files.remove(at: index)
        files.append(found)
        return found.file
    }

    mutating func keep(_ file: OpenFile, for object: ObjectName) {
        if files.count == Self.limit { files.removeFirst() }
        files.append((object, file))
    }

    mutating func forget(_ object: ObjectName) { files.removeAll { $0.object == object } }
}
