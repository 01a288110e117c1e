import Glibc
import ProcessSupport
import Testing
import VarveFiles

extension ProcessTests {
    /// A snapshot of a file system with a live environment in it, and what only looks like one.
    @Suite struct FrozenEnvironmentTests {
        private static let configuration = EnvironmentConfiguration(
            "frozen", "btree,hash", options: "--records 500 --log-size 1000000 --rate 500")

        @Test(.needsDisk("ext4")) func aReadOnlySnapshotOfExt4IsStoredAsItLies() throws { try store(.ext4) }
        @Test(.needsDisk("xfs")) func aReadOnlySnapshotOfXFSIsStoredAsItLies() throws { try store(.xfs) }

        private func store(_ kind: LoopMount.Kind) throws {
            let directory = try TemporaryDirectory()
            let mounted = try LoopMount(kind, in: directory)
            defer { mounted.unmount() }
            try takeSnapshot(kind, of: mounted, directory)
        }

        private func takeSnapshot(
            _ kind: LoopMount.Kind, of mounted: LoopMount, _ directory: TemporaryDirectory
        ) throws {
            let environment = try LiveEnvironment(Self.configuration, in: mounted.path)
            try environment.workload.advance(200)
            let committed = try environment.workload.committed()
            let copy = directory["copy"]
            try run("fsfreeze", ["-f", mounted.path]).require(0)
            let copied = try run("cp", ["--sparse=always", mounted.image, copy])
            try run("fsfreeze", ["-u", mounted.path]).require(0)
            try copied.require(0)
            let snapshot = try Snapshot(kind, of: copy, at: directory["snapshot"])
            defer { snapshot.unmount() }
            let home = directory["snapshot"] + environment.home.dropFirst(mounted.path.utf8.count)
            let varve = try VarveCommand.initialized(directory["repository"])

            // Writable, it could be somebody's who can't be seen: the regions count a handle.
            try snapshot.mount("rw")
            let refused = try varve.run(["backup", "--offline", "--bdb", home]).require(1)
            #expect(refused.errors.contains("its regions count 1 open handles"), "\(refused)")
            #expect(refused.errors.contains("mount its file system read-only"), "\(refused)")

            try snapshot.mount("ro")
            let finished = try varve.run(["backup", "--json", "--offline", "--bdb", home])
            // A log that ends in the middle of a write taints.
            try #require([0, 3].contains(finished.code), "\(finished)")
            let backup = try finished.decode(BackupOutput.self)
            let note = try #require(backup.warnings.first { $0.code == "as-it-lies" })
            #expect(note.message.contains("had 1 open handles") && !note.taints, "\(note)")
            let target = directory["restored"]
            let restored = try varve.run(["restore", backup.snapshot, "--target", target, "--recover"])
            #expect(restored.code == finished.code, "\(restored)")
            #expect(try environment.workload.check(target) >= committed)
            try environment.workload.stop()
        }

        /// Read-only for us alone: the application writes on.
        @Test(.needsMounting()) func aReadOnlyMountOfALiveEnvironmentIsRefused() throws {
            try refuseReadOnlyMount { arguments, process in
                let seen = try run(Executable.varve, arguments).require(1)
                #expect(seen.errors.contains("in use: process \(process)"), "\(seen)")
            }
        }

        /// In a chroot, whose root is no mount point, there is no other /proc to be had.
        private static let otherProc = ["--pid", "--fork", "--mount-proc"]

        /// As from a container: its processes can't be seen.
        @Test(
            .needsMounting(),
            .enabled(if: try run("unshare", otherProc + ["true"]).code == 0, "it takes another /proc"))
        func aReadOnlyMountOfAHiddenApplicationsEnvironmentIsRefused() throws {
            try refuseReadOnlyMount { arguments, _ in
                let hidden = try run("unshare", Self.otherProc + [Executable.varve] + arguments).require(1)
                #expect(hidden.errors.contains("its regions count 1 open handles"), "\(hidden)")
            }
        }

        private func refuseReadOnlyMount(_ check: ([String], _ process: Int32) throws -> Void) throws {
            let environment = try LiveEnvironment(Self.configuration)
            let view = environment.directory["view"]
            try Directory.create(view)
            try run("mount", ["--bind", environment.home, view]).require(0)
            defer { _ = try? run("umount", ["-l", view]) }
            try run("mount", ["-o", "remount,bind,ro", view]).require(0)
            try check(
                ["backup", "--offline", "--bdb", view, "-r", environment.varve.repository],
                environment.workload.running.process)
            #expect(try environment.varve.snapshots().isEmpty)
            try environment.workload.stop()
        }

        /// A file system in a copy of an image.
        private final class Snapshot {
            private let kind: LoopMount.Kind
            private let image: String
            private let path: String

            init(_ kind: LoopMount.Kind, of image: String, at path: String) throws {
                self.kind = kind
                self.image = image
                self.path = path
                try Directory.create(path)
            }

            func mount(_ mode: String) throws {
                unmount()
                // The original is mounted, too.
                let options = "loop,\(mode)" + (kind == .xfs ? ",nouuid" : "")
                // Its log is replayed, which a read-only mount of a loop device can't always do.
                if mode == "ro" {
                    try run("mount", ["-o", "loop" + (kind == .xfs ? ",nouuid" : ""), image, path]).require(0)
                    try run("umount", [path]).require(0)
                }
                try run("mount", ["-o", options, image, path]).require(0)
            }

            func unmount() {
                _ = try? run("umount", [path])
            }
        }
    }
}
