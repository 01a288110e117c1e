import Testing
import VarveCopies
import VarveFiles
import VarveFormat
import VarveOperations
import VarveRepository
import VarveTestSupport
import VarveUpkeep

/// What is bad in one copy and good in another is made good; the rest is named.
@Suite struct HealTests {
    private func bench(copies: Int = 2, backups: Int = 3) throws -> (CopyBench, [[ListedFile]]) {
        let bench = try CopyBench(copies: copies)
        let histories = try (0..<backups).map { _ in
            let files = bench.files(8)
            try bench.backup(files)
            return files
        }
        return (bench, histories)
    }

    @Test func aHealthyCopyIsLeftAsItIs() throws {
        let (bench, _) = try bench()
        for label in ["a", "b"] {
            // Only that it was read goes on record.
            let before = try bench.everything(label).filter { !$0.key.hasPrefix("ledger/") }
            let report = try bench.heal(label)
            #expect(report.healed.isEmpty && report.isHealthy)
            let after = try bench.everything(label)
            #expect(after.filter { !$0.key.hasPrefix("ledger/") } == before)
            #expect(after.count > before.count)
        }
    }

    /// Disjoint damage in both copies, of every kind: both are bit-identical afterwards, without the source. Everything
    /// is found: by `verify --media` what is there, as missing what is not.
    @Test func disjointDamageIsHealed() throws {
        let (bench, _) = try bench()
        let good = try bench.objects("a")
        let names = good.keys.sorted()
        var done = 0
        let rounds = Soak.isWanted ? 1200 : 24
        for round in 0..<rounds {
            let chosen = bench.pick(min(names.count, 10), of: names)
            for (number, object) in chosen.enumerated() {
                let damages = CopyBench.Damage.allCases
                try bench.damage(
                    number % 2 == 0 ? "a" : "b", object, damages[(number + round) % damages.count])
                done += 1
            }
            let copies = try bench.copies(from: round % 2 == 0 ? "a" : "b")
            let healer = Healer(copies)
            for copy in copies.copies {
                let plan = try healer.plan(copy)
                let found = Set(plan.damaged.map(\.text) + plan.missing.map(\.description))
                let expected = chosen.enumerated().filter {
                    ($0.offset % 2 == 0) == (copy.record.label == "a")
                }
                #expect(
                    found == Set(expected.map { Self.named($0.element) }),
                    "seed \(bench.random.seed), round \(round), \(copy.record.label)")
                let report = try healer.run(plan)
                #expect(report.isHealthy, "seed \(bench.random.seed), round \(round): \(report.lost)")
            }
            for label in ["a", "b"] {
                let isGood = try bench.objects(label) == good
                #expect(isGood, "seed \(bench.random.seed), round \(round), \(label)")
                guard isGood else { return }
                try Directory.removeTree(Path.join(bench.path(label), "quarantine"))
                try Directory.create(Path.join(bench.path(label), "quarantine"))
            }
        }
        #expect(done == rounds * min(names.count, 10))
    }

    /// `packs/ab/abcd` is told as `packs/abcd`.
    private static func named(_ file: String) -> String {
        let parts = file.split(separator: "/")
        return parts.count == 3 ? "\(parts[0])/\(parts[2])" : file
    }

    /// One pack, damaged in both copies at different places: neither is whole, together they are.
    @Test func aPackIsPutTogetherFromBoth() throws {
        let (bench, _) = try bench(backups: 1)
        let good = try bench.objects("a")
        let packs = good.filter { $0.key.hasPrefix("packs/") }
        let (pack, bytes) = try #require(packs.max { $0.value.count < $1.value.count })
        var (ours, theirs) = (bytes, bytes)
        for offset in stride(from: 200, to: bytes.count / 2 - 5000, by: 3000) { ours[offset] ^= 0x55 }
        for offset in stride(from: bytes.count / 2 + 5000, to: bytes.count, by: 3000) {
            theirs[offset] ^= 0x55
        }
        try Bytes.write(ours, to: Path.join(bench.path("a"), pack))
        try Bytes.write(theirs, to: Path.join(bench.path("b"), pack))
        let report = try bench.heal("a")
        #expect(report.isHealthy && report.healed.map(\.source) == [.parts])
        #expect(try bench.heal("b").isHealthy)
        #expect(try bench.objects("a") == good && bench.objects("b") == good)
    }

    /// The same place is bad in both: what depends on it is named, every readable blob is saved, the rest restores.
    @Test func whatIsBadEverywhereIsNamed() throws {
        let (bench, histories) = try bench(backups: 2)
        let packs = try bench.objects("a").filter { $0.key.hasPrefix("packs/") }
        let (pack, bytes) = try #require(packs.max { $0.value.count < $1.value.count })
        for label in ["a", "b"] {
            var bad = bytes
            for offset in 1000..<1100 { bad[offset] ^= 0xFF }
            try Bytes.write(bad, to: Path.join(bench.path(label), pack))
        }
        let before = try Verifier(try bench.repository("a")).verifyContent().losses
        #expect(!before.isEmpty)
        for label in ["a", "b"] {
            let report = try bench.heal(label)
            #expect(!report.isHealthy && report.losses == before && report.salvagedBlobs > 0)
            #expect(report.lost.map(\.text) == [Self.named(pack)])
            // In quarantine, not deleted.
            #expect(
                try Directory.list(Path.join(bench.path(label), "quarantine")).contains {
                    $0.hasPrefix("packs-")
                })
        }
        // Nothing else was lost with it.
        let lost = Set(before.map(\.path))
        for (number, files) in histories.enumerated() {
            for file in files where !lost.contains(file.path) {
                let repository = try bench.repository("b")
                let restorer = Restorer(repository: repository)
                let target = bench.directory.join("one-\(number)-\(file.path)")
                var plan = try restorer.plan(try repository.find("\(number + 1)"), target: target)
                plan.files.removeAll { $0.path != file.path }
                try restorer.restore(plan)
                let isEqual = try Bytes.read(Path.join(target, file.path)) == file.content
                #expect(isEqual, "\(file.path)")
            }
        }
    }

    /// A restore takes from another copy what its own can't give. The control: alone it fails.
    @Test func aRestoreSwitches() throws {
        let (bench, histories) = try bench()
        for object in try bench.objects("a").keys.sorted() {
            try bench.damage("a", object, object.hasPrefix("packs/") ? .zeros : .flip)
        }
        expect(.corrupt) { try bench.restore(of: "a") }
        let (target, others) = try bench.restore(of: "a", alone: false)
        for file in try #require(histories.last) {
            let isEqual = try Bytes.read(Path.join(target, file.path)) == file.content
            #expect(isEqual, "\(file.path)")
        }
        #expect(try #require(others).uses.map(\.label) == ["b"])
        // Another order of damage: half here, half there.
        #expect(try bench.heal("a").isHealthy)
        let names = try bench.objects("a").keys.filter { $0.hasPrefix("packs/") }.sorted()
        for (number, object) in names.enumerated() {
            try bench.damage(number % 2 == 0 ? "a" : "b", object, .deletion)
        }
        let (second, _) = try bench.restore(of: "b", alone: false)
        for file in try #require(histories.last) {
            let isEqual = try Bytes.read(Path.join(second, file.path)) == file.content
            #expect(isEqual, "\(file.path)")
        }
    }
}
