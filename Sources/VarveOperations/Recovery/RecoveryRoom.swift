import VarveFiles
import VarveFormat

/// A directory in which the restored directories lie as a `RecoveryLayout` says, and nothing else, until they are
/// taken back. Renames, and no mounts; whoever is killed meanwhile leaves a staging directory that is not whole.
final class RecoveryRoom {
    private static let name = "world"
    private static let strangers = "strangers"
    /// Beneath the restored home: what recovery made outside of the snapshot's directories.
    static let outside = "recovered-outside"

    let layout: RecoveryLayout
    /// What is to be all that recovery reaches.
    let root: RootDirectory
    private let staging: RootDirectory
    private let tree: String
    private let owner: FileStatus
    /// Made for names to lead somewhere, outer ones first; without the "/" in front.
    private var made: [String] = []
    /// Empty directories that stood where another one's place is: restored path, attributes.
    private var covered: [(path: String, status: FileStatus)] = []

    /// - Parameters:
    ///   - staging: nobody else reaches it.
    ///   - tree: the name of the restored home in it.
    /// - Throws: `.corrupt` if two directories claim one place.
    init(_ layout: RecoveryLayout, in staging: RootDirectory, tree: String) throws(VarveError) {
        self.layout = layout
        self.staging = staging
        self.tree = tree
        guard let owner = try staging.status(of: tree) else {
            throw VarveError(.missing, "the restored files are gone", location: staging.path)
        }
        self.owner = owner
        try staging.makeDirectory(Self.name, mode: 0o755)
        root = try staging.directory(Self.name)
        try root.setMode(0o755)
        try give(root)
        try furnish()
    }

    private func furnish() throws(VarveError) {
        // Inner ones first, while the outer ones are still in the tree.
        for (index, part) in layout.parts.enumerated().sorted(by: {
            $0.element.restored.utf8.count > $1.element.restored.utf8.count
        }) {
            let name = Path.join(tree, part.restored)
            if try staging.status(of: name) == nil { try staging.makeDirectories(name) }
            try staging.rename(name, to: Self.part(index))
        }
        for move in layout.moves {
            let place = Self.relative(move.place)
            try makeParents(of: place)
            if move.restored == "." {
                try put(tree, at: place)
            } else if let index = layout.parts.firstIndex(of: move) {
                try put(Self.part(index), at: place)
            }
        }
        for directory in layout.directories { try makeAll(Self.relative(directory)) }
        for alias in layout.aliases {
            let path = Self.relative(alias.path)
            try makeParents(of: path)
            guard try root.status(of: path) == nil else { continue }
            try root.makeSymbolicLink(path, to: alias.place)
            made.append(path)
        }
    }

    private func put(_ name: String, at place: String) throws(VarveError) {
        if let there = try root.status(of: place) {
            guard there.kind == .directory, try root.names(in: place).isEmpty else {
                throw VarveError(
                    .corrupt, "two directories of the snapshot claim one place: /\(place)",
                    hint: "restore without --recover, and look at what DB_CONFIG says")
            }
            covered.append((place, there))
        }
        try staging.rename(name, to: place, in: root)
    }

    /// Takes everything back to where it was in the tree. What was made for names to lead somewhere goes, unless
    /// recovery has put something into it.
    ///
    /// - Returns: paths, in the room, of what recovery made outside of the restored directories; they lie beneath
    ///   `outside` in the tree now.
    func clear() throws(VarveError) -> [String] {
        for path in made.reversed() {
            guard let status = try root.status(of: path) else { continue }
            if status.kind == .symbolicLink { try root.unlink(path) }
        }
        let strangers = try files(in: ".", skipping: Set(layout.moves.map { Self.relative($0.place) }))
        for path in strangers {
            try staging.makeDirectories(Path.parent(Self.strangers + path), mode: 0o755)
            try root.rename(Self.relative(path), to: Self.strangers + path, in: staging)
        }
        try removeMade()
        for move in layout.moves.reversed() {
            let place = Self.relative(move.place)
            let name = move.restored == "." ? tree : Self.part(layout.parts.firstIndex(of: move) ?? 0)
            try root.rename(place, to: name, in: staging)
            if let before = covered.first(where: { $0.path == place }) {
                try root.makeDirectory(place)
                try root.directory(place).apply(before.status.attributes)
            }
            try removeMade()
        }
        for (index, part) in layout.parts.enumerated().sorted(by: {
            $0.element.restored.utf8.count < $1.element.restored.utf8.count
        }) {
            try staging.rename(Self.part(index), to: Path.join(tree, part.restored))
        }
        if !strangers.isEmpty {
            guard try staging.renameWithoutReplacing(Self.strangers, to: Path.join(tree, Self.outside)) else {
                throw VarveError(
                    .refused,
                    "recovery made files outside of the snapshot's directories, and the snapshot has a"
                        + " \(Self.outside) of its own", location: staging.path)
            }
        }
        try staging.removeTree(Self.name)
        return strangers
    }

    /// What is empty by now of the directories that were made.
    private func removeMade() throws(VarveError) {
        for path in made.reversed() where try root.status(of: path)?.kind == .directory {
            if try root.names(in: path).isEmpty { try root.removeEmpty(path) }
        }
    }

    private func files(in directory: String, skipping: Set<String>) throws(VarveError) -> [String] {
        var files: [String] = []
        for name in try root.names(in: directory) {
            let path = directory == "." ? name : directory + "/" + name
            if skipping.contains(path) { continue }
            guard let status = try root.status(of: path) else { continue }
            files += try status.kind == .directory ? self.files(in: path, skipping: skipping) : ["/" + path]
        }
        return files
    }

    private func makeParents(of path: String) throws(VarveError) {
        let parent = path.split(separator: "/").dropLast().joined(separator: "/")
        if !parent.isEmpty { try makeAll(parent) }
    }

    private func makeAll(_ path: String) throws(VarveError) {
        var sofar = ""
        for component in path.split(separator: "/") {
            sofar += sofar.isEmpty ? String(component) : "/" + component
            if try make(sofar, in: root) { made.append(sofar) }
        }
    }

    @discardableResult
    private func make(_ path: String, in directory: RootDirectory) throws(VarveError) -> Bool {
        guard try directory.makeDirectory(path, mode: 0o755) else { return false }
        try give(directory.directory(path))
        return true
    }

    private func give(_ directory: RootDirectory) throws(VarveError) {
        if Host.isRoot { try directory.setOwner(user: owner.user, group: owner.group) }
    }

    private static func part(_ index: Int) -> String { "part-\(index)" }
    private static func relative(_ place: String) -> String { String(place.drop { $0 == "/" }) }
}
