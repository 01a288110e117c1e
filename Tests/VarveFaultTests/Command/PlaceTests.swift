import Glibc
import ProcessSupport
import Testing
import VarveFiles

extension FaultTests {
    /// Where a disk is away, nothing is made on the disk beneath.
    @Suite struct PlaceTests {
        /// What makes a repository or a copy at a path, and what it makes them of.
        private static func commands(_ directory: TemporaryDirectory, _ path: String) -> [[String]] {
            [
                ["init", "-r", path], ["init", "-r", directory["new"], "--copy", path],
                ["copy", "add", "-r", directory["repository"], path],
            ]
        }

        @Test func onlyTheLastDirectoryIsMade() throws {
            let directory = try TemporaryDirectory()
            _ = try VarveCommand.initialized(directory["repository"])
            let path = directory["disk/copy"]
            for command in Self.commands(directory, path) {
                let refused = try run(Executable.varve, command).require(1)
                #expect(
                    refused.errors.contains(
                        "\(directory["disk"]), where \(path) should be made, is not a directory")
                        && refused.errors.contains("mount its disk"), "\(refused)")
                #expect(try Directory.list(directory.path) == ["repository"], "\(command)")
            }
            // The control.
            for command in Self.commands(directory, path) {
                try Directory.create(directory["disk"])
                try run(Executable.varve, command).require(0)
                try Directory.removeTree(directory["disk"])
            }
        }

        /// An empty mount point is a directory like any other, but for what `/etc/fstab` says.
        @Test(.needsMounting(), .needs("unshare")) func aMountPointWithoutItsDisk() throws {
            let directory = try TemporaryDirectory()
            _ = try VarveCommand.initialized(directory["repository"])
            let disk = directory["disk"]
            try Directory.create(disk)
            try Text.write("none \(disk) tmpfs noauto 0 0\n", to: directory["fstab"])
            func varve(_ arguments: [String], mounting: Bool) throws -> Finished {
                let mount = mounting ? "mount -t tmpfs -o size=16m none \"$1\" &&" : ""
                // In a chroot "/" is no mount, and can't be made private: then nothing may be shared from the start.
                let alone =
                    "{ mount --make-rprivate / 2>/dev/null || ! grep -q ' shared:' /proc/self/mountinfo; }"
                let script = "\(alone) && mount --bind \"$0\" /etc/fstab && \(mount) shift && exec \"$@\""
                return try run(
                    "unshare",
                    [
                        "-m", "--propagation", "unchanged", "sh", "-c", script, directory["fstab"], disk,
                        Executable.varve,
                    ]
                        + arguments)
            }
            for path in [disk, Path.join(disk, "copy")] {
                for command in Self.commands(directory, path) {
                    let refused = try varve(command, mounting: false).require(1)
                    #expect(
                        refused.errors.contains("by /etc/fstab, and nothing is mounted there"), "\(refused)")
                    #expect(try Directory.list(disk).isEmpty && access(directory["new"], F_OK) != 0)
                }
            }
            for command in Self.commands(directory, Path.join(disk, "copy")) {
                try varve(command, mounting: true).require(0)
            }
        }
    }
}
