import Glibc
import ProcessSupport
import Testing
import VarveFiles
import VarveRepository

extension FaultTests {
    /// The disk loses its power at any moment, and what its cache had not written: what was acknowledged is there.
    @Suite(.serialized, .needsFuse())
    struct PowerCutTests {
        private struct Outcome: CustomStringConvertible {
            var images = 0
            /// Images that lack something acknowledged.
            var lost = 0
            /// Images on which something that is there is not as it must be.
            var wrong = 0

            var description: String {
                "\(images) power cuts; acknowledged things gone after \(lost), things wrong after \(wrong)"
            }

            mutating func count(_ found: (lost: [String], wrong: [String])) {
                images += 1
                if !found.lost.isEmpty { lost += 1 }
                if !found.wrong.isEmpty { wrong += 1 }
            }
        }

        /// From each of so many recordings: the whole is 2,000 in `make soak`.
        private static let recordings = Executable.isSoak ? 4 : 1
        private static let images =
            Executable.variables["VARVE_POWER_CUTS"].flatMap(Int.init)
            ?? (Executable.isSoak ? 500 : 20)

        /// What the commands leave out: see `Tests/PowerCut/no-fsync.c`.
        private enum Omission: String { case directories, all }

        @Test(.needsDisk("ext4"), .timeLimit(.minutes(240)))
        func nothingAcknowledgedIsLostOnExt4() throws { try nothingAcknowledgedIsLost(.ext4) }

        @Test(.needsDisk("xfs"), .timeLimit(.minutes(240)))
        func nothingAcknowledgedIsLostOnXFS() throws { try nothingAcknowledgedIsLost(.xfs) }

        private func nothingAcknowledgedIsLost(_ kind: RecordedDisk.Kind) throws {
            var random = SeededGenerator(for: "power cuts on \(kind)")
            var outcome = Outcome()
            for _ in 0..<Self.recordings {
                let disk = try RecordedDisk(kind)
                let workload = try PowerCutWorkload(disk)
                let log = try workload.record([:])
                print("\(kind): \(log.writes) writes, \(log.flushes) flushes, \(log.marks.count) marks")
                // What the file system makes durable comes to the disk as flushes, and nothing escapes the record.
                #expect(log.flushes > 100)
                let crashes = try CrashImages(disk, log, random)
                try crashes.requireWhole()
                for (number, cut) in cuts(log, count: Self.images, &random).enumerated() {
                    let done = try crashes.make(before: cut)
                    let found = try look(workload, log, cut, mayRerun: number % 5 == 0)
                    #expect(found.lost.isEmpty && found.wrong.isEmpty, "\(kind), \(done): \(found)")
                    outcome.count(found)
                }
            }
            print("\(kind): \(outcome)")
        }

        @Test(.needsDisk("ext4"), .timeLimit(.minutes(60)))
        func withoutDurabilitySomethingIsLostOnExt4() throws { try withoutDurabilitySomethingIsLost(.ext4) }

        @Test(.needsDisk("xfs"), .timeLimit(.minutes(60)))
        func withoutDurabilitySomethingIsLostOnXFS() throws { try withoutDurabilitySomethingIsLost(.xfs) }

        /// The control: the same commands that do not make the names of files durable, or nothing at all.
        private func withoutDurabilitySomethingIsLost(_ kind: RecordedDisk.Kind) throws {
            let directory = try TemporaryDirectory()
            let library = directory["no-fsync.so"]
            let source = Path.join(Path.parent(Path.parent(#filePath)), "PowerCut/no-fsync.c")
            try run(try compiler(), ["-shared", "-fPIC", "-Wall", "-O", "-o", library, source, "-ldl"])
                .require(0)
            for omission in [Omission.directories, .all] {
                var random = SeededGenerator(for: "power cuts on \(kind) without \(omission)")
                let disk = try RecordedDisk(kind)
                let workload = try PowerCutWorkload(disk)
                let log = try workload.record([
                    "LD_PRELOAD": library, "VARVE_TEST_NO_FSYNC": omission.rawValue,
                ])
                let crashes = try CrashImages(disk, log, random)
                var outcome = Outcome()
                for cut in cuts(log, count: max(log.marks.count, Self.images / 2), &random) {
                    _ = try crashes.make(before: cut)
                    outcome.count(try look(workload, log, cut, mayRerun: false))
                }
                print("\(kind) without fsync of \(omission): \(outcome)")
                #expect(outcome.lost > 0, "\(kind), \(omission): nothing was lost")
            }
        }

        /// The C compiler that came with Swift, or another one.
        private func compiler() throws -> String {
            let swift = try Executable.inPath("swift").map {
                Path.join(Path.parent(try Path.resolve($0)), "clang")
            }
            if let swift, access(swift, X_OK) == 0 { return swift }
            return "cc"
        }

        /// Moments in ascending order: each right after something was acknowledged, the others right after a write.
        private func cuts(_ log: DiskLog, count: Int, _ random: inout SeededGenerator) -> [Int] {
            let acknowledged = log.marks.prefix(count).map { $0 + 1 }
            let writes = log.entries.indices.filter {
                if case .write = log.entries[$0] { true } else { false }
            }
            let others = (0..<count - acknowledged.count).map { _ in
                writes[Int.random(in: writes.indices, using: &random)] + 1
            }
            return (acknowledged + others).sorted()
        }

        /// Mounts the image and looks at it; sometimes restores, runs the command again that was cut off, and looks.
        private func look(
            _ workload: PowerCutWorkload, _ log: DiskLog, _ cut: Int, mayRerun: Bool
        ) throws -> (lost: [String], wrong: [String]) {
            if let failure = try workload.disk.mount(workload.disk["image"]) { return ([], [failure]) }
            let done = log.marks(before: cut)
            let step = done < workload.steps.count ? workload.steps[done] : nil
            let found = Result { try check(workload, workload.acknowledged[done], step, mayRerun: mayRerun) }
            try workload.disk.unmount()
            switch found {
            case .success(let check): return (check.lost, check.wrong)
            case .failure(let error): return ([], ["\(error)"])
            }
        }

        /// - Parameter step: what was cut off; nil after the last.
        private func check(
            _ workload: PowerCutWorkload, _ acknowledged: Acknowledged, _ step: PowerCutWorkload.Step?,
            mayRerun: Bool
        ) throws -> PowerCutCheck {
            var check = try PowerCutCheck(workload, acknowledged)
            guard mayRerun, check.lost.isEmpty, check.wrong.isEmpty else { return check }
            for (name, holding) in acknowledged.holdings {
                guard let newest = holding.newest, acknowledged.mayBeDamaged == nil else { continue }
                check.wrong += [try workload.restoreFailure(name, newest)].compactMap { $0 }
            }
            guard let step, step.arguments != nil else { return check }
            check.wrong += [try workload.rerunFailure(step)].compactMap { $0 }
            var healed = acknowledged
            healed.mayBeDamaged = nil
            let again = try PowerCutCheck(workload, healed)
            check.lost += again.lost
            check.wrong += again.wrong
            return check
        }
    }
}
