import Glibc
import VarveCapture
import VarveFiles
import VarveFormat

/// A directory outside of a restore's target, into which restored files go: where an environment had it, or where the
/// user wants it. Other files may lie there.
///
/// The path is the manifest's word, and whoever can write the repository's disk can write that. So everything here is
/// done with the rights of the environment's owner, never with root's: `OwnerThread`.
final class OutsideDirectory {
    /// Whose rights are used.
    struct Owner: Sendable, Hashable {
        var user: UInt32
        var group: UInt32
    }

    private static let staging = ".varve-incomplete"
    private static let marker = ".varve-restore"

    let place: RestorePlan.Place
    private let owner: Owner
    private let files: [Manifest.StoredFile]
    private var directory: RootDirectory?
    private var staged: RootDirectory?
    /// What was brought, by its final name; the number is its name until then.
    private var brought: [String] = []
    /// Beneath the restored home: what goes elsewhere itself.
    private let inner: [String]

    /// - Parameter plan: its files beneath the place's directory are those that go there.
    init(_ place: RestorePlan.Place, _ plan: RestorePlan, owner: Owner) {
        self.place = place
        self.owner = owner
        let inner = plan.places.filter { $0.isOutside && $0.restored != place.restored }.map(\.restored)
        self.inner = inner.filter { RecoveryLayout.isAt($0, place.restored) }
        files = plan.files.filter { file in
            RecoveryLayout.isAt(file.path, place.restored) && file.path != place.restored
                && !inner.contains {
                    RecoveryLayout.isAt($0, place.restored) && RecoveryLayout.isAt(file.path, $0)
                }
        }
    }

    /// Before anything is written: that it can be, and that no name is taken.
    ///
    /// - Parameter isDry: what an earlier restore left there stays.
    func examine(isDry: Bool) throws(VarveError) {
        for file in files where file.kind != .database && file.kind != .log && !isCompanion(file) {
            throw VarveError(
                .refused, "\(file.path) is neither a database nor a log: it does not go to \(place.to)",
                hint: "leave out --in-place and --map: everything is restored beneath the target then")
        }
        try OwnerThread.run(user: owner.user, group: owner.group) { () throws(VarveError) in
            guard try FileStatus.of(place.to) != nil else {
                let parent = Path.parent(place.to)
                guard try FileStatus.of(parent)?.kind == .directory else {
                    throw VarveError(
                        .invalid, "\(place.to) can't be created: \(parent) is not a directory",
                        hint: "create \(parent) first (mkdir), and give it to user \(owner.user) (chown)")
                }
                guard faccessat(AT_FDCWD, parent, W_OK | X_OK, AT_EACCESS) == 0 else {
                    throw VarveError(
                        .refused, "user \(owner.user), the environment's owner, can't create \(place.to)",
                        hint:
                            "run 'install -d -o \(owner.user) \(place.to)', or name another user (--owner)")
                }
                return
            }
            let there = try RootDirectory(place.to)
            try requireOwner(there.status())
            if let left = try there.status(of: Self.staging) {
                guard left.kind == .directory, left.user == owner.user || !Host.isRoot,
                    try Self.madeStaging(there)
                else {
                    throw VarveError(
                        .invalid,
                        "\(Path.join(place.to, Self.staging)) exists already and was not made by varve",
                        hint: "move it away, then run the same command again")
                }
                // What it holds is taken back first, and what was taken back is in nobody's way.
                if isDry { return }
                try undo(there)
            }
            for file in files {
                let name = relative(file)
                guard try there.status(of: name) != nil else { continue }
                throw VarveError(
                    .refused, "\(Path.join(place.to, name)) exists already: a restore overwrites nothing",
                    hint: "move it away, or leave out --in-place and --map")
            }
            if let available = there.availableBytes {
                let needed = files.bytesToWrite
                guard available >= needed else {
                    throw VarveError(
                        .refused,
                        "only \(ByteCount(available)) free at \(place.to); the restore needs \(ByteCount(needed))",
                        hint: "free some space there")
                }
            }
        }
    }

    /// What applications keep beside their databases. `DB_CONFIG` belongs to a home, and to no other directory.
    private func isCompanion(_ file: Manifest.StoredFile) -> Bool {
        let name = Path.name(file.path)
        return file.kind == .configuration && name != "DB_CONFIG"
            && EnvironmentListing.configurationNames.contains(name)
    }

    private func requireOwner(_ status: FileStatus) throws(VarveError) {
        guard !Host.isRoot || status.user == owner.user else {
            throw VarveError(
                .refused,
                "\(place.to) belongs to user \(status.user), and the environment to user \(owner.user)",
                hint:
                    "if this directory is right, run 'chown \(owner.user) \(place.to)', or name its user (--owner)"
            )
        }
    }

    private func relative(_ file: Manifest.StoredFile) -> String {
        String(file.path.dropFirst(place.restored.count + 1))
    }

    /// Brings the files there, durably, under names that are not theirs yet.
    ///
    /// - Parameter tree: they are in, recovered or not: what is there counts by now, not the plan.
    func stage(from tree: RootDirectory, _ cancellation: Cancellation) throws(VarveError) {
        let source = try tree.directory(place.restored)
        let names = try list(source, ".")
        try give(source, names)
        let status = try source.status()
        try OwnerThread.run(user: owner.user, group: owner.group) { () throws(VarveError) in
            if try FileStatus.of(place.to) == nil {
                try RootDirectory(Path.parent(place.to)).makeDirectory(
                    Path.name(place.to), mode: status.mode & 0o777)
            }
            let there = try RootDirectory(place.to)
            try requireOwner(there.status())
            try there.makeDirectory(Self.staging)
            let staged = try there.directory(Self.staging)
            (self.directory, self.staged) = (there, staged)
            // The names that they get, each with its inode: what a run that was killed has to take back.
            let marker = try staged.create(Self.marker)
            for (number, name) in names.enumerated() {
                try cancellation.check()
                try Self.bring(name, from: source, to: "\(number)", in: staged)
                guard let new = try staged.status(of: "\(number)") else { continue }
                let line = Array("\(new.inode) \(name)".utf8) + [0]
                try line.withBytes { (bytes) throws(VarveError) in try marker.write(bytes) }
            }
            try marker.sync()
            try staged.sync()
            try there.sync()
            brought = names
        }
    }

    private func list(_ source: RootDirectory, _ directory: String) throws(VarveError) -> [String] {
        var paths: [String] = []
        for name in try source.names(in: directory) {
            let path = directory == "." ? name : directory + "/" + name
            if inner.contains(place.restored + "/" + path) { continue }
            paths += try source.status(of: path)?.kind == .directory ? list(source, path) : [path]
        }
        return paths
    }

    /// Whether the staging directory that is there is ours: marked, or empty.
    private static func madeStaging(_ there: RootDirectory) throws(VarveError) -> Bool {
        if try there.status(of: Path.join(staging, marker)) != nil { return true }
        return try there.names(in: staging).isEmpty
    }

    /// In the staging tree root gives the files to the owner; there nobody else reaches them.
    private func give(_ source: RootDirectory, _ names: [String]) throws(VarveError) {
        guard Host.isRoot else { return }
        for name in names {
            let opened = try source.open(reading: name)
            try opened.setOwner(user: owner.user, group: owner.group)
            try opened.setMode(opened.status().mode & 0o666)
            var directory = Path.parent(name)
            while directory != "." {
                try source.directory(directory).setOwner(user: owner.user, group: owner.group)
                directory = Path.parent(directory)
            }
        }
        try source.setOwner(user: owner.user, group: owner.group)
    }

    private static func bring(
        _ name: String, from source: RootDirectory, to number: String, in staged: RootDirectory
    ) throws(VarveError) {
        do {
            return try source.rename(name, to: number, in: staged)
        } catch let error where error.errno == EXDEV {}
        guard let status = try source.status(of: name) else { return }
        let copy = try source.copy(name, to: number, in: staged)
        try copy.setMode(status.mode)
        try copy.setModified(status.modified)
        try copy.sync()
    }

    /// Gives the files their names.
    func publish() throws(VarveError) {
        try OwnerThread.run(user: owner.user, group: owner.group) { () throws(VarveError) in
            guard let directory, let staged else { return }
            for (number, name) in brought.enumerated() {
                let parent = Path.parent(name)
                if parent != "." { try directory.makeDirectories(parent, mode: 0o700) }
                guard try staged.renameWithoutReplacing("\(number)", to: name, in: directory) else {
                    throw VarveError(
                        .refused,
                        "\(Path.join(place.to, name)) was created meanwhile: a restore overwrites nothing",
                        hint: "find out who made the file, move it away, and run the same command again")
                }
            }
            for parent in Set(brought.map(Path.parent)) { try directory.directory(parent).sync() }
        }
    }

    /// All is there: nothing is taken back any more. Comes before the target has its name, or a later run might take from
    /// an environment that is in use.
    func finish() throws(VarveError) {
        try OwnerThread.run(user: owner.user, group: owner.group) { () throws(VarveError) in
            guard let directory, try directory.status(of: Self.staging) != nil else { return }
            try directory.removeTree(Self.staging)
            try directory.sync()
        }
    }

    /// Takes back what a run that was killed, or failed, has brought.
    func undo() throws(VarveError) {
        try OwnerThread.run(user: owner.user, group: owner.group) { () throws(VarveError) in
            if let directory, try directory.status(of: Self.staging) != nil { try undo(directory) }
        }
    }

    private func undo(_ directory: RootDirectory) throws(VarveError) {
        let bytes = try directory.read(Path.join(Self.staging, Self.marker), limit: 64 << 20) ?? []
        for line in bytes.split(separator: 0, omittingEmptySubsequences: false).dropLast() {
            let text = String(decoding: line, as: UTF8.self)
            guard let space = text.firstIndex(of: " "), let inode = UInt64(text[..<space]) else { continue }
            let name = String(text[text.index(after: space)...])
            if try directory.status(of: name)?.inode == inode { try directory.unlink(name) }
        }
        try directory.removeTree(Self.staging)
    }
}
