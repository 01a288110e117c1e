import VarveFormat
import VarveRepository
import VarveStorage

/// What of a copy is under parity.
package struct ParityStatus: Encodable, Sendable {
    /// Nil if this copy keeps no parity.
    package var percent: Int?
    package var groups = 0
    /// Parity objects whose header or list can't be read.
    package var damagedGroups = 0
    package var parityBytes: UInt64 = 0
    package var coveredObjects = 0
    package var coveredBytes: UInt64 = 0
    /// Packs and manifests that no group covers.
    package var uncovered: [ObjectName] = []
    package var uncoveredBytes: UInt64 = 0
    /// What groups cover and is not there any more.
    package var missing: [ObjectName] = []

    /// Reads headers and lists, no content.
    package init(_ repository: Repository) throws(VarveError) {
        let storage = repository.storage
        percent = try repository.parity()
        let loaded = try ParityGroup.load(storage, of: repository.id)
        let groups = loaded.groups
        self.groups = groups.count
        damagedGroups = loaded.damaged.count + loaded.unreadable.count
        for name in groups.map(\.name) + loaded.damaged + loaded.unreadable.map(\.name) {
            parityBytes += try storage.size(of: ObjectName(.parity, name)) ?? 0
        }
        let stored = try Self.stored(in: storage)
        let there = Set(stored.map(\.identity))
        let covered = Set(groups.lazy.flatMap(\.members).map(\.identity))
        for member in stored {
            if covered.contains(member.identity) {
                coveredObjects += 1
                coveredBytes += UInt64(member.size)
            } else {
                uncovered.append(member.object)
                uncoveredBytes += UInt64(member.size)
            }
        }
        uncovered.sort()
        missing = covered.subtracting(there).map(\.object).sorted()
    }

    /// Every pack and manifest, but for those of a size that none has.
    ///
    /// - Parameter known: identities; these are left out, and not looked at.
    static func stored(
        in storage: any Storage, except known: Set<ParityMember> = []
    ) throws(VarveError) -> Set<ParityMember> {
        var members: Set<ParityMember> = []
        func add(_ member: ParityMember) throws(VarveError) {
            if known.contains(member.identity) { return }
            let object = member.object
            guard let size = try storage.size(of: object) else { return }
            if let member = ParityMember(object, size: size) { members.insert(member) }
        }
        for name in try storage.list(.manifest) {
            guard let reference = SnapshotReference(name: name), reference.sequence > 0 else { continue }
            try add(ParityMember(hash: reference.hash, sequence: reference.sequence, size: 0))
        }
        try storage.forEachPack { (pack) throws(VarveError) in try add(ParityMember(hash: pack, size: 0)) }
        return members
    }
}
