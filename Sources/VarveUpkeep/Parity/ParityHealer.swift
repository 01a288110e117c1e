import VarveCodec
import VarveFiles
import VarveFormat
import VarveRepository
import VarveStorage

/// Gives back packs and manifests from parity. The caller holds the writer's lock.
///
/// Nothing is deleted: a damaged object is set aside when what takes its name is durable, and only bytes that hash to
/// that name are published. Until then parity is trusted with nothing: a block whose checksum is right by chance, or a
/// damaged parity object, can keep an object from being healed, and never gives a wrong one.
package final class ParityHealer {
    /// Of one object that was asked for.
    package struct ObjectReport: Encodable, Sendable, Hashable {
        package enum Verdict: String, Encodable, Sendable {
            /// It is what its name promises; nothing was done.
            case whole
            case healed
            /// More is damaged than parity gives back; nothing was changed.
            case beyond
            /// No parity object that can be read covers it.
            case uncovered
        }

        /// A pack or a manifest.
        package var object: ObjectName
        package var result: Verdict
        /// What of the object was damaged or gone, in bytes.
        package var damaged: [Range<UInt64>] = []
        package var shortfall: Shortfall?
    }

    /// How far damage goes beyond the budget.
    package struct Shortfall: Encodable, Sendable, Hashable {
        /// Bytes of the object that parity does not give back.
        package var lost: [Range<UInt64>] = []
        /// Stripes of the object of which too many blocks are damaged, by how many are too many.
        package var stripes: [Int: Int] = [:]
        /// Parity blocks of a stripe: so many may be damaged, parity blocks included.
        package var budget = 0
        /// Everything was computed, and it is not what the name promises: a block has a right checksum by chance, or
        /// changed while it was read.
        package var isWrong = false
    }

    let storage: any Storage
    let repository: RepositoryID
    let scratchDirectory: String

    private let cancellation: Cancellation

    package convenience init(_ repository: Repository, cancellation: Cancellation = Cancellation()) {
        self.init(
            storage: repository.storage, repository: repository.id,
            scratchDirectory: repository.scratchDirectory, cancellation: cancellation)
    }

    /// - Parameters:
    ///   - storage: what is healed.
    ///   - scratchDirectory: has room for what is healed of a group.
    package init(
        storage: any Storage, repository: RepositoryID, scratchDirectory: String,
        cancellation: Cancellation = Cancellation()
    ) {
        self.cancellation = cancellation
        self.storage = storage
        self.repository = repository
        self.scratchDirectory = scratchDirectory
    }

    /// Packs and manifests that parity covers and that are not there.
    package func missing() throws(VarveError) -> Set<ObjectName> {
        let covered = try ParityGroup.load(storage, of: repository).groups.flatMap(\.members)
        var missing: Set<ObjectName> = []
        for object in covered.map(\.object) {
            if try storage.size(of: object) == nil { missing.insert(object) }
        }
        return missing
    }

    /// The same for packs alone.
    package func heal(_ packs: Set<ContentID>, isTrial: Bool = false) throws(VarveError) -> [ObjectReport] {
        try heal(Set(packs.map { ObjectName(.pack, $0) }), isTrial: isTrial)
    }

    /// Heals what is damaged or gone. Others of the same groups may be damaged, too; they are not touched, but what
    /// is damaged of them counts.
    ///
    /// - Parameter isTrial: tells what would be healed and publishes nothing.
    /// - Returns: one for each object, sorted by name.
    /// - Throws: if what was healed can't be written; never because of damage.
    package func heal(_ objects: Set<ObjectName>, isTrial: Bool = false) throws(VarveError) -> [ObjectReport]
    {
        var outcomes: [ObjectName: ObjectReport] = [:]
        for group in try ParityGroup.load(storage, of: repository).groups {
            let wanted = group.members.indices.filter {
                let object = group.members[$0].object
                guard objects.contains(object) else { return false }
                // Two groups may cover it; what one could not give back, the other may.
                return outcomes[object].map { $0.result == .beyond } ?? true
            }
            if wanted.isEmpty { continue }
            let healing = try ParityGroupHealer(
                group, storage, scratchDirectory: scratchDirectory, cancellation: cancellation)
            for (member, outcome) in try healing.run(wanted, isTrial: isTrial) {
                outcomes[group.members[member].object] = outcome
            }
        }
        return objects.map { outcomes[$0] ?? ObjectReport(object: $0, result: .uncovered) }.sorted {
            $0.object < $1.object
        }
    }
}

extension ParityHealer {
    /// Of one parity object.
    package struct ParityObjectReport: Sendable, Hashable {
        package enum Verdict: Sendable {
            case whole
            /// It was damaged, and was made anew from what it covers.
            case healed
            /// The disk can't read what it covers: it stays, as that may be the moment's fault.
            case unreadable
            /// It is damaged, and so is something that it covers: it stays, as it may still be of use.
            case left
            /// Neither of its two lists can be read: it was set aside, and what it covered is not covered any more
            /// until `ParityWriter.cover`.
            case setAside
        }

        package var object: ObjectName
        package var result: Verdict
        /// Why it stays: members that are damaged or gone.
        package var damagedMembers: [ObjectName] = []
    }

    /// Compares every parity object with its name and makes damaged ones anew. To be called after `heal`.
    package func healParity() throws(VarveError) -> [ParityObjectReport] {
        var reports: [ParityObjectReport] = []
        for name in try storage.list(.parity) where ContentID(hex: name) != nil {
            if let report = try healParity(name) { reports.append(report) }
        }
        return reports
    }

    private func healParity(_ name: String) throws(VarveError) -> ParityObjectReport? {
        let object = ObjectName(.parity, name)
        do {
            if try isWhole(object) { return ParityObjectReport(object: object, result: .whole) }
        } catch let error where error.code == .missing {
            return nil
        }
        switch try ParityGroup.open(name, in: storage, of: repository) {
        case .gone: return nil
        case .group(let group): return try heal(group)
        case .unreadable(let error) where error.isOfMedium:
            return ParityObjectReport(object: object, result: .unreadable)
        case .unreadable(let error): throw error.unreadable("\(object)")
        case .damaged:
            try storage.setAside(object)
            return ParityObjectReport(object: object, result: .setAside)
        }
    }

    private func heal(_ group: ParityGroup) throws(VarveError) -> ParityObjectReport {
        let encoder = ParityEncoder(
            storage, repository, scratchDirectory: scratchDirectory, cancellation: cancellation)
        let hashed = try encoder.hash(group.members)
        var checksums: [UInt32] = []
        var outcome = ParityObjectReport(object: group.object, result: .left)
        for member in group.members {
            switch hashed[member] {
            case .success(let sums): checksums += sums
            default: outcome.damagedMembers.append(member.object)
            }
        }
        guard outcome.damagedMembers.isEmpty else { return outcome }
        // The shape is the object's own, so the bytes are those that it had.
        let parity = try encoder.encode(group.members, group.shape, checksums: checksums)
        if parity.name == group.name {
            try storage.replace(group.object) { (append) throws(VarveError) in try parity.write(append) }
        } else {
            _ = try storage.publish(.parity) { (append) throws(VarveError) in
                try parity.write(append)
                return parity.name
            }
            try storage.setAside(group.object)
        }
        outcome.result = .healed
        return outcome
    }

    /// Whether the bytes are what the name promises; they are not if they can't be read.
    private func isWhole(_ object: ObjectName) throws(VarveError) -> Bool {
        guard let size = try storage.size(of: object) else { throw storage.missing(object) }
        let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 4096)
        defer { memory.deallocate() }
        let names = Hasher.names(ofObjects: [size], memory: memory) {
            (_, offset, buffer) throws(VarveError) in
            guard try storage.read(object, at: offset, into: buffer) == buffer.count else {
                throw VarveError(.corrupt, "it became shorter")
            }
        }
        return try ParityGroupReader.tolerantly { () throws(VarveError) in try names[0].get() }
            == object.contentHash
    }
}
