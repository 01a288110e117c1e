import Glibc
import VarveFiles
import VarveFormat

/// Where a restore grows until it is whole: `<target>.varve-incomplete`, on the target's file system.
///
/// It holds a marker, which is locked by the process at work, and `tree`, which becomes the target. Whenever that
/// process is killed, the next one knows by the marker what may be cleared away: the marker comes first and goes last.
///
/// A target that is a mount point, or holds some (`InnerMounts`), can't be replaced: the staging directory is in it then,
/// and what is in `tree` moves up at the end.
///
/// The directory that the target is in is opened once, and everything is done beneath it by descriptors; nobody else
/// gets into the staging directory. So whoever can write beside the target leads nothing astray.
final class StagingDirectory {
    static let suffix = ".varve-incomplete"
    private static let marker = ".varve-restore"
    static let tree = "tree"
    /// What Varve keeps in an environment: where one was, it may be all that is left.
    private static let own = ".varve"
    /// What a marker may list: names of at most 255 bytes, in the root of an environment.
    private static let markerLimit = 64 << 20

    let target: String
    /// The target can't be replaced, so its content moves in at the end.
    private let isInside: Bool
    /// What the staging directory is in: the target itself if that can't be replaced, else what the target is in.
    private let base: RootDirectory
    private let name: String
    private let staging: String
    private let mounts: InnerMounts
    private var lock: FileLock?
    private var opened: RootDirectory?
    /// Where `tree` is.
    private var room: RootDirectory?

    /// - Parameters:
    ///   - given: as the user wrote it, perhaps with a "/" at its end, or ".".
    ///   - files: that will be restored, and the directories of the snapshot.
    ///   - isDry: only look: change nothing.
    init(
        target given: String, files: [Manifest.StoredFile], directories: [String], isDry: Bool = false
    ) throws(VarveError) {
        let target = try Self.named(given)
        let parent = Path.parent(target)
        guard let parentStatus = try FileStatus.of(parent), parentStatus.kind == .directory else {
            throw VarveError(
                .invalid, "\(target) can't be created: \(parent) is not a directory",
                hint: "run 'mkdir -p \(parent)', then the same command again")
        }
        let name = Path.name(target)
        let beside = try RootDirectory(parent)
        let status = name == "/" ? try beside.status() : try beside.status(of: name)
        if let status, status.kind != .directory {
            let isLink = status.kind == .symbolicLink
            throw VarveError(
                .invalid, "\(target) is \(isLink ? "a symbolic link" : "there and is not a directory")",
                hint: isLink ? "name the directory that it leads to" : "choose another target")
        }
        self.target = target
        self.name = name
        let there = status == nil ? nil : name == "/" ? beside : try beside.directory(name)
        let isMountPoint = if name == "/" { true } else { try beside.isMountPoint(name) }
        mounts = try InnerMounts(in: there, files: files, directories: directories)
        isInside = isMountPoint || !mounts.paths.isEmpty
        base = isInside ? there ?? beside : beside
        staging = isInside ? Self.suffix : name + Self.suffix
        guard let there else { return }
        let moved = Set(isInside ? try movedNames() : [])
        if let obstacle = try mounts.obstacle(in: there, ignoring: [Self.suffix, Self.own], moved) {
            if !isDry { try clearAfterPublication() }
            throw VarveError(
                .invalid, "\(target) is not empty (it holds \(obstacle))",
                hint: "a restore goes into an empty or new directory: nothing is ever overwritten")
        }
    }

    /// The same place under a name that a suffix can be put to.
    private static func named(_ target: String) throws(VarveError) -> String {
        let last = Path.name(target)
        if last == "." || last == ".." || last == "/" { return try Path.resolve(target) }
        return Path.join(Path.parent(target), last)
    }

    /// The target's path from the root on, without links but perhaps in its last name.
    static func absolute(_ given: String) throws(VarveError) -> String {
        let target = try named(given)
        // Of a parent that is not there the restore itself tells.
        guard let parent = try? Path.resolve(Path.parent(target)) else { return target }
        return target == "/" ? target : Path.join(parent, Path.name(target))
    }

    /// Where the files are written and recovered, for messages.
    var path: String { Path.join(base.path, workplace) }

    /// Of `base`; on the file system that gets the most.
    private var workplace: String {
        mounts.workplace == "." ? staging : Path.join(mounts.workplace, Self.suffix)
    }

    /// - Throws: `.refused` if a file system has too little room for what goes there.
    func requireRoom() throws(VarveError) {
        for need in try mounts.needs(base) where need.available < need.bytes {
            let place = need.path == "." ? target : Path.join(target, need.path)
            throw VarveError(
                .refused,
                "the restore needs \(ByteCount(need.bytes)), and where \(place) lies there are \(ByteCount(need.available))",
                hint: "free some space there, or choose another target")
        }
    }

    /// An empty staging directory with an empty tree; what an interrupted restore left there is removed.
    ///
    /// - Returns: the directory that the tree is in.
    func prepare() throws(VarveError) -> RootDirectory {
        let directory = try make(staging) { (directory) throws(VarveError) in
            // The marker first.
            try acquireLock(directory)
        }
        opened = directory
        for name in try movedNames() where try base.status(of: name) != nil {
            // What was mounted since then is no leftover.
            guard try !base.holdsMountPoint(name) else {
                throw VarveError(
                    .invalid, "\(Path.join(target, name)) is in the way: a file system was mounted in it",
                    hint: "unmount it and try again")
            }
            try base.removeTree(name)
        }
        for name in try directory.names() where name != Self.marker { try directory.removeTree(name) }
        for mount in mounts.paths {
            let left = Path.join(mount, Self.suffix)
            guard try base.status(of: left) != nil else { continue }
            _ = try make(left) { _ in }
            try base.removeTree(left)
        }
        try Self.forget(directory)
        let room =
            workplace == staging
            ? directory
            : try make(workplace) { (directory) throws(VarveError) in try directory.create(Self.marker).sync()
            }
        self.room = room
        try room.makeDirectory(Self.tree)
        return room
    }

    private func isMarkedOrEmpty(_ name: String) throws(VarveError) -> Bool {
        if try isMarked(name) { return true }
        return try base.names(in: name).isEmpty
    }

    /// A directory of ours, which may be there already if a restore left it.
    private func make(_ name: String, mark: (RootDirectory) throws(VarveError) -> Void) throws(VarveError)
        -> RootDirectory
    {
        if let there = try base.status(of: name) {
            // Empty: killed before the marker was made, or after it was removed.
            guard there.kind == .directory, try isMarkedOrEmpty(name) else {
                throw VarveError(
                    .invalid, "\(Path.join(base.path, name)) is in the way and was not made by varve",
                    hint: "move it away and try again")
            }
        }
        try base.makeDirectory(name)
        let directory = try base.directory(name)
        try mark(directory)
        try requireOurs(directory)
        // Its files have their owners already: nobody gets at them before they are whole.
        try directory.setMode(0o700)
        return directory
    }

    /// Whoever can write beside the target can make a directory of this name, with a marker in it. The user number that
    /// is ours there, on a network's file system too, is that of a file that we make.
    private func requireOurs(_ directory: RootDirectory) throws(VarveError) {
        let name = Path.randomName()
        let user = try directory.create(name).status().user
        try directory.unlink(name)
        guard try directory.status().user == user else {
            throw VarveError(
                .invalid, "\(directory.path) is in the way and belongs to another user",
                hint: "move it away, or choose a target where nobody else makes files")
        }
    }

    private func isMarked(_ name: String) throws(VarveError) -> Bool {
        try base.status(of: Path.join(name, Self.marker))?.kind == .regular
    }

    /// Tells a restore that is at work from one that was killed; makes the marker.
    private func acquireLock(_ directory: RootDirectory) throws(VarveError) {
        lock = try FileLock.acquire(Self.marker, in: directory, .exclusive)
        if lock == nil {
            throw VarveError(
                .locked, "another restore into \(target) is running", hint: "wait for it to end")
        }
    }

    /// The marker alone, beside a target: it was killed when all had its name. Nothing is incomplete then.
    private func clearAfterPublication() throws(VarveError) {
        guard !isInside, try isMarked(staging), try base.names(in: staging) == [Self.marker] else { return }
        let directory = try base.directory(staging)
        try acquireLock(directory)
        try remove(directory)
    }

    // MARK: What is moved into a target that is there

    /// In the marker, each name with a NUL behind it, beneath the target; durable before the first one is moved.
    private func announce(_ names: [String], _ directory: RootDirectory) throws(VarveError) {
        var bytes: [UInt8] = []
        for name in names { bytes += Array(name.utf8) + [0] }
        let file = try directory.open(updating: Self.marker)
        try bytes.withBytes { (bytes) throws(VarveError) in try file.write(bytes, at: 0) }
        try file.sync()
        try file.close()
        try directory.sync()
    }

    private func movedNames() throws(VarveError) -> [String] {
        guard isInside, try isMarked(staging) else { return [] }
        let bytes = try base.read(Path.join(staging, Self.marker), limit: Self.markerLimit) ?? []
        // Without its NUL a name was never announced.
        let names = bytes.split(separator: 0, omittingEmptySubsequences: false).dropLast()
        return names.map { String(decoding: $0, as: UTF8.self) }.filter { name in
            name.split(separator: "/", omittingEmptySubsequences: false).allSatisfy {
                !$0.isEmpty && $0 != "." && $0 != ".." && $0 != Self.suffix
            }
        }
    }

    private static func forget(_ directory: RootDirectory) throws(VarveError) {
        let file = try directory.open(updating: marker)
        try file.truncate(to: 0)
        try file.close()
    }

    // MARK: The end

    /// Gives the whole its final name.
    ///
    /// - Returns: what could not be cleared away, for people; nil as a rule.
    func publish(_ cancellation: Cancellation) throws(VarveError) -> String? {
        guard let directory = opened, let room else {
            preconditionFailure("published before it was prepared")
        }
        let tree = try room.directory(Self.tree)
        let attributes = try tree.status().attributes
        if isInside {
            let names = try mounts.pieces(of: tree)
            try announce(names, directory)
            // Durable there before it is forgotten that they had to move.
            try mounts.move(names, from: tree, to: base, cancellation)
            try base.sync()
            try room.removeTree(Self.tree)
            if workplace != staging { try base.removeTree(workplace) }
        } else {
            if try base.status(of: Path.join(name, Self.own))?.kind == .directory {
                try base.rename(Path.join(name, Self.own), to: Self.own, in: tree)
            }
            // Replaces an empty directory, and nothing else.
            try directory.rename(Self.tree, to: name, in: base)
            try base.sync()
        }
        let left = try remove(directory)
        try base.sync()
        // A mount point is not the directory that was given them, and what moved in has changed its times.
        if isInside {
            try base.apply(attributes)
            try base.sync()
        }
        return left
    }

    /// Removes the staging directory, which holds nothing but the marker.
    @discardableResult
    private func remove(_ directory: RootDirectory) throws(VarveError) -> String? {
        try directory.unlink(Self.marker)
        do {
            try base.removeEmpty(staging)
            lock = nil
            return nil
        } catch let error where error.errno == ENOTEMPTY || error.errno == EEXIST {}
        // NFS and FUSE keep a file that was removed while it was open, under another name, until it is closed.
        lock = nil
        let names = try directory.names()
        guard names.allSatisfy({ $0.hasPrefix(".nfs") || $0.hasPrefix(".fuse_hidden") }) else {
            return "\(path) is left, with \(names.prefix(3).joined(separator: ", ")) in it"
        }
        for _ in 0..<50 {
            do {
                try base.removeEmpty(staging)
                return nil
            } catch let error
                where error.errno == ENOTEMPTY || error.errno == EEXIST || error.errno == EBUSY
            { usleep(100_000) }
        }
        return "\(path) is left: remove it"
    }
}
