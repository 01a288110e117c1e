import Testing
import VarveCopies
import VarveFiles
import VarveFormat
import VarveOperations
import VarveRepository
import VarveTestSupport
import VarveUpkeep

/// Equal copies: written at once, told apart, brought up to date.
@Suite struct CopyTests {
    @Test func allGetTheSameAndEachRestoresAlone() throws {
        let bench = try CopyBench()
        var files = bench.files()
        for round in 0..<3 {
            files[round] = ListedFile("file-\(round)", files[3].content.dropLast(round + 1) + [1])
            let result = try bench.backup(files, required: 3)
            #expect(result.copies.map(\.label) == ["a", "b", "c"])
            #expect(result.copies.allSatisfy { $0.isAcknowledged && !$0.hasFailed })
        }
        let objects = try bench.objects("a")
        #expect(objects.count > 5)
        for label in CopyBench.labels {
            #expect(try bench.objects(label) == objects)
            try bench.expectRestores(files, of: label)
            let report = try Verifier(try bench.repository(label)).verifyContent()
            #expect(report.isGood && report.snapshots == 3)
            // Each knows what the others hold.
            let heard = try bench.copies(from: label).copies
            #expect(Set(heard.map(\.record.newestSnapshot)).count == 1 && heard.allSatisfy(\.isComplete))
        }
    }

    @Test func oneThatWasAwayCatchesUp() throws {
        let bench = try CopyBench()
        try bench.backup(bench.files())
        try bench.move("c", to: "elsewhere")
        // More objects than a backup brings to a copy that lags.
        let files = bench.files(bytes: 400_000)
        let result = try bench.backup(files)
        #expect(result.copies.map(\.isAcknowledged) == [true, true, false])
        #expect(result.copies.allSatisfy { !$0.hasFailed })
        expect(.tooFewCopies) { try bench.backup(files, required: 3) }
        try bench.move("elsewhere", to: "c")

        // It is there again and lags behind: it gets the new packs, and no snapshot that it can't restore.
        let third = try bench.backup(bench.files())
        #expect(third.copies.map(\.isAcknowledged) == [true, true, false])
        #expect(try bench.repository("c").manifests.list().count == 1)
        #expect(try Verifier(try bench.repository("c")).verifyContent().isGood)
        let lacking = try #require(try bench.copies().find("c").lacking)
        #expect(lacking > 0)
        let report = try bench.synchronize("c")
        #expect(report.isComplete && report.objects == lacking)
        #expect(try bench.objects("c") == bench.objects("a"))
        try bench.expectRestores(files, "2", of: "c")
        #expect(try bench.backup(files, required: 3).copies.allSatisfy(\.isAcknowledged))
    }

    /// A run that was cut off in its commit: the others had no time to get the manifest, and the next one has to count.
    @Test(arguments: ["manifests", "packs", "both"]) func oneThatLacksLittleGetsItFirst(_ kind: String) throws
    {
        let bench = try CopyBench()
        try bench.backup(bench.files())
        try bench.backup(bench.files())
        let newest = try #require(try bench.repository("b").manifests.list().last)
        var gone = kind == "packs" ? [] : ["manifests/\(newest.name)"]
        if kind != "manifests" {
            gone += try bench.objects("b").keys.sorted().filter { $0.hasPrefix("packs/") }.prefix(2)
        }
        for object in gone { try Directory.removeFile(Path.join(bench.path("b"), object)) }
        let result = try bench.backup(bench.files(), required: 3)
        #expect(result.copies.map(\.caughtUp) == [0, gone.count, 0])
        #expect(try bench.objects("b") == bench.objects("a"))
        #expect(try Verifier(try bench.repository("b")).verifyContent().isGood)
    }

    /// A sync that was cut short has brought deltas without what they are built on: that is not damage as long as no
    /// snapshot needs them.
    @Test func deltasWithoutTheirBase() throws {
        let bench = try CopyBench(copies: 2)
        var files = bench.files()
        try bench.backup(files)
        let first = Set(try bench.objects("b").keys)
        for index in files.indices {
            var content = files[index].content
            for at in stride(from: 7, to: content.count, by: 512) { content[at] ^= 1 }
            files[index] = ListedFile(files[index].path, content)
        }
        try bench.backup(files)
        let newest = try #require(try bench.repository("b").manifests.list().last)
        for object in first { try Directory.removeFile(Path.join(bench.path("b"), object)) }
        let manifest = Path.join(bench.path("b"), "manifests/\(newest.name)")
        try Directory.rename(manifest, to: bench.path("manifest"))
        // Nor has anything that names it come yet: neither lists of snapshots nor the record.
        let record = try bench.repository("b").copy.copy
        for name in try Directory.list(bench.path("b/summaries")) {
            try Directory.removeFile(bench.path("b/summaries/\(name)"))
        }
        try Directory.rename(bench.path("b/copies/\(record).json"), to: bench.path("record"))
        let unneeded = try Verifier(try bench.repository("b")).verifyContent()
        #expect(unneeded.isGood && unneeded.baseless > 100, "\(unneeded)")
        try Directory.rename(bench.path("record"), to: bench.path("b/copies/\(record).json"))
        // The control: a snapshot needs them.
        try Directory.rename(bench.path("manifest"), to: manifest)
        let needed = try Verifier(try bench.repository("b")).verifyContent()
        #expect(needed.baseless == 0 && needed.losses.count >= files.count)
        // What is missing is named, not the packs that are built on it.
        let missing = Set(first.compactMap { $0.split(separator: "/").last }.map(String.init))
        #expect(
            needed.findings.contains { $0.text.hasPrefix("packs/") && $0.kind == .missing }
                && needed.findings.allSatisfy { finding in
                    finding.kind == .missing
                        && missing.contains(String(finding.text.split(separator: "/")[1]))
                }, "\(needed.findings)")
        #expect(try bench.synchronize("b").isComplete)
        let whole = try Verifier(try bench.repository("b")).verifyContent()
        #expect(whole.isGood && whole.baseless == 0)
    }

    /// Backups that two copies took apart from each other are in both afterwards, and the next one goes on from them.
    @Test func separateHistoriesMerge() throws {
        let bench = try CopyBench(copies: 2)
        try bench.backup(bench.files())
        let (ours, theirs) = (bench.files(), bench.files())
        let first = try bench.backup(ours, from: "a", without: ["b"])
        let second = try bench.backup(theirs, from: "b", without: ["a"])
        #expect(first.snapshot.sequence == 2 && second.snapshot.sequence == 2)
        for label in ["b", "a"] { #expect(try bench.synchronize(label).isComplete) }
        #expect(try bench.objects("a") == bench.objects("b"))
        for label in ["a", "b"] {
            try bench.expectRestores(ours, "\(first.snapshot)", of: label)
            try bench.expectRestores(theirs, "\(second.snapshot)", of: label)
            #expect(try Verifier(try bench.repository(label)).verifyContent().isGood)
        }
        // The later one, whatever its hash.
        #expect(try bench.repository("a").find("latest") == second.snapshot)
        expect(.missing) { try bench.repository("a").find("2") }
        let next = try bench.backup(ours, required: 2)
        #expect(next.snapshot.sequence == 3)
        #expect(try Verifier(try bench.repository("b")).verifyContent().snapshots == 4)
    }

    @Test func aBadObjectIsNeverPassedOn() throws {
        let bench = try CopyBench(copies: 2)
        let files = bench.files()
        try bench.backup(files)
        let pack = try #require(try bench.objects("a").keys.sorted().last { $0.hasPrefix("packs/") })
        try bench.damage("a", pack, .flip)
        let copies = try bench.copies(without: ["b"])
        _ = try CopyRegistry(copies).add(at: bench.path("c"), label: "c", role: "local")
        // From the bad one alone: not there at all.
        let alone = try bench.copies(without: ["b"])
        let report = try CopySynchronizer(alone).run(try alone.find("c"))
        #expect(!report.isComplete && report.findings.count == 1)
        #expect(try bench.objects("c")[pack] == nil)
        // With a good one: from there.
        let second = try bench.synchronize("c")
        #expect(second.isComplete)
        #expect(try bench.objects("c") == bench.objects("b"))
        try bench.expectRestores(files, of: "c")
    }

    /// Damage that one copy's parity comes upon is told, whichever it is.
    @Test func damageThatParityMeetsIsNamedWithItsCopy() throws {
        let bench = try CopyBench()
        try bench.backup(bench.files())
        let pack = try #require(try bench.objects("b").keys.sorted().first { $0.hasPrefix("packs/") })
        try bench.damage("b", pack, .flip)
        for label in ["a", "b"] { _ = try bench.repository(label).addParity(percent: 10) }
        let report = try #require(try bench.backup(bench.files()).parity?.get())
        let name = try #require(pack.split(separator: "/").last)
        #expect(report.skipped.map(\.text) == ["\(bench.path("b"))/packs/\(name)"])
    }

    /// A target that is not the one any more that was opened is noticed before anything counts.
    @Test func aSwapUnderTheRunIsNoticed() throws {
        let bench = try CopyBench()
        try bench.backup(bench.files())
        let copies = try bench.copies()
        var source = ListedFiles(bench.files())
        let (b, away, other) = (bench.path("b"), bench.path("away"), bench.path("other"))
        _ = try TestRepository.create(at: other)
        let untouched = try bench.everything("other")
        nonisolated(unsafe) var isSwapped = false
        source.pause = {
            if isSwapped { return }
            isSwapped = true
            try! Directory.rename(b, to: away)
            try! Directory.rename(other, to: b)
        }
        let result = try Archiver(repository: copies.named, copies: copies).backup(source, tool: "test")
        #expect(result.copies.map(\.isAcknowledged) == [true, false, true])
        #expect(result.copies[1].hasFailed && result.copies[1].reason?.contains("swapped") == true)
        #expect(try bench.everything("b") == untouched)
    }
}
