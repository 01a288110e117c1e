import Glibc
import VarveFiles
import VarveFormat

/// A directory for one drill, locked while it is at work, so that the next one knows what a killed one has left.
final class DrillScratch {
    private static let prefix = "varve-drill-"

    let path: String
    private let lock: FileLock

    /// - Parameters:
    ///   - parent: absolute; there already.
    ///   - bytes: that will be written there.
    /// - Throws: `.refused` if there is too little room.
    init(in parent: String, bytes: UInt64) throws(VarveError) {
        Self.removeLeftovers(in: parent)
        let available = FileSystemType.availableBytes(parent)
        guard available >= bytes else {
            throw VarveError(
                .refused,
                "only \(ByteCount(available)) free in \(parent); the drill needs \(ByteCount(bytes))",
                hint: "name another directory with --scratch")
        }
        let made = Path.join(parent, Self.prefix + Hex.encode(Host.randomBytes(8)))
        try Directory.create(made, mode: 0o700)
        do throws(VarveError) {
            guard let held = try FileLock.acquire(Path.join(made, "lock"), .exclusive) else {
                throw VarveError(.locked, "\(made) is in use")
            }
            lock = held
        } catch {
            Notices.cleanUp(.warning, made) { try Directory.removeTree(made) }
            throw error
        }
        path = made
    }

    /// What drills left that were killed: ours, and locked by nobody.
    private static func removeLeftovers(in parent: String) {
        for name in (try? Directory.list(parent)) ?? [] where name.hasPrefix(prefix) {
            let left = Path.join(parent, name)
            guard let status = try? FileStatus.of(left, followLinks: false), status.kind == .directory,
                status.user == geteuid(), (try? FileStatus.of(Path.join(left, "lock"))) != nil,
                let held = (try? FileLock.acquire(Path.join(left, "lock"), .exclusive)) ?? nil
            else { continue }
            Notices.cleanUp(.warning, left) { try Directory.removeTree(left) }
            _ = consume held
        }
    }

    /// What of it can't be removed stays; that is no reason to forget what the drill has shown.
    ///
    /// - Returns: why it can't be removed.
    func remove() -> VarveError? {
        do {
            try Directory.removeTree(path)
            return nil
        } catch {
            return error
        }
    }
}
