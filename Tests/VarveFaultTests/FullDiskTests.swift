import Glibc
import ProcessSupport
import Testing
import VarveFiles
import VarveRepository

/// A file system of its own, unmounted when the object goes away.
final class MemoryDisk {
    let directory: TemporaryDirectory
    var path: String { directory["disk"] }

    init(_ options: String, type: String = "tmpfs") throws {
        directory = try TemporaryDirectory()
        try Directory.create(directory["disk"])
        try run("mount", ["-t", type, "-o", options, type, path]).require(0)
    }

    func remount(_ options: String) throws {
        try run("mount", ["-o", "remount,\(options)", path]).require(0)
    }

    deinit { _ = try? run("umount", ["-l", path]) }
}

extension FaultTests {
    /// Disks that are full, of bytes or of files, or that may not be written to.
    @Suite(.serialized, .needsMounting())
    struct FullDiskTests {
        /// A repository on the disk, with the first state in it and no room for the second.
        private func prepare(_ environment: ClosedEnvironment, _ disk: MemoryDisk) throws -> VarveCommand {
            let command = VarveCommand(repository: Path.join(disk.path, "repository"))
            try run("cp", ["-a", environment.base.repository, command.repository]).require(0)
            return command
        }

        private func check(
            _ environment: ClosedEnvironment, _ command: VarveCommand, words: String, hint: String,
            free: () throws -> Void
        ) throws {
            let before = try Stored(command.repository)
            for _ in 0..<3 {
                let finished = try environment.backup(command)
                #expect(finished.code == 1, "\(finished)")
                #expect(finished.errors.contains(words), "\(finished)")
                #expect(finished.errors.contains(hint), "\(finished)")
                let after = try Stored(command.repository)
                #expect(after.manifests == before.manifests)
                #expect(after.temporary == 0, "\(after.temporary) temporary files are left")
                try command.requireGood("on the full disk")
                try command.requireRestores("1", as: environment.directory["first"], "on the full disk")
            }
            try free()
            try environment.backup(command).require(0)
            try command.requireGood("with room again")
        }

        @Test func fullOfBytes() throws {
            let environment = try ClosedEnvironment()
            let disk = try MemoryDisk("size=64m")
            let command = try prepare(environment, disk)
            try run(
                "sh",
                [
                    "-c", "dd if=/dev/zero of=\"$1\" bs=64k 2>/dev/null; truncate -s -300K \"$1\"", "sh",
                    Path.join(disk.path, "filler"),
                ]
            ).require(0)
            try check(environment, command, words: "No space left", hint: "free some space") {
                try Directory.removeFile(Path.join(disk.path, "filler"))
            }
        }

        @Test func fullOfFiles() throws {
            let environment = try ClosedEnvironment()
            let disk = try MemoryDisk("size=64m,nr_inodes=400")
            let command = try prepare(environment, disk)
            let filler = Path.join(disk.path, "filler")
            try run(
                "sh",
                [
                    "-c", "mkdir \"$1\"; i=0; while touch \"$1/$i\" 2>/dev/null; do i=$((i+1)); done", "sh",
                    filler,
                ]
            )
            .require(0)
            try check(environment, command, words: "No space left", hint: "free some space") {
                try Directory.removeTree(filler)
            }
        }

        @Test func readOnly() throws {
            let environment = try ClosedEnvironment()
            let disk = try MemoryDisk("size=64m")
            let command = try prepare(environment, disk)
            try disk.remount("ro")
            try check(environment, command, words: "Read-only file system", hint: "mounted read-only") {
                try disk.remount("rw")
            }
        }

        @Test func restoreOntoAFullDisk() throws {
            let environment = try ClosedEnvironment()
            let disk = try MemoryDisk("size=1m")
            let target = Path.join(disk.path, "target")
            let failed = try environment.base.run(["restore", "1", "--target", target])
            #expect(failed.code == 1 && failed.errors.contains("hint: free some space there"), "\(failed)")
            #expect(failed.errors.contains("the restore needs"), "\(failed)")
            #expect(access(target, F_OK) != 0)
            try disk.remount("size=64m")
            try environment.base.run(["restore", "1", "--target", target]).require(0)
            try run("diff", ["-r", environment.directory["first"], target]).require(0)
            #expect(try Directory.list(disk.path) == ["target"])
        }

        /// A mount point can't be replaced: what is restored moves in, and a killed move is found again.
        @Test(.needs("strace")) func restoreIntoAMountPoint() throws {
            let environment = try ClosedEnvironment()
            let disk = try MemoryDisk("size=64m")
            let arguments = ["restore", "-r", environment.base.repository, "1", "--target", disk.path]
            for number in 1...3 {
                let killed = try Tracer.start(
                    arguments,
                    ["-e", "trace=renameat", "-e", "inject=renameat:signal=KILL:when=\(number)"],
                    log: environment.directory["log"]
                ).wait(seconds: 60)
                #expect(killed.code != 0)
                #expect(try Directory.list(disk.path).contains(".varve-incomplete"))
            }
            try environment.base.run(["restore", "1", "--target", disk.path]).require(0)
            try run("diff", ["-r", environment.directory["first"], disk.path]).require(0)
            let again = try environment.base.run(["restore", "1", "--target", disk.path])
            #expect(again.code == 1 && again.errors.contains("not empty"), "\(again)")
        }
    }
}
