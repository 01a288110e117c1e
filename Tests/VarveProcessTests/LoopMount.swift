import ProcessSupport
import VarveFiles

/// A file system in a file.
struct LoopMount {
    enum Kind: String, CaseIterable { case xfs, ext4 }

    enum Result {
        case success(LoopMount)
        case failure(String)
    }

    let path: String
    private let image: String
    private let kind: Kind

    static func make(_ kind: Kind, in directory: TemporaryDirectory) throws -> Result {
        guard Host.isRoot else { return .failure("only root can mount") }
        guard Executable.inPath("mkfs.\(kind)") != nil else { return .failure("there is no mkfs.\(kind)") }
        let image = directory["image"]
        try run("truncate", ["-s", "3G", image]).require(0)
        try run("mkfs.\(kind)", ["-q", image]).require(0)
        let mount = LoopMount(path: directory["mounted"], image: image, kind: kind)
        try Directory.create(mount.path)
        let mounted = try mount.mount()
        guard mounted.code == 0 else {
            return .failure("\(kind) can't be mounted: \(mounted.errors)")
        }
        return .success(mount)
    }

    @discardableResult
    func mount() throws -> Finished { try run("mount", ["-t", kind.rawValue, "-o", "loop", image, path]) }

    /// As if the disk were pulled out: what is in memory only is lost.
    func cut() throws {
        try run("xfs_io", ["-x", "-c", "shutdown", path]).require(0)
        try run("umount", [path]).require(0)
    }

    func unmount() {
        // Lazily if it must be: nothing of a test stays mounted.
        if (try? run("umount", [path]).code) != 0 { _ = try? run("umount", ["-l", path]) }
    }
}
