import Testing
import VarveTestSupport

@testable import VarveFiles

@Suite struct DeviceTests {
    private static let mounts = """
        21 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
        22 21 8:17 / /mnt rw - xfs /dev/sdb1 rw
        23 22 8:17 /sub /mnt/sub rw master:2 - xfs /dev/sdb1 rw
        24 21 0:45 / /mnt/with\\040space rw - btrfs /dev/sdc1 rw
        25 21 8:33 / /over rw - ext4 /dev/sdd1 rw
        26 21 8:34 / /over rw - vfat /dev/sdd2 rw
        27 21 0:50 / /btrfs rw - btrfs /dev/sde1 rw
        """

    private func find(_ path: String, _ device: String) -> String? {
        Device.find(path, device: device, mountinfo: Self.mounts).map { "\($0.source) \($0.type)" }
    }

    @Test func theMountThatAPathLiesOn() {
        #expect(find("/etc/passwd", "8:1") == "/dev/sda1 ext4")
        #expect(find("/mnt", "8:17") == "/dev/sdb1 xfs" && find("/mnt/a", "8:17") == "/dev/sdb1 xfs")
        #expect(find("/mnt/with space/a", "0:45") == "/dev/sdc1 btrfs")
        // A name that only begins like a mount point lies elsewhere.
        #expect(find("/mntx", "9:9") == "/dev/sda1 ext4")
        // Of two on one point the number tells, and without it the later one covers the other.
        #expect(find("/over/a", "8:33") == "/dev/sdd1 ext4" && find("/over/a", "8:34") == "/dev/sdd2 vfat")
        #expect(find("/over/a", "9:9") == "/dev/sdd2 vfat")
        // A subvolume of btrfs has another number than its mount.
        #expect(find("/btrfs/a", "0:51") == "/dev/sde1 btrfs")
        // The number counts before the length.
        #expect(find("/mnt/sub/a", "8:1") == "/dev/sda1 ext4")
    }

    @Test func linesThatAreNone() {
        for text in ["", "\n\n", "21 1 8:1 / /", "21 1 8:1 / / rw - ext4", "a b c d e f g h i j"] {
            #expect(Device.find("/", device: "8:1", mountinfo: text) == nil, "'\(text)'")
        }
        var random = SeededRandom()
        let bytes = Array(Self.mounts.utf8)
        for _ in 0..<300 {
            var damaged = bytes
            for _ in 0..<5 {
                damaged[Int.random(in: 0..<bytes.count, using: &random)] = UInt8.random(
                    in: 0...255, using: &random)
            }
            _ = Device.find("/mnt/a", device: "8:17", mountinfo: String(decoding: damaged, as: UTF8.self))
        }
    }

    @Test func whichAreSurelyDifferent() {
        let (a, b) = ("/dev/sdb1 ext4 uuid=1-2", "/dev/sdc1 ext4 uuid=3-4")
        #expect(Device.areDifferent(a, b))
        // The same disk by another name; without a UUID nothing is sure.
        #expect(!Device.areDifferent(a, "/dev/sdz9 ext4 uuid=1-2"))
        for unsure in ["/dev/sdb1 ext4 dev=8:17", "", nil] {
            #expect(!Device.areDifferent(a, unsure) && !Device.areDifferent(unsure, b))
        }
    }

    /// As `findmnt` would tell.
    @Test(.enabled(if: Device.describe("/") != nil, "it takes a root directory that is a mount point"))
    func thisMachine() throws {
        let directory = try TemporaryDirectory()
        let own = try #require(Device.describe(directory.path))
        #expect(own == Device.describe(Path.parent(directory.path)))
        #expect(own.split(separator: " ").last.map { $0.hasPrefix("uuid=") || $0.hasPrefix("dev=") } == true)
        #expect(Device.describe("/proc")?.contains(" proc dev=") == true)
        #expect(Device.describe(directory.join("none")) == nil)
        #expect(!Device.areDifferent(own, own))
    }
}
