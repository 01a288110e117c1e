import Glibc
import VarveFiles
import VarveFormat

extension DirectoryStorage {
    package func read(
        _ object: ObjectName, at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer
    ) throws(VarveError) -> Int {
        try file(object).file.read(into: buffer, at: offset)
    }

    package func willRead(_ object: ObjectName) { try? file(object).file.adviseNeeded() }

    private func file(_ object: ObjectName) throws(VarveError) -> OpenFile {
        if let open = openPacks.withLock({ $0.find(object) }) { return open }
        let opened = try judging(object) { () throws(VarveError) in
            OpenFile(try root().open(reading: name(of: object)))
        }
        openPacks.withLock { $0.keep(opened, for: object) }
        return opened
    }

    package func size(of object: ObjectName) throws(VarveError) -> UInt64? { try status(of: object)?.size }

    /// Of the file itself: a link is told as one.
    package func status(of object: ObjectName) throws(VarveError) -> ObjectStatus? {
        try root().status(of: name(of: object)).map {
            ObjectStatus(size: $0.size, modified: $0.modified, changed: $0.changed)
        }
    }

    package func list(_ kind: ObjectKind) throws(VarveError) -> [String] { try listing(kind).objects }

    package func strangers(_ kind: ObjectKind) throws(VarveError) -> [String] { try listing(kind).strangers }

    /// What is in the kind's directory, by one reading of it: the names of objects, and the paths of what is none.
    package func listing(_ kind: ObjectKind) throws(VarveError) -> (objects: [String], strangers: [String]) {
        var (objects, strangers): ([String], [String]) = ([], [])
        try forEachName(kind) { name in
            let text = String(decoding: name, as: UTF8.self)
            if kind.names(name) { objects.append(text) } else { strangers.append("\(kind.rawValue)/\(text)") }
        }
        // Shards are visited in order; strings that are all ASCII compare as their bytes do.
        return (objects.sorted(), strangers.sorted())
    }

    package func forEachPack(_ body: (ContentID) throws(VarveError) -> Void) throws(VarveError) {
        try forEachName(.pack) { (name) throws(VarveError) in
            if let pack = ContentID(hexDigits: name) { try body(pack) }
        }
    }

    private func forEachName(_ kind: ObjectKind, _ body: (UnsafeRawBufferPointer) throws(VarveError) -> Void)
        throws(VarveError)
    {
        let root = try root()
        guard kind == .pack else {
            do {
                return try root.forEachName(in: kind.rawValue, body)
            } catch let error where error.isNoEntry {
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
            } catch let error where error.isNoEntry {
                // Lost, with the packs in it: the others are still good, and verification names what is missing.
            }
        }
    }

    private static let shards = (0..<256).map { Hex.encode([UInt8($0)]) }

    /// The directory of shards; nil if it is lost.
    func packs(_ root: RootDirectory) throws(VarveError) -> RootDirectory? {
        do {
            return try root.directory(ObjectKind.pack.rawValue)
        } catch let error where error.isNoEntry {
            return nil
        }
    }

    package func missingDirectories() throws(VarveError) -> [ObjectDirectory] {
        let root = try root()
        var others: [ObjectDirectory] = []
        for kind in ObjectKind.allCases where !kind.mayBeAbsent && kind != .pack {
            if try root.status(of: kind.rawValue) == nil { others.append(ObjectDirectory(kind)) }
        }
        guard let packs = try packs(root) else { return [ObjectDirectory(.pack)] + others }
        let there = Set(try packs.names())
        return others
            + Self.shards.filter { !there.contains($0) }.map { ObjectDirectory(.pack, shard: $0) }
    }

    package func open(_ object: ObjectName) throws(VarveError) -> any ByteSource {
        try judging(object) { () throws(VarveError) in
            try OpenObject(try root().open(reading: name(of: object)))
        }
    }

    package func openMedia(_ object: ObjectName) throws(VarveError) -> any MediaObject {
        try judging(object) { () throws(VarveError) in try MediaFile(root(), name(of: object)) }
    }

    /// Sets the time of the object's last change, not that of its content, to now; where that can't be, it stays.
    package func renewChangeTime(of object: ObjectName) {
        Notices.attempt(.remark, path(of: object), "the time of its last change can't be set") {
            let file = try root().open(reading: name(of: object))
            try file.setMode(mode_t(file.status().mode))
        }
    }

    package func remove(_ object: ObjectName) throws(VarveError) {
        openPacks.withLock { $0.forget(object) }
        do {
            try root().unlink(name(of: object))
        } catch let error where error.isNoEntry {}
    }

    /// Where an object lies, for messages and for people; the first two digits of a pack's name choose its shard.
    package func path(of object: ObjectName) -> String { Path.join(location, name(of: object)) }

    /// The same from the copy's directory on.
    func name(of object: ObjectName) -> String { "\(directory(of: object))/\(object.name)" }

    func directory(of object: ObjectName) -> String {
        object.kind == .pack ? "\(object.kind.rawValue)/\(object.name.prefix(2))" : object.kind.rawValue
    }

    /// What is not there is missing, what this process may not read is unreadable; and neither is damaged.
    private func judging<R>(_ object: ObjectName, _ body: () throws(VarveError) -> R) throws(VarveError) -> R
    {
        do {
            return try body()
        } catch let error where error.isNoEntry {
            throw missing(object)
        } catch let error where error.isAccess {
            throw error.unreadable("\(object)")
        }
    }
}
