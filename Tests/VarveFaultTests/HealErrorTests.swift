import Glibc
import ProcessSupport
import Testing
import VarveFiles
import VarveRepository

extension FaultTests {
    /// `varve heal` while calls fail, one, some, or all from one on: things are no worse then, and the next run is as
    /// good as the first would have been.
    @Suite(.serialized, .needs("strace"))
    struct HealErrorTests {
        private static let errors = ["EIO", "ENOSPC", "ENOMEM", "EMFILE", "EACCES", "EROFS"]
        private static let calls = Tracer.changing + ["openat2", "close", "pread64", "getdents64"]

        /// A repository of one or two copies with a damaged pack, put back before each case.
        private final class Patient {
            let directory: TemporaryDirectory
            let command: VarveCommand
            /// `packs/ab/abcd…` of what is damaged.
            let victim: String
            let good: [String: [UInt8]]
            private let saved: String

            init(parity: Bool) throws {
                directory = try TemporaryDirectory()
                let home = directory["home"]
                saved = directory["saved"]
                command = VarveCommand(repository: directory["work/a"])
                try Directory.create(directory["work"])
                try command.run(
                    parity ? ["init", "--parity", "50"] : ["init", "--copy", directory["work/b"]]
                )
                .require(0)
                for _ in 0..<2 {
                    try run(
                        Executable.workload,
                        ["run", "--home", home, "--seconds", "0.3", "--records", "300", "--remove-regions"]
                    ).require(0)
                    try command.run(["backup", "--bdb", home, "--offline"]).require(0)
                }
                good = try Self.objects(command.repository)
                victim = try #require(good.keys.filter { $0.hasPrefix("packs/") }.min())
                let path = Path.join(command.repository, victim)
                chmod(path, 0o600)
                var bytes = try #require(good[victim])
                bytes[bytes.count / 2] ^= 1
                let file = try File.open(updating: path)
                try bytes.withUnsafeBytes { try file.write($0, at: 0) }
                chmod(path, 0o400)
                try run("cp", ["-a", directory["work"], saved]).require(0)
            }

            func putBack() throws {
                try run("rm", ["-rf", directory["work"]]).require(0)
                try run("cp", ["-a", saved, directory["work"]]).require(0)
            }

            var objects: [String: [UInt8]] { get throws { try Self.objects(command.repository) } }

            private static func objects(_ root: String) throws -> [String: [UInt8]] {
                var objects: [String: [UInt8]] = [:]
                let shards = try Directory.list(Path.join(root, "packs")).map { "packs/\($0)" }
                for directory in shards + ["manifests"] {
                    for name in try Directory.list(Path.join(root, directory)) {
                        let file = try File.open(reading: Path.join(root, "\(directory)/\(name)"))
                        objects["\(directory)/\(name)"] = try file.readAll(limit: 1 << 30)
                    }
                }
                return objects
            }
        }

        @Test(.timeLimit(.minutes(60)), arguments: [true, false]) func heal(parity: Bool) throws {
            let patient = try Patient(parity: parity)
            let log = patient.directory["log"]
            let arguments = ["heal", "-r", patient.command.repository]
            let counts = try Tracer.count(arguments, Self.calls, log: log)
            // The control: undisturbed it mends, and what is compared is what was there.
            #expect(try patient.objects == patient.good)
            var random = SeededGenerator(for: "errors in a heal, parity \(parity)")
            var cases: [(call: String, error: String, when: String)] = []
            for (call, count) in counts {
                for error in Self.errors {
                    for number in sample(count, limit: 3, &random) {
                        for when in ["\(number)", "\(number)..\(number + 30)", "\(number)+"] {
                            cases.append((call, error, when))
                        }
                    }
                }
            }
            if !Executable.isSoak { cases = Array(cases.shuffled(using: &random).prefix(8)) }
            var failures = 0
            for one in cases {
                let comment: Comment = "\(one.call) fails with \(one.error) at \(one.when), parity \(parity)"
                try patient.putBack()
                let disturbed = try Tracer.start(
                    arguments,
                    [
                        "-e", "trace=\(one.call)", "-e",
                        "inject=\(one.call):error=\(one.error):when=\(one.when)",
                    ], log: log
                ).wait(seconds: 60)
                failures += disturbed.code == 0 ? 0 : 1
                let after = try patient.objects
                for (object, bytes) in patient.good where object != patient.victim {
                    #expect(after[object] == bytes, "\(comment): \(object) was whole. \(disturbed)")
                }
                if disturbed.code == 0 { #expect(after == patient.good, "\(comment): \(disturbed)") }
                let again = try patient.command.run(["heal"])
                #expect(again.code == 0, "\(comment): \(disturbed)\n\(again)")
                #expect(try patient.objects == patient.good, "\(comment): \(disturbed)\n\(again)")
                try patient.command.requireGood(comment)
            }
            #expect(failures > 0)
        }
    }
}
