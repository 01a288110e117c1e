import ProcessSupport
import VarveFiles

/// A file system in a file.
struct LoopMount {
    enum Kind: String { case xfs, ext4 }

    let path: String
    let image: String
    private let kind: Kind

    /// - Parameter name: of the directory where it is mounted, which is made if it is missing.
    init(
        _ kind: Kind, in directory: TemporaryDirectory, at name: String = "mounted", megabytes: Int = 3072
    ) throws {
        self.kind = kind
        image = directory["image-" + name.replacing("/", with: "-")]
        path = directory[name]
        try run("truncate", ["-s", "\(megabytes)M", image]).require(0)
        try run("mkfs.\(kind)", ["-q", image]).require(0)
        try Directory.create(path)
        try mount().require(0)
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
