import Glibc
import ProcessSupport
import Testing
import VarveFiles
import VarveFormat
import VarveRepository
import VarveUpkeep

extension FaultTests {
    /// `init --parity`, `parity add`, `parity status`, and what backups say and do about it.
    @Suite(.serialized)
    final class ParityTests {
        let environment: ClosedEnvironment

        init() throws { environment = try ClosedEnvironment() }

        private func parity(_ command: VarveCommand, _ arguments: [String]) throws -> Finished {
            try run(
                Executable.varve, ["parity", arguments[0], "-r", command.repository] + arguments.dropFirst())
        }

        /// As the document says it.
        private struct Status: Decodable {
            var percent: Int?
            var groups: Int
            var parityBytes: UInt64
            var coveredObjects: Int
            var coveredBytes: UInt64
            var uncovered: [String]
            var missing: [String]
        }

        private func status(_ command: VarveCommand) throws -> Status {
            let finished = try parity(command, ["status", "--json"])
            return try finished.require(0).decode(Status.self)
        }

        @Test func backupsCoverWhatTheyAdd() throws {
            let command = VarveCommand(repository: environment.directory["new"])
            try command.run(["init", "--parity", "20"]).require(0)
            for _ in 0..<2 { try environment.backup(command).require(0) }
            let status = try status(command)
            #expect(status.percent == 20 && status.groups == 1 && status.uncovered.isEmpty)
            // Two manifests at the least, and a pack.
            #expect(status.coveredObjects >= 3 && status.missing.isEmpty)
            #expect(status.parityBytes * 100 > status.coveredBytes * 20)
            #expect(status.parityBytes * 100 < status.coveredBytes * 24)
            try command.requireGood("with parity")
        }

        @Test func addCoversWhatIsThere() throws {
            let command = try environment.copy("work")
            let none = try parity(command, ["status"]).require(0)
            #expect(none.output.contains("varve parity add"), "\(none)")
            #expect(try status(command).percent == nil)
            #expect(try parity(command, ["add", "0"]).code == 1)
            #expect(try parity(command, ["add", "51"]).code == 1)
            let added = try parity(command, ["add", "10"]).require(0)
            #expect(added.output.contains("parity of 10 %"), "\(added)")
            let first = try status(command)
            #expect(first.percent == 10 && first.groups == 1 && first.uncovered.isEmpty)
            try parity(command, ["add", "30", "--json"]).require(0)
            #expect(try status(command).parityBytes > 2 * first.parityBytes)
            try command.requireGood("with parity")
            let checker = "scripts/check-format.py"
            if access(checker, R_OK) == 0 { try run("python3", [checker, command.repository]).require(0) }
        }

        /// A lost pack comes back from parity, and restores as before.
        @Test func aLostPackComesBack() throws {
            let command = try environment.copy("work")
            try parity(command, ["add", "50"]).require(0)
            let repository = try Repository.open(command.repository)
            let victim = try #require(try repository.storage.list(.pack).first)
            try Directory.removeFile(Path.join(command.repository, "packs/\(victim.prefix(2))/\(victim)"))
            #expect(try status(command).missing == ["packs/\(victim)"])
            #expect(try command.run(["verify"]).code == 1)
            let healer = ParityHealer(repository)
            let outcomes = try healer.heal(try healer.missing())
            #expect(outcomes.map(\.result) == [.healed])
            try command.requireGood("healed")
            try command.requireRestores("latest", as: environment.directory["first"], "healed")
        }

        /// A snapshot counts without its parity; that it has none is said, and the next backup makes up for it.
        @Test func aBackupWhoseParityFails() throws {
            let command = try environment.copy("work")
            try parity(command, ["add", "10"]).require(0)
            let path = Path.join(command.repository, "parity.json")
            let good = try Text.read(path)
            chmod(path, 0o600)
            try Text.write("{}", to: path)
            let finished = try environment.backup(command)
            #expect(finished.code == 3, "\(finished)")
            #expect(finished.errors.contains("warning: what was added is not under parity"), "\(finished)")
            #expect(finished.errors.contains("varve parity add"), "\(finished)")
            #expect(try Stored(command.repository).manifests.count == 2)
            try Text.write(good, to: path)
            #expect(!(try status(command).uncovered.isEmpty))
            try environment.backup(command).require(0)
            #expect(try status(command).uncovered.isEmpty)
            try command.requireGood("made up for")
        }

        /// A damaged pack is not covered with its damage, and is named.
        @Test func damageIsNotCovered() throws {
            let command = try environment.copy("work")
            let repository = try Repository.open(command.repository)
            let victim = try #require(try repository.storage.list(.pack).first)
            let path = Path.join(command.repository, "packs/\(victim.prefix(2))/\(victim)")
            chmod(path, 0o600)
            let pack = try File.open(updating: path)
            try [UInt8(0)].withUnsafeBytes { try pack.write($0, at: 5000) }
            try [UInt8(255)].withUnsafeBytes { try pack.write($0, at: 5001) }
            let added = try parity(command, ["add", "10"])
            #expect(added.code == 3 && added.errors.contains("packs/\(victim)"), "\(added)")
            #expect(try status(command).uncovered == ["packs/\(victim)"])
        }
    }
}
