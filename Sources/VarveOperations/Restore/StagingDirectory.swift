import Glibc
import VarveFiles
import VarveFormat

/// Where a restore grows until it is whole: `<target>.varve-incomplete`, on the target's file system.
///
/// It holds a marker, which is locked by the process at work, and `tree`, which becomes the target. Whenever that
/// process is killed, the next one knows by the marker what may be cleared away: the marker comes first and goes last.
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
    /// The target is a mount point: it can't be replaced, so its content moves in at the end.
    private let isInside: Bool
    /// What the staging directory is in: the target itself if that is a mount point, else what the target is in.
    private let base: RootDirectory
    private let name: String
    private let staging: String
    private var lock: FileLock?
    private var opened: RootDirectory?

    /// - Parameters:
    ///   - given: as the user wrote it, perhaps with a "/" at its end, or ".".
    ///   - isDry: only look: change nothing.
    init(target given: String, isDry: Bool = false) throws {
        let target = try Self.named(given)
        let parent = Path.parent(target)
        guard let parentStatus = try FileStatus.of(parent), parentStatus.kind == .directory else {
            throw VarveError(
                .invalid, "\(parent), where \(target) should be made, is not a directory",
                hint: "make it first")
        }
        let name = Path.name(target)
        let beside = try RootDirectory(parent)
        let device = try beside.status().device
        let status = name == "/" ? try beside.status() : try beside.status(of: name)
        if let status, status.kind != .directory {
            let isLink = status.kind == .symbolicLink
            throw VarveError(
                .invalid, "\(target) is \(isLink ? "a symbolic link" : "there and is not a directory")",
                hint: isLink ? "name the directory that it leads to" : "choose another target")
        }
        let isMountPoint = name == "/" || status.map { $0.device != device } ?? false
        self.target = target
        self.name = name
        isInside = isMountPoint
        base = isMountPoint && name != "/" ? try beside.directory(name) : beside
        staging = isMountPoint ? Self.suffix : name + Self.suffix
        guard status != nil else { return }
        let moved = isInside ? try movedNames() : []
        let names = try (isInside ? base.names() : base.names(in: name)).filter {
            $0 != "lost+found" && $0 != Self.suffix && $0 != Self.own && !moved.contains($0)
        }
        guard names.isEmpty else {
            if !isDry { try clearAfterPublication() }
            throw VarveError(
                .invalid, "\(target) is not empty (it holds \(names[0]))",
                hint: "a restore goes into an empty or new directory: nothing is ever overwritten")
        }
    }

    /// The same place under a name that a suffix can be put to.
    private static func named(_ target: String) throws -> String {
        let last = Path.name(target)
        if last == "." || last == ".." || last == "/" { return try Path.resolve(target) }
        return Path.join(Path.parent(target), last)
    }

    /// The target's path from the root on, without links but perhaps in its last name.
    static func absolute(_ given: String) throws -> String {
        let target = try named(given)
        // Of a parent that is not there the restore itself tells.
        guard let parent = try? Path.resolve(Path.parent(target)) else { return target }
        return target == "/" ? target : Path.join(parent, Path.name(target))
    }

    /// For messages.
    var path: String { Path.join(base.path, staging) }

    /// Bytes that can be written there; nil where that can't be told.
    var availableBytes: UInt64? { base.availableBytes }

    /// An empty staging directory with an empty tree; what an interrupted restore left there is removed.
    ///
    /// - Returns: the staging directory.
    func prepare() throws -> RootDirectory {
        if let there = try base.status(of: staging) {
            // Empty: killed before the marker was made, or after it was removed.
            guard try there.kind == .directory && (isMarked() || base.names(in: staging).isEmpty) else {
                throw VarveError(
                    .invalid, "\(path) is in the way and was not made by varve",
                    hint: "move it away and try again")
            }
        }
        try base.makeDirectory(staging)
        let directory = try base.directory(staging)
        // The marker first.
        try acquireLock(directory)
        try requireOurs(directory)
        // Its files have their owners already: nobody gets at them before they are whole.
        try directory.setMode(0o700)
        opened = directory
        for name in try movedNames() where try base.status(of: name) != nil { try base.removeTree(name) }
        for name in try directory.names() where name != Self.marker { try directory.removeTree(name) }
        try Self.forget(directory)
        try directory.makeDirectory(Self.tree)
        return directory
    }

    /// Whoever can write beside the target can make a directory of this name, with a marker in it. The user number that
    /// is ours there, on a network's file system too, is that of a file that we make.
    private func requireOurs(_ directory: RootDirectory) throws {
        let name = Path.randomName()
        let user = try directory.create(name).status().user
        try directory.unlink(name)
        guard try directory.status().user == user else {
            throw VarveError(
                .invalid, "\(path) is in the way and belongs to another user",
                hint: "move it away, or choose a target where nobody else makes files")
        }
    }

    private func isMarked() throws -> Bool {
        try base.status(of: Path.join(staging, Self.marker))?.kind == .regular
    }

    /// Tells a restore that is at work from one that was killed; makes the marker.
    private func acquireLock(_ directory: RootDirectory) throws {
        lock = try FileLock.acquire(Self.marker, in: directory, .exclusive)
        if lock == nil {
            throw VarveError(
                .locked, "another restore into \(target) is running", hint: "wait for it to end")
        }
    }

    /// The marker alone, beside a target: it was killed when all had its name. Nothing is incomplete then.
    private func clearAfterPublication() throws {
        guard !isInside, try isMarked(), try base.names(in: staging) == [Self.marker] else { return }
        let directory = try base.directory(staging)
        try acquireLock(directory)
        try remove(directory)
    }

    // MARK: What is moved into a mount point

    /// In the marker, each name with a NUL behind it; durable before the first one is moved.
    private func announce(_ names: [String], _ directory: RootDirectory) throws {
        var bytes: [UInt8] = []
        for name in names { bytes += Array(name.utf8) + [0] }
        let file = try directory.open(updating: Self.marker)
        try bytes.withUnsafeBytes { try file.write($0, at: 0) }
        try file.sync()
        try file.close()
        try directory.sync()
    }

    private func movedNames() throws -> [String] {
        guard isInside, try isMarked() else { return [] }
        let bytes = try base.read(Path.join(staging, Self.marker), limit: Self.markerLimit) ?? []
        // Without its NUL a name was never announced.
        let names = bytes.split(separator: 0, omittingEmptySubsequences: false).dropLast()
        return names.map { String(decoding: $0, as: UTF8.self) }.filter {
            !$0.isEmpty && !$0.contains("/") && $0 != "." && $0 != ".." && $0 != Self.suffix
        }
    }

    private static func forget(_ directory: RootDirectory) throws {
        let file = try directory.open(updating: marker)
        try file.truncate(to: 0)
        try file.close()
    }

    // MARK: The end

    /// Gives the whole its final name.
    ///
    /// - Returns: what could not be cleared away, for people; nil as a rule.
    func publish() throws -> String? {
        guard let directory = opened else { preconditionFailure("published before it was prepared") }
        let tree = try directory.directory(Self.tree)
        let attributes = try tree.status().attributes
        if isInside {
            let names = try tree.names()
            try announce(names, directory)
            for name in names { try tree.rename(name, to: name, in: base) }
            // Durable there before it is forgotten that they had to move.
            try base.sync()
            try directory.removeEmpty(Self.tree)
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
    private func remove(_ directory: RootDirectory) throws -> String? {
        try directory.unlink(Self.marker)
        do {
            try base.removeEmpty(staging)
            lock = nil
            return nil
        } catch let error as VarveError where error.errno == ENOTEMPTY || error.errno == EEXIST {}
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
            } catch let error as VarveError
                where error.errno == ENOTEMPTY || error.errno == EEXIST || error.errno == EBUSY
            { usleep(100_000) }
        }
        return "\(path) is left: remove it"
    }
}
