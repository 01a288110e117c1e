import Glibc
import VarveFiles
import VarveFormat

/// All directories outside of a restore's target that restored files go to.
final class OutsideDirectories {
    private let all: [OutsideDirectory]

    /// - Parameter owner: whose rights are used; nil: the owner of the directory that is the target already, or the one
    ///   that the snapshot says. Root only where it is given.
    /// - Throws: `.refused` if it would be root.
    init(_ plan: RestorePlan, owner: (user: UInt32, group: UInt32)?) throws(VarveError) {
        var places: [RestorePlan.Place] = []
        for place in plan.places where place.isOutside {
            if !places.contains(where: { $0.restored == place.restored }) { places.append(place) }
        }
        guard let first = places.first else {
            all = []
            return
        }
        let rights = try Self.rights(plan, owner, first)
        all = places.map { OutsideDirectory($0, plan, owner: rights) }
    }

    private static func rights(
        _ plan: RestorePlan, _ owner: (user: UInt32, group: UInt32)?, _ place: RestorePlan.Place
    ) throws(VarveError) -> OutsideDirectory.Owner {
        if let owner { return .init(user: owner.user, group: owner.group) }
        guard Host.isRoot else { return .init(user: geteuid(), group: getegid()) }
        if let there = try FileStatus.of(plan.target, followLinks: false), there.user != 0 {
            return .init(user: there.user, group: there.group)
        }
        let home = plan.directories.first { $0.path == "." }
        guard let attributes = home?.attributes, attributes.user != 0 else {
            throw VarveError(
                .refused,
                "the snapshot says that root owns \(place.to): --owner must allow to write there as root",
                hint: "give --owner root if that is right, or --owner USER")
        }
        return .init(user: attributes.user, group: attributes.group)
    }

    /// Before anything is written.
    func examine(isDry: Bool) throws(VarveError) {
        for directory in all { try directory.examine(isDry: isDry) }
    }

    /// Moves their files out of the tree: all of them or, as far as no process dies, none.
    func publish(from tree: RootDirectory, _ cancellation: Cancellation) throws(VarveError) {
        do {
            for directory in all { try directory.stage(from: tree, cancellation) }
            for directory in all { try directory.publish() }
        } catch {
            for directory in all {
                Notices.attempt(.warning, directory.place.to, "what was moved there can't be moved back") {
                    try directory.undo()
                }
            }
            throw error
        }
        for directory in all { try directory.finish() }
        // The deepest first; what is beneath them has gone.
        for restored in all.map(\.place.restored).sorted(by: { $0.utf8.count > $1.utf8.count }) {
            try tree.removeTree(restored)
            let parent = Path.parent(restored)
            if parent != ".", try tree.names(in: parent).isEmpty { try tree.removeEmpty(parent) }
        }
        if !all.isEmpty { try tree.sync() }
    }
}
