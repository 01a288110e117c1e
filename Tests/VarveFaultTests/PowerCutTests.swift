import ProcessSupport
import Testing
import VarveFiles
import VarveRepository

extension FaultTests {
    /// The disk loses its power at any moment, and what its cache had not written: what was acknowledged is there.
    @Suite(.serialized, .enabled(if: !Tool.needsRoot("mounting")))
    struct PowerCutTests {
        private struct Outcome {
            var images = 0
            /// Images that lack something acknowledged.
            var lost = 0
            /// Of these and others, images on which something is not as it must be.
            var wrong = 0
        }

        /// What the commands leave out: see `Tests/PowerCut/no-fsync.c`.
        private enum Omission: String { case directories, all }

        @Test(.timeLimit(.minutes(240)), arguments: RecordedDisk.Kind.allCases)
        func nothingAcknowledgedIsLost(_ kind: RecordedDisk.Kind) throws {
            if try RecordedDisk.isMissing(kind) { return }
            let (recordings, images) = Executable.isSoak ? (4, 500) : (1, 20)
            var random = SeededGenerator(for: "power cuts on \(kind)")
            var outcome = Outcome()
            for _ in 0..<recordings {
                let disk = try RecordedDisk(kind)
                let workload = try PowerCutWorkload(disk)
                let log = try workload.record([:])
                print("\(kind): \(log.writes) writes, \(log.flushes) flushes, \(log.marks.count) marks")
                // What the file system makes durable comes to the disk as flushes, and nothing escapes the record.
                #expect(log.flushes > 100)
                let crashes = try CrashImages(disk, log, random)
                try crashes.requireWhole()
                for (number, cut) in cuts(log, count: images, &random).enumerated() {
                    let done = try crashes.make(before: cut)
                    let mayRerun = number % 5 == 0
                    let (lost, wrong) = try look(workload, log, cut, mayRerun: mayRerun)
                    #expect(lost.isEmpty && wrong.isEmpty, "\(kind), \(done): \(lost) \(wrong)")
                    outcome.images += 1
                    if !lost.isEmpty { outcome.lost += 1 }
                    if !wrong.isEmpty { outcome.wrong += 1 }
                }
            }
            print("\(kind): \(outcome)")
        }

        /// The control: the same commands that do not make the names of files durable, or nothing at all.
        @Test(.timeLimit(.minutes(60)), arguments: RecordedDisk.Kind.allCases)
        func withoutDurabilitySomethingIsLost(_ kind: RecordedDisk.Kind) throws {
            if try RecordedDisk.isMissing(kind) || Tool.isMissing("cc") { return }
            let directory = try TemporaryDirectory()
            let library = directory["no-fsync.so"]
            let source = Path.join(Path.parent(Path.parent(#filePath)), "PowerCut/no-fsync.c")
            try run("cc", ["-shared", "-fPIC", "-Wall", "-O", "-o", library, source, "-ldl"]).require(0)
            for omission in [Omission.directories, .all] {
                var random = SeededGenerator(for: "power cuts on \(kind) without \(omission)")
                let disk = try RecordedDisk(kind)
                let workload = try PowerCutWorkload(disk)
                let log = try workload.record([
                    "LD_PRELOAD": library, "VARVE_TEST_NO_FSYNC": omission.rawValue,
                ])
                let crashes = try CrashImages(disk, log, random)
                var outcome = Outcome()
                for cut in cuts(log, count: Executable.isSoak ? 300 : 12, &random) {
                    _ = try crashes.make(before: cut)
                    let (lost, wrong) = try look(workload, log, cut, mayRerun: false)
                    outcome.images += 1
                    if !lost.isEmpty { outcome.lost += 1 }
                    if !wrong.isEmpty { outcome.wrong += 1 }
                }
                print("\(kind) without fsync of \(omission): \(outcome)")
                #expect(outcome.lost > 0, "\(kind), \(omission): nothing was lost")
            }
        }

        /// Moments in ascending order: first of all those right after something was acknowledged, then any.
        private func cuts(_ log: DiskLog, count: Int, _ random: inout SeededGenerator) -> [Int] {
            let acknowledged = log.marks.map { $0 + 1 }.shuffled(using: &random).prefix(count / 2)
            let others = (0..<count - acknowledged.count).map { _ in
                Int.random(in: 1...log.entries.count, using: &random)
            }
            return (acknowledged + others).sorted()
        }

        /// Mounts the image and looks at it; sometimes restores, runs the command again that was cut off, and looks.
        private func look(
            _ workload: PowerCutWorkload, _ log: DiskLog, _ cut: Int, mayRerun: Bool
        ) throws -> (lost: [String], wrong: [String]) {
            let disk = workload.disk
            if let failure = try disk.mount(disk["image"]) { return ([], [failure]) }
            defer { try? disk.unmount() }
            let done = log.marks(before: cut)
            let acknowledged = workload.acknowledged[done]
            do {
                var check = try PowerCutCheck(workload, acknowledged)
                guard mayRerun, check.lost.isEmpty, check.wrong.isEmpty else {
                    return (check.lost, check.wrong)
                }
                for (name, holding) in acknowledged.holdings {
                    guard let newest = holding.newest, acknowledged.mayBeDamaged == nil else { continue }
                    check.wrong += [try workload.restoreFailure(name, newest)].compactMap { $0 }
                }
                if done < workload.steps.count {
                    check.wrong += [try workload.rerunFailure(workload.steps[done])].compactMap { $0 }
                    let again = try PowerCutCheck(workload, acknowledged)
                    check.lost += again.lost
                    check.wrong += again.wrong
                }
                return (check.lost, check.wrong)
            } catch {
                return ([], ["\(error)"])
            }
        }
    }
}
