import Glibc
import VarveFiles
import VarveFormat

extension DirectoryStorage {
    /// A damaged object is evidence, and parts of it may be good: it is moved to `quarantine/`.
    package func setAside(_ object: ObjectName) throws(VarveError) {
        openPacks.withLock { $0.forget(object) }
        try setAside(name(of: object), to: quarantine(object))
    }

    package func setAside(document name: String) throws(VarveError) {
        try setAside(name, to: "\(Self.quarantine)/\(name)-\(Path.randomName())")
    }

    private func setAside(_ name: String, to aside: String) throws(VarveError) {
        let root = try root()
        guard try root.status(of: name) != nil else { return }
        // Whoever empties the quarantine may remove it.
        try root.makeDirectory(forOwner: Self.quarantine)
        do {
            try root.rename(name, to: aside)
        } catch let error where error.isNoEntry {
            // Somebody else did so meanwhile.
            return
        }
        try Publication.sync(Publication.parent(name), in: root)
        try Publication.sync(Self.quarantine, in: root)
    }

    /// Objects that were set aside, and that nothing has taken the place of: their times of writing and of going.
    package func lost(_ kind: ObjectKind) throws(VarveError) -> [(
        object: ObjectName, written: Timestamp, setAside: Timestamp
    )] {
        let root = try root()
        guard try root.status(of: Self.quarantine) != nil else { return [] }
        let names = try root.names(in: Self.quarantine).filter { $0.hasPrefix("\(kind.rawValue)-") }
        var lost: [(object: ObjectName, written: Timestamp, setAside: Timestamp)] = []
        for name in names {
            // What follows the last dash is a random number.
            guard let end = name.lastIndex(of: "-"), name.count > kind.rawValue.count + 1 else { continue }
            let object = ObjectName(kind, String(name[..<end].dropFirst(kind.rawValue.count + 1)))
            guard object.contentHash != nil, try size(of: object) == nil,
                let status = try root.status(of: "\(Self.quarantine)/\(name)")
            else { continue }
            lost.append((object, status.modified, status.changed))
        }
        return lost
    }

    /// Where a damaged object goes: a new name each time.
    func quarantine(_ object: ObjectName) -> String {
        "\(Self.quarantine)/\(object.kind.rawValue)-\(object.name)-\(Path.randomName())"
    }

    package func replace(
        _ object: ObjectName,
        write: (_ append: (UnsafeRawBufferPointer) throws(VarveError) -> Void) throws(VarveError) -> Void
    ) throws(VarveError) {
        // It is as old as what it replaces; where that is gone, older than any snapshot that may need it.
        let modified = try status(of: object)?.modified ?? Timestamp(seconds: 0)
        let (file, _) = try Publication.stage(in: root(), Self.temporary, modified: modified) {
            (file) throws(VarveError) in
            try write { (bytes) throws(VarveError) in try file.append(bytes) }
        }
        _ = try publish([(object, file)], replacing: [object])
    }
}
