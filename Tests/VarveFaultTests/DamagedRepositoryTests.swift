import Glibc
import ProcessSupport
import Testing
import VarveBlobs
import VarveFiles
import VarveFormat
import VarveRepository
import VarveStorage

extension FaultTests {
    /// A backup that notices that the repository is damaged where it builds on it.
    @Suite(.serialized)
    final class DamagedRepositoryTests {
        let environment: ClosedEnvironment

        init() throws { environment = try ClosedEnvironment() }

        /// What is damaged of the first snapshot's `btree1.db`.
        enum Part: CaseIterable { case map, extent }

        /// - Returns: the pack with a turned bit in it.
        private func damage(_ part: Part, of command: VarveCommand) throws -> String {
            let repository = try Repository.open(command.repository)
            let index = try repository.openIndex()
            let manifest = try repository.manifests.read(repository.find("latest"))
            let file = try #require(manifest.files.first { $0.path == "btree1.db" })
            let reader = BlobReader(index: index, storage: DirectoryStorage(command.repository))
            var map = try ExtentMapReader(file, reader: reader)
            // The first extent changes whenever the database does: its first page tells the last checkpoint.
            let extent = try #require(try map.next())
            let id = part == .extent ? extent.id : try #require(file.map.flatMap { ContentID(hex: $0) })
            let place = try #require(index.find(id))
            let name = place.pack.hex
            let path = Path.join(command.repository, "packs/\(name.prefix(2))/\(name)")
            chmod(path, 0o600)
            let pack = try File.open(updating: path)
            var byte: [UInt8] = [0]
            let offset = UInt64(place.offset) + UInt64(place.readLength) / 2
            _ = try byte.withUnsafeMutableBytes { try pack.read(into: $0, at: offset) }
            byte[0] ^= 1
            try byte.withUnsafeBytes { try pack.write($0, at: offset) }
            return name
        }

        @Test(arguments: Part.allCases) func isSaidAndMadeGood(_ part: Part) throws {
            let command = try environment.copy("work")
            let pack = try damage(part, of: command)
            let before = try command.run(["restore", "1", "--target", environment.directory["before"]])
            #expect(before.code == 1, "\(before)")

            let finished = try command.run(["backup", "--bdb", environment.home, "--offline", "--json"])
            #expect(finished.code == 3, "\(finished)")
            #expect(finished.errors.contains("btree1.db of snapshot 1-"), "\(finished)")
            #expect(finished.errors.contains("run 'varve verify'"), "\(finished)")
            let backup = try finished.decode(BackupOutput.self)
            #expect(backup.tainted && backup.warnings.map(\.code) == ["repository-damaged"], "\(finished)")
            let whole = try environment.copy("whole")
            try environment.backup(whole).require(0)
            let expected = environment.directory["expected"]
            try whole.run(["restore", "latest", "--target", expected]).require(0)
            let target = environment.directory["target"]
            // Tainted, and yet every byte is there.
            try command.run(["restore", "latest", "--target", target]).require(3)
            try run("diff", ["-r", expected, target]).require(0)

            // The damage stays, and the first snapshot's loss with it.
            let verified = try command.run(["verify"])
            #expect(verified.code == 1, "\(verified)")
            #expect((verified.output + verified.errors).contains("packs/\(pack)"), "\(verified)")
            #expect((verified.output + verified.errors).contains("1-"), "\(verified)")
        }

        /// The control.
        @Test func aWholeOneIsNotSuspected() throws {
            let command = try environment.copy("work")
            let finished = try command.run(["backup", "--bdb", environment.home, "--offline", "--json"])
            #expect(finished.code == 0, "\(finished)")
            #expect(try finished.decode(BackupOutput.self).warnings.isEmpty)
            try command.requireGood("undamaged")
        }
    }
}
