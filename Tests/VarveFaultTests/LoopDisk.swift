import ProcessSupport
import Testing
import VarveFiles

/// A file system in a file, as a disk has it, unmounted when the object goes away.
final class LoopDisk {
    enum Kind: String, CaseIterable {
        case ext4, xfs, exfat

        /// XFS makes none smaller.
        fileprivate var megabytes: Int { self == .xfs ? 320 : 64 }
        /// Those that this machine can make. Of the others `DiskTests` says that they were skipped.
        static var available: [Kind] { allCases.filter { (try? Machine.hasDisk($0.rawValue)) == true } }
    }

    let kind: Kind
    let directory: TemporaryDirectory
    /// Where it is mounted.
    var path: String { directory["disk"] }
    private var device = ""

    init(_ kind: Kind) throws {
        self.kind = kind
        directory = try TemporaryDirectory()
        let image = directory["image"]
        try Directory.create(path)
        try run("truncate", ["-s", "\(kind.megabytes)M", image]).require(0)
        try run("mkfs.\(kind)", (kind == .exfat ? [] : ["-q"]) + [image]).require(0)
        device =
            try run("losetup", ["-f", "--show", image]).require(0).output
            .split(whereSeparator: \.isWhitespace).map(String.init).first ?? ""
        try mount()
    }

    func mount() throws {
        if kind == .exfat {
            try run("mount.exfat-fuse", [device, path]).require(0)
        } else {
            try run("mount", ["-t", kind.rawValue, device, path]).require(0)
        }
    }

    func unmount() throws { try run("umount", [path]).require(0) }

    func remount(_ options: String) throws {
        try run("mount", ["-o", "remount,\(options)", path]).require(0)
    }

    /// As if the disk were pulled out: every access is an error from now on, what is in memory is lost.
    func die() throws { try run("xfs_io", ["-x", "-c", "shutdown", path]).require(0) }

    /// Takes all room that there is. exFAT's server allocates as it is written to.
    func fill() throws { _ = try run("dd", ["if=/dev/zero", "of=\(filling)", "bs=64k"], seconds: 60) }
    func makeRoom() throws { try Directory.removeFile(filling) }
    private var filling: String { Path.join(path, "filling") }

    deinit {
        _ = try? run("umount", ["-l", path])
        _ = try? run("losetup", ["-d", device])
    }
}

extension FaultTests {
    /// The file systems that the others are about: one that is skipped here is in none of their cases.
    @Suite(.serialized) struct DiskTests {
        @Test(.needsDisk("ext4")) func ext4() throws { try writeAndCut(.ext4) }
        @Test(.needsDisk("xfs")) func xfs() throws { try writeAndCut(.xfs) }
        @Test(.needsDisk("exfat")) func exfat() throws { try writeAndCut(.exfat) }

        /// What was made durable is there after the disk was away.
        private func writeAndCut(_ kind: LoopDisk.Kind) throws {
            let disk = try LoopDisk(kind)
            try Publication.replace(Path.join(disk.path, "file"), with: [1, 2, 3])
            try disk.unmount()
            #expect(try FileStatus.of(Path.join(disk.path, "file")) == nil)
            try disk.mount()
            #expect(try Text.read(Path.join(disk.path, "file")) == "\u{1}\u{2}\u{3}")
        }
    }
}
