import VarveFiles
import VarveFormat

/// Where a restore grows until it is whole: `<target>.varve-incomplete`, on the target's file system.
///
/// It holds a marker, which is locked by the process at work, and `tree`, which becomes the target. Whenever that
/// process is killed, the next one knows by the marker what may be cleared away: the marker comes first and goes last.
final class StagingDirectory {
    static let suffix = ".varve-incomplete"
    private static let marker = ".varve-restore"
    private static let tree = "tree"
    /// What a marker may list: names of at most 255 bytes, in the root of an environment.
    private static let markerLimit = 64 << 20

    let target: String
    /// What is to become the target.
    var path: String { Path.join(staging, Self.tree) }
    private let staging: String
    /// The target is a mount point: it can't be replaced, so its content moves in at the end.
    private let isInside: Bool
    private var lock: FileLock?

    /// - Parameter given: as the user wrote it, perhaps with a "/" at its end, or ".".
    init(target given: String) throws {
        let target = try Self.named(given)
        let parent = Path.parent(target)
        guard let parentStatus = try FileStatus.of(parent), parentStatus.kind == .directory else {
            throw VarveError(
                .invalid, "\(parent), where \(target) should be made, is not a directory",
                hint: "make it first")
        }
        self.target = target
        let status = try FileStatus.of(target, followLinks: false)
        isInside = status.map { $0.device != parentStatus.device } ?? false
        staging = isInside ? Path.join(target, Self.suffix) : target + Self.suffix
        guard let status else { return }
        guard status.kind == .directory else {
            throw VarveError(
                .invalid, "\(target) is there and is not a directory", hint: "choose another target")
        }
        let moved = isInside ? try movedNames() : []
        let names = try Directory.list(target).filter {
            $0 != "lost+found" && $0 != Self.suffix && !moved.contains($0)
        }
        guard names.isEmpty else {
            try clearAfterPublication()
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

    /// An empty staging directory; what an interrupted restore left there is removed.
    func prepare() throws {
        if let there = try FileStatus.of(staging, followLinks: false) {
            // Empty: killed before the marker was made, or after it was removed.
            guard try there.kind == .directory && (isMarked() || Directory.list(staging).isEmpty) else {
                throw VarveError(
                    .invalid, "\(staging) is in the way and was not made by varve",
                    hint: "move it away and try again")
            }
        }
        try Directory.create(staging)
        try acquireLock()
        for name in try movedNames() { try Self.remove(Path.join(target, name)) }
        for name in try Directory.list(staging) where name != Self.marker {
            try Self.remove(Path.join(staging, name))
        }
        try Self.forget(Path.join(staging, Self.marker))
        try Directory.create(path)
    }

    private func isMarked() throws -> Bool {
        try FileStatus.of(Path.join(staging, Self.marker), followLinks: false)?.kind == .regular
    }

    /// Tells a restore that is at work from one that was killed; makes the marker.
    private func acquireLock() throws {
        lock = try FileLock.acquire(Path.join(staging, Self.marker), .exclusive)
        if lock == nil {
            throw VarveError(
                .locked, "another restore into \(target) is running", hint: "wait for it to end")
        }
    }

    /// The marker alone, beside a target: it was killed when all had its name. Nothing is incomplete then.
    private func clearAfterPublication() throws {
        guard !isInside, try isMarked(), try Directory.list(staging) == [Self.marker] else { return }
        try acquireLock()
        try Directory.removeFile(Path.join(staging, Self.marker))
        try Directory.removeEmpty(staging)
    }

    private static func remove(_ path: String) throws {
        guard let status = try FileStatus.of(path, followLinks: false) else { return }
        try status.kind == .directory ? Directory.removeTree(path) : Directory.removeFile(path)
    }

    // MARK: What is moved into a mount point

    /// In the marker, each name with a NUL behind it; durable before the first one is moved.
    private func announce(_ names: [String]) throws {
        var bytes: [UInt8] = []
        for name in names { bytes += Array(name.utf8) + [0] }
        let file = try File.open(updating: Path.join(staging, Self.marker))
        try bytes.withUnsafeBytes { try file.write($0, at: 0) }
        try file.sync()
        try file.close()
        try Directory.sync(staging)
    }

    private func movedNames() throws -> [String] {
        guard isInside, try isMarked() else { return [] }
        let file = try File.open(reading: Path.join(staging, Self.marker), followLinks: false)
        let bytes = try file.readAll(limit: Self.markerLimit)
        // Without its NUL a name was never announced.
        let names = bytes.split(separator: 0, omittingEmptySubsequences: false).dropLast()
        return names.map { String(decoding: $0, as: UTF8.self) }.filter {
            !$0.isEmpty && !$0.contains("/") && $0 != "." && $0 != ".." && $0 != Self.suffix
        }
    }

    private static func forget(_ marker: String) throws {
        let file = try File.open(updating: marker)
        try file.truncate(to: 0)
        try file.close()
    }

    /// Gives the whole its final name.
    func publish() throws {
        let attributes = try File.open(reading: path, followLinks: false).status().attributes
        if isInside {
            let names = try Directory.list(path)
            try announce(names)
            for name in names { try Directory.rename(Path.join(path, name), to: Path.join(target, name)) }
            // Durable there before it is forgotten that they had to move.
            try Directory.sync(target)
            try Directory.removeEmpty(path)
        } else {
            // Replaces an empty directory, and nothing else.
            try Directory.rename(path, to: target)
            try Directory.sync(Path.parent(target))
        }
        try Directory.removeFile(Path.join(staging, Self.marker))
        try Directory.removeEmpty(staging)
        try Directory.sync(Path.parent(staging))
        // A mount point is not the directory that was given them, and what moved in has changed its times.
        if isInside { try Self.finish(target, attributes) }
    }

    private static func finish(_ path: String, _ attributes: Manifest.Attributes) throws {
        let directory = try File.open(reading: path, followLinks: false)
        try directory.apply(attributes)
        try directory.sync()
    }
}
