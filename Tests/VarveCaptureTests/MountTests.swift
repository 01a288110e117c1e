import Glibc
import Testing

@testable import VarveFiles

@Suite struct MountTests {
    private func isFrozen(_ line: String) -> Bool? { FrozenFileSystem.Mount(Substring(line))?.isFrozen }

    @Test func onlyAReadOnlyLocalFileSystemIsFrozen() {
        #expect(
            isFrozen("36 35 7:1 / /snap ro,relatime shared:5 - xfs /dev/loop1 ro,attr2,norecovery") == true)
        #expect(isFrozen("36 35 7:1 / /snap ro,relatime - ext4 /dev/loop1 ro") == true)
        #expect(isFrozen("36 35 0:50 / /pool/.zfs/snapshot/a ro - zfs pool/data@a ro,xattr") == true)
        // Read-only for us, not for others.
        #expect(isFrozen("36 35 7:1 /env /view ro,relatime shared:5 - xfs /dev/loop1 rw,attr2") == false)
        #expect(isFrozen("36 35 7:1 / /data rw,relatime - ext4 /dev/sda1 rw,errors=remount-ro") == false)
        // Another machine, or another program, may write.
        for type in ["nfs4", "cifs", "9p", "virtiofs", "fuse.sshfs", "overlay", "tmpfs", "ceph"] {
            #expect(isFrozen("36 35 0:44 / /mnt ro,relatime - \(type) source ro") == false)
        }
        for type in ["gfs2", "ocfs2", "fuseblk"] {
            #expect(isFrozen("36 35 8:1 / /mnt ro,relatime - \(type) /dev/sda1 ro") == false)
        }
        #expect(isFrozen("36 35 8:1 / /mnt") == nil && isFrozen("") == nil)
    }

    @Test func whatIsWrittenToIsNotFrozen() throws {
        let directory = try TemporaryHome("frozen")
        #expect(try !FrozenFileSystem.holds(directory.path))
    }

    @Test func mappingsAreRead() {
        let line = "7f01-7f02 rw-s 00000000 fe:00 1234                       /var/lib/a b/__db.001"
        let mapped = MappedFile.parse(Substring(line), 7, "__db.001")
        #expect(mapped == MappedFile(process: 7, inode: 1234, isDeleted: false))
        let deleted = MappedFile.parse(Substring(line + " (deleted)"), 7, "__db.001")
        #expect(deleted == MappedFile(process: 7, inode: 1234, isDeleted: true))
        for other in ["/__db.0011", "/x__db.001", "/__db.001/x", "/__db.001 (deleted) "] {
            #expect(MappedFile.parse("7f01-7f02 rw-s 00000000 fe:00 1234 \(other)", 7, "__db.001") == nil)
        }
        #expect(MappedFile.parse("7f01-7f02 rw-p 00000000 00:00 0 /__db.001", 7, "__db.001") == nil)
    }
}
