import VarveFiles
import VarveFormat

/// Where a restore grows until it is whole: `<target>.varve-incomplete`, on the target's file system.
final class StagingDirectory {
    static let suffix = ".varve-incomplete"
    /// In a staging directory: made by us, and locked by the process that fills it.
    private static let marker = ".varve-restore"

    let target: String
    let path: String
    /// The target is a mount point: it can't be replaced, so its content moves in at the end.
    private let isInside: Bool
    private var lock: FileLock?

    init(target: String) throws {
        let parent = Path.parent(target)
        guard let parentStatus = try FileStatus.of(parent), parentStatus.kind == .directory else {
            throw VarveError(
                .invalid, "\(parent), where \(target) should be made, is not a directory",
                hint: "make it first")
        }
        self.target = target
        let status = try FileStatus.of(target, followLinks: false)
        isInside = status.map { $0.device != parentStatus.device } ?? false
        path = isInside ? Path.join(target, Self.suffix) : target + Self.suffix
        guard let status else { return }
        guard status.kind == .directory else {
            throw VarveError(
                .invalid, "\(target) is there and is not a directory", hint: "choose another target")
        }
        let names = try Directory.list(target).filter { $0 != "lost+found" && $0 != Self.suffix }
        guard names.isEmpty else {
            throw VarveError(
                .invalid, "\(target) is not empty (it holds \(names[0]))",
                hint: "a restore goes into an empty or new directory: nothing is ever overwritten")
        }
    }

    /// An empty staging directory; what an interrupted restore left there is removed.
    func prepare() throws {
        if try FileStatus.of(path, followLinks: false) != nil {
            guard try FileStatus.of(Path.join(path, Self.marker), followLinks: false) != nil else {
                throw VarveError(
                    .invalid, "\(path) is in the way and was not made by varve",
                    hint: "move it away and try again")
            }
            try acquireLock()
            try Directory.removeTree(path)
        }
        try Directory.create(path)
        try acquireLock()
    }

    /// Tells a restore that is at work from one that was killed; makes the marker.
    private func acquireLock() throws {
        lock = try FileLock.acquire(Path.join(path, Self.marker), .exclusive)
        if lock == nil { throw VarveError(.locked, "another restore into \(target) is running") }
    }

    /// Gives the whole its final name.
    func publish() throws {
        // Taking the marker away changes the time that the restored home has by now.
        let attributes = try File.open(reading: path, followLinks: false).status().attributes
        try Directory.removeFile(Path.join(path, Self.marker))
        if isInside {
            for name in try Directory.list(path) {
                try Directory.rename(Path.join(path, name), to: Path.join(target, name))
            }
            try Directory.removeEmpty(path)
            return try Self.finish(target, attributes)
        }
        try Self.finish(path, attributes)
        // Replaces an empty directory, and nothing else.
        try Directory.rename(path, to: target)
        try Directory.sync(Path.parent(target))
    }

    private static func finish(_ path: String, _ attributes: Manifest.Attributes) throws {
        let directory = try File.open(reading: path, followLinks: false)
        try directory.apply(attributes)
        try directory.sync()
    }
}
