import VarveFormat

/// What a repository keeps, all of it immutable. Packs, manifests and events are the truth; caches and parity are made
/// from them, as long as they are whole: parity is what makes damaged ones whole again. Records tell what was done with
/// this copy.
package enum ObjectKind: String, Sendable, CaseIterable {
    case pack = "packs"
    case index = "indexes"
    case filter = "filters"
    case manifest = "manifests"
    case summary = "summaries"
    case event = "events"
    case parity = "parity"
    case ledger = "ledger"
    case drill = "drills"

    /// Nothing is lost with an object of this kind but time: it is made anew from packs and manifests.
    package var isCache: Bool { self == .index || self == .filter || self == .summary || self == .parity }
    /// Evidence about this copy: it goes to no other, and no snapshot needs it.
    package var isRecord: Bool { self == .ledger || self == .drill }
    /// Earlier versions made no directory for it, and a copy without one is whole.
    package var mayBeAbsent: Bool { isCache || isRecord || self == .event }
    /// Every copy has the same of them once it is up to date; in the order in which they are copied.
    package static let common: [ObjectKind] = [.pack, .event, .manifest]
}

extension ObjectKind {
    /// Whether an object of this kind can have the name. What has another name in the kind's directory is none:
    /// nobody reads, copies, counts or complains of it.
    package func names(_ name: UnsafeRawBufferPointer) -> Bool {
        let hash = UnsafeRawBufferPointer(rebasing: name.suffix(2 * ContentID.byteCount))
        guard ContentID(hexDigits: hash) != nil else { return false }
        let start = UnsafeRawBufferPointer(rebasing: name.dropLast(hash.count))
        switch self {
        case .pack, .index, .summary, .parity, .ledger: return start.isEmpty
        case .manifest, .event: return SnapshotReference(nameBytes: name) != nil
        case .filter:
            return start.last == UInt8(ascii: "-")
                && ContentID(hexDigits: UnsafeRawBufferPointer(rebasing: start.dropLast())) != nil
        case .drill:
            return start.count == 15 && start.last == UInt8(ascii: "-")
                && start.dropLast().allSatisfy { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
        }
    }

    package func names(_ name: String) -> Bool {
        var name = name
        return name.withUTF8 { names(UnsafeRawBufferPointer($0)) }
    }
}

/// An object's kind and name. Names are lowercase hexadecimal, digits and "-": safe on every file system.
package struct ObjectName: Hashable, Sendable, CustomStringConvertible {
    package var kind: ObjectKind
    package var name: String

    package init(_ kind: ObjectKind, _ name: String) {
        self.kind = kind
        self.name = name
    }

    package init(_ kind: ObjectKind, _ id: ContentID) { self.init(kind, id.hex) }

    package var description: String { "\(kind.rawValue)/\(name)" }

    /// The hash of the stored bytes that the name promises: all of it, or what follows the sequence number of a
    /// manifest or an event, the table's name of a filter, and the time of a drill.
    package var contentHash: ContentID? {
        kind.names(name) ? ContentID(hex: name.suffix(2 * ContentID.byteCount)) : nil
    }
}

/// What systems leave in directories by themselves: file managers, network disks, file systems. A directory that holds
/// nothing else is empty to a person.
package enum SystemLeftovers {
    private static let names: Set<String> = [
        "lost+found", ".DS_Store", ".Spotlight-V100", ".fseventsd", ".TemporaryItems", ".Trashes",
        ".DocumentRevisions-V100", "Thumbs.db", "ehthumbs.db", "desktop.ini", "System Volume Information",
        "$RECYCLE.BIN", "RECYCLER", "@eaDir", "#recycle", "#snapshot", ".snapshot", ".directory",
    ]

    package static func contains(_ name: String) -> Bool {
        names.contains(name) || name.hasPrefix("._") || name.hasPrefix(".Trash-")
            || name.hasPrefix(".nfs") || name.hasPrefix(".fuse_hidden")
    }
}
