import Glibc
import ProcessSupport
import Testing
import VarveFiles
import VarveFormat
import VarveRepository

extension FaultTests {
    /// Whoever can write a repository's disk can write manifests whose hashes are right. A restore of one changes
    /// nothing outside of its target, whatever it says.
    @Suite(.serialized)
    struct ForgedManifestTests {
        /// A closed environment whose logs name a database outside of it, and the snapshot's manifest to be forged.
        private struct Forge {
            let directory: TemporaryDirectory
            let command: VarveCommand
            let manifest: Manifest
            var outside: String { directory["outside"] }

            init() throws {
                let live = try LiveEnvironment(["--records", "500", "--rate", "200"])
                directory = live.directory
                command = live.command
                try Directory.create(directory["outside"])
                try Text.write("key\nvalue\n", to: directory["records"])
                try run(
                    "db5.3_load",
                    [
                        "-T", "-t", "btree", "-f", directory["records"], "-h", live.home,
                        directory["outside/live.db"],
                    ]
                ).require(0)
                try live.workload.stop()
                for name in try Directory.list(live.home) where name.hasPrefix("__db.0") {
                    try Directory.removeFile(Path.join(live.home, name))
                }
                // Whether it may be stored without that database is another question.
                _ = try command.run(["backup", "--bdb", live.home, "--offline", "--all-logs"])
                let repository = try Repository.open(command.repository)
                manifest = try repository.manifests.read(repository.find("latest"))
                // As if the application had removed it: what recovery makes anew shows that it was there.
                try Directory.removeFile(directory["outside/live.db"])
            }

            func publish(_ change: (inout Manifest) -> Void) throws -> String {
                var forged = manifest
                change(&forged)
                let repository = try Repository.open(command.repository)
                forged.sequence = try (repository.manifests.list().last?.sequence ?? 0) + 1
                return try repository.manifests.publish(forged).name
            }
        }

        @Test func namesThatItDenies() throws {
            let forge = try Forge()
            for home in [nil, "/", forge.outside] {
                let snapshot = try forge.publish { manifest in
                    for index in manifest.files.indices { manifest.files[index].log?.absoluteNames = [] }
                    if let home { manifest.environment?.home = home }
                }
                let target = forge.directory["target"]
                let before = try Directory.list(forge.directory.path)
                let restored = try forge.command.run(["restore", snapshot, "--target", target, "--recover"])
                // The logs say that there was another database; only in a home that was there it is in the target.
                #expect(
                    restored.code == (home == forge.outside ? 0 : 1), "\(home ?? "as it was"): \(restored)")
                #expect(try Directory.list(forge.outside) == [], "\(home ?? "as it was"): \(restored)")
                let left = try Directory.list(forge.directory.path).filter { !before.contains($0) }
                #expect(left.allSatisfy { $0.hasPrefix("target") }, "\(left)")
                try run("rm", ["-rf", target, target + ".varve-incomplete"]).require(0)
            }
            // The control: the vendor's recovery, which sees all paths, makes it anew.
            let target = forge.directory["control"]
            try forge.command.run(["restore", "1", "--target", target]).require(0, 3)
            try run("db5.3_recover", ["-c", "-h", target]).require(0)
            #expect(try Directory.list(forge.outside) == ["live.db"])
        }

        /// Directories of the environment that the manifest puts on others.
        @Test func directoriesThatWereNeverThere() throws {
            let forge = try Forge()
            try Directory.create(forge.directory["victim"])
            try Text.write("mine", to: forge.directory["victim/notes"])
            let snapshot = try forge.publish { manifest in
                for name in [forge.directory["victim"], "../victim", forge.outside, "/", "../../../../.."] {
                    manifest.environment?.dataDirectories.append(
                        .init(original: name, restored: "external/x", configured: true))
                }
                manifest.environment?.logDirectory = .init(
                    original: forge.directory["victim"], restored: ".", configured: false)
            }
            let target = forge.directory["target"]
            _ = try forge.command.run(["restore", snapshot, "--target", target, "--recover"])
            #expect(try Directory.list(forge.directory["victim"]) == ["notes"])
            #expect(try Directory.list(forge.outside) == [])
            try run("rm", ["-rf", target, target + ".varve-incomplete"]).require(0)
            let inPlace = try forge.command.run(["restore", snapshot, "--target", target, "--in-place"])
            #expect(inPlace.code == 1, "\(inPlace)")
            #expect(try Directory.list(forge.directory["victim"]) == ["notes"])
        }
    }
}
