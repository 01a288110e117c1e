import Glibc
import ProcessSupport
import Testing
import VarveFiles

extension FaultTests {
    /// Whoever owns the repository can work with it, whatever root did there; and what can't be read is no damage.
    @Suite(.serialized, .needsNobody())
    struct RightsTests {
        private let directory: TemporaryDirectory
        private let repository: String
        private let copy: String

        init() throws {
            directory = try TemporaryDirectory()
            chmod(directory.path, 0o755)
            for name in ["own", "home"] {
                try Directory.create(directory[name], mode: 0o755)
                chown(directory[name], 65534, 65534)
            }
            repository = directory["own/repository"]
            copy = directory["own/copy"]
        }

        private func nobody(_ arguments: [String]) throws -> Finished {
            try run(
                "setpriv",
                ["--reuid=65534", "--regid=65534", "--clear-groups", Executable.varve] + arguments
                    + ["-r", repository])
        }

        private func root(_ arguments: [String]) throws -> Finished {
            try run(Executable.varve, arguments + ["-r", repository])
        }

        private func backup() throws -> Finished {
            try nobody(["backup", "--bdb", directory["home"], "--offline"])
        }

        /// Files and directories that are not nobody's.
        private func others() throws -> [String] {
            let found = try run("find", [directory["own"], "!", "-user", "65534"]).require(0)
            return found.output.split(separator: "\n").map(String.init)
        }

        private func writeEnvironment() throws {
            try run(
                Executable.workload,
                [
                    "run", "--home", directory["home"], "--seconds", "0.3", "--remove-regions", "--records",
                    "500",
                ]
            ).require(0)
            try run("chown", ["-R", "65534:65534", directory["home"]]).require(0)
        }

        @Test func whatRootDoesIsTheOwners() throws {
            try writeEnvironment()
            try nobody(["init", "--parity", "10"]).require(0)
            try backup().require(0)
            for directory in ["ledger", "events", "summaries", "quarantine"] {
                try run("rm", ["-rf", Path.join(repository, directory)]).require(0)
            }
            try Directory.create(copy)
            chown(copy, 65534, 65534)
            try root(["verify"]).require(0)
            try root(["copy", "add", copy]).require(0)
            try root(["backup", "--bdb", directory["home"], "--offline", "--source", "ours"]).require(0)
            try root(["source", "rename", "ours", "theirs"]).require(0)
            let pack = try #require(
                try run("find", [Path.join(repository, "packs"), "-type", "f"]).output.split(separator: "\n")
                    .first)
            try run("dd", ["if=/dev/zero", "of=\(pack)", "bs=1", "count=9", "seek=100", "conv=notrunc"])
                .require(0)
            try root(["heal"]).require(0)
            #expect(try others() == [])
            try writeEnvironment()
            for command in [["verify"], ["copy", "sync"], ["heal"], ["source", "list"]] {
                let finished = try nobody(command)
                #expect(finished.code == 0, "\(finished)")
            }
            let backup = try backup()
            #expect(backup.code == 0 && backup.output.contains("on 2 of 2"), "\(backup)")
        }

        /// As an earlier version left them: files of root in another user's repository.
        @Test func whatCanNotBeReadIsNoDamage() throws {
            try writeEnvironment()
            try nobody(["init"]).require(0)
            try backup().require(0)
            let kinds =
                ["packs": 1, "indexes": 1, "manifests": 1, "ledger": 0, "summaries": 0] as [String: Int32]
            for (kind, code) in kinds.sorted(by: { $0.key < $1.key }) {
                try writeEnvironment()
                let path = Path.join(repository, kind)
                try run("find", [path, "-type", "f", "-exec", "chown", "0", "{}", ";"]).require(0)
                let before = try others().count
                let finished = try backup()
                #expect(finished.code == code, "\(kind): \(finished)")
                if code != 0 {
                    #expect(finished.errors.contains("Permission denied"), "\(kind): \(finished)")
                }
                let status = try nobody(["status"])
                #expect(
                    status.code != 1 || status.errors.contains("Permission denied"), "\(kind): \(status)")
                #expect(!status.output.contains("problem: 'primary' has "), "\(kind): \(status)")
                // Nothing was set aside, or stored anew beside it, and what is there has its name.
                #expect(try Directory.list(Path.join(repository, "quarantine")).isEmpty, "\(kind)")
                #expect(try others().count == before, "\(kind)")
                // The control: given back to their owner, all is well.
                try run("chown", ["-R", "65534:65534", repository]).require(0)
                let verified = try nobody(["verify"])
                #expect(verified.code == 0, "\(kind): \(verified)")
                let again = try backup()
                #expect(again.code == 0, "\(kind): \(again)")
            }
        }
    }
}
