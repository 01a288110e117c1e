import Glibc
import ProcessSupport
import Testing
import VarveCodec
import VarveFiles
import VarveFormat
import VarveRepository
import VarveStorage
import VarveUpkeep

extension FaultTests {
    /// `verify --media`, interrupted and killed wherever it may be.
    @Suite(.serialized)
    struct MediaInterruptionTests {
        private static let packCount = 40
        private static let packSize = 65536

        private let directory: TemporaryDirectory
        private let command: VarveCommand
        private var packs: [ObjectName] = []

        init() throws {
            directory = try TemporaryDirectory()
            command = try .initialized(directory["repository"])
            packs = try Self.add(Self.packCount, to: command, seed: 1)
        }

        /// Objects with the names of packs: the media ask for no more.
        private static func add(_ count: Int, to command: VarveCommand, seed: UInt64) throws -> [ObjectName] {
            let storage = DirectoryStorage(command.repository)
            var random = SeededGenerator(seed: seed)
            return try (0..<count).map { _ in
                let bytes = (0..<packSize / 8).flatMap { _ in withUnsafeBytes(of: random.next(), Array.init) }
                return try bytes.withUnsafeBytes { bytes in
                    let object = ObjectName(.pack, Hasher.name(of: bytes))
                    try storage.publish(object, [bytes])
                    return object
                }
            }
        }

        /// Each round, and when each pack was read in it: all that the ledger has ever said.
        private struct Rounds {
            var readings: [Timestamp: [ObjectName: Set<Timestamp>]] = [:]

            mutating func look(_ repository: Repository, _ packs: [ObjectName]) throws -> Ledger {
                let ledger = try repository.ledger()
                #expect(ledger.losses == [])
                for pack in packs {
                    for row in ledger.rows(of: pack) {
                        guard let round = row.round else { continue }
                        #expect(row.result == .good)
                        readings[round, default: [:]][pack, default: []].insert(row.time)
                    }
                }
                return ledger
            }
        }

        @Test(.timeLimit(.minutes(10))) mutating func everyPackOnceInEachRound() throws {
            var random = SeededGenerator(for: "media interruptions")
            let repository = try Repository.open(command.repository)
            var rounds = Rounds()
            var interruptions = 0
            for attempt in 0..<200 where interruptions < 50 {
                // What comes meanwhile belongs to the round as well.
                if attempt == 10 { packs += try Self.add(5, to: command, seed: 2) }
                let running = try command.start(["verify", "--media", "--rate", "1MiB"])
                let isKilled = attempt % 3 == 0
                usleep(UInt32.random(in: 50_000...(isKilled ? 1_600_000 : 700_000), using: &random))
                running.send(isKilled ? SIGKILL : SIGINT)
                let finished = try running.wait(seconds: 60)
                interruptions += finished.code == 0 ? 0 : 1
                #expect([0, 130, 137].contains(finished.code), "\(finished)")
                _ = try rounds.look(repository, packs)
            }
            #expect(interruptions == 50)
            try command.run(["verify", "--media"]).require(0)
            let ledger = try rounds.look(repository, packs)
            #expect(ledger.unfinishedRound == nil)
            for (round, readings) in rounds.readings {
                #expect(Set(readings.keys).isSuperset(of: packs.prefix(Self.packCount)), "round \(round)")
                for (pack, times) in readings { #expect(times.count == 1, "\(pack) in round \(round)") }
            }
            let newest = try #require(rounds.readings.max { $0.key < $1.key })
            #expect(Set(newest.value.keys) == Set(packs))
            #expect(try Directory.list(Path.join(command.repository, "ledger")).count <= 17)
            #expect(rounds.readings.count > 1, "the interruptions were too short for more than a round")
        }

        @Test(.timeLimit(.minutes(5))) func twoAtOnce() throws {
            let repository = try Repository.open(command.repository)
            for turn in 0..<3 {
                let both = try (0..<2).map { _ in
                    try command.start(["verify", "--media", "--rate", "3MiB"])
                }
                if turn == 1 {
                    usleep(400_000)
                    both[0].send(SIGKILL)
                }
                for (number, one) in both.enumerated() {
                    let finished = try one.wait(seconds: 60)
                    #expect(finished.code == (turn == 1 && number == 0 ? 137 : 0), "\(finished)")
                }
                let ledger = try repository.ledger()
                #expect(ledger.losses == [])
                for pack in packs { #expect(ledger.rows(of: pack).map(\.result) == [.good]) }
            }
            let ages = try command.run(["verify", "--media", "--older-than", "1h"]).require(0)
            #expect(ages.output.contains("media: 0 objects"), "\(ages)")
        }

        @Test func budgets() throws {
            let short = try command.run(["verify", "--media", "--max-duration", "1s", "--rate", "500KiB"])
            #expect(short.code == 0 && short.errors.contains("remaining: "), "\(short)")
            let few = try command.run(["verify", "--media", "--max-bytes", "256KiB"])
            #expect(few.code == 0 && few.output.contains("media: 4 objects"), "\(few)")
            for wrong in ["0", "1XB", "-5", "", "MiB"] {
                #expect(try command.run(["verify", "--media", "--rate=\(wrong)"]).code == 64)
            }
        }

        /// A file system without direct reads says so at `open`: the pages are dropped instead, and the ledger knows.
        @Test(.needsMounting()) func refusedAtOpening() throws {
            let disk = try MemoryDisk("mode=0755", type: "ramfs")
            let command = try VarveCommand.initialized(Path.join(disk.path, "repository"))
            let packs = try Self.add(2, to: command, seed: 2)
            let read = try command.run(["verify", "--media"])
            #expect(read.code == 0 && read.output.contains("drop-behind"), "\(read)")
            let ledger = try Repository.open(command.repository).ledger()
            for pack in packs { #expect(ledger.rows(of: pack).map(\.method) == [.dropBehind]) }
        }

        /// Or at the first read.
        @Test(.needs("strace")) func withoutDirectReads() throws {
            let storage = DirectoryStorage(command.repository)
            let expression = [
                "-P", storage.path(of: packs[0]), "-e", "trace=pread64,fadvise64", "-e",
                "inject=pread64:error=EINVAL:when=1",
            ]
            let traced = try Tracer.start(
                ["verify", "-r", command.repository, "--media"], expression, log: directory["trace"]
            ).wait(seconds: 120)
            #expect(traced.code == 0 && traced.output.contains("1 drop-behind"), "\(traced)")
            let trace = try Text.read(directory["trace"])
            #expect(
                trace.split(separator: "\n").count { $0.contains("POSIX_FADV_DONTNEED") } >= 2, "\(trace)")
            let ledger = try Repository.open(command.repository).ledger()
            #expect(ledger.rows(of: packs[0]).map(\.method) == [.dropBehind])
            #expect(ledger.rows(of: packs[1]).map(\.method) == [.direct])
        }
    }
}
