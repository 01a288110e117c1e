import Testing
import VarveBlobs
import VarveCopies
import VarveFiles
import VarveFormat
import VarveOperations
import VarveRepository
import VarveStorage
import VarveTestSupport
import VarveUpkeep

/// `verify`, `heal` and `status` say the same of what is not there, and name it.
@Suite struct InventoryTests {
    private let bench: CopyBench

    /// A lone copy with three snapshots.
    init() throws {
        bench = try CopyBench(copies: 1)
        for _ in 0..<3 { try bench.backup(bench.files(2)) }
    }

    enum Loss: CaseIterable {
        case nothing, pack, allPacks, shard, newestManifest, middleManifest, firstManifest, parity
    }

    private func repository() throws -> Repository { try bench.repository("a") }

    private func packs() throws -> [String] { try TestRepository.packs(try repository()) }

    private func path(ofPack name: String) -> String { bench.path("a/packs/\(name.prefix(2))/\(name)") }

    private func manifest(_ number: Int) throws -> String {
        "manifests/\(try repository().manifests.list()[number].name)"
    }

    /// - Returns: what must be named.
    private func lose(_ loss: Loss) throws -> String? {
        switch loss {
        case .nothing: return nil
        case .pack:
            let pack = try #require(try packs().first)
            try Directory.removeFile(path(ofPack: pack))
            return "packs/\(pack)"
        case .allPacks:
            let all = try packs()
            for pack in all { try Directory.removeFile(path(ofPack: pack)) }
            return "packs/\(all.sorted()[0])"
        case .shard:
            let pack = try #require(try packs().first)
            try Directory.removeTree(Path.parent(path(ofPack: pack)))
            return "packs/\(pack)"
        case .newestManifest, .middleManifest, .firstManifest:
            let name = try manifest(loss == .firstManifest ? 0 : loss == .middleManifest ? 1 : 2)
            try Directory.removeFile(bench.path("a/\(name)"))
            return name
        case .parity:
            for name in try repository().storage.list(.parity) {
                try Directory.removeFile(bench.path("a/parity/\(name)"))
            }
            return nil
        }
    }

    private struct Said {
        var media: VerificationReport
        var content: VerificationReport
        var heal: HealReport
        var problems: [String]
        var after: VerificationReport
    }

    private func ask() throws -> Said {
        let media = try Verifier(try repository()).verifyMedia()
        let content = try Verifier(try repository()).verifyContent()
        let heal = try bench.heal("a")
        let problems = try RepositoryStatus(try bench.copies()).problems
        return Said(
            media: media, content: content, heal: heal, problems: problems,
            after: try Verifier(try repository()).verifyContent())
    }

    /// What is lost on a lone copy is named first by both verifications, `heal` never ends well, `status` tells of it;
    /// so it is again the next time, when indexes and summaries were made anew. The control: nothing is lost.
    @Test(arguments: Loss.allCases) func whatIsLostIsNamed(_ loss: Loss) throws {
        let name = try lose(loss)
        for round in 1...2 {
            let said = try ask()
            guard let name else {
                #expect(said.media.isGood && said.content.isGood && said.heal.isHealthy && said.after.isGood)
                #expect(said.problems == [])
                continue
            }
            let comment: Comment = "\(loss), round \(round): \(said.media.findings) \(said.heal)"
            #expect(said.media.findings.first?.text == name, comment)
            #expect(said.media.findings.first?.kind == .missing, comment)
            #expect(said.content.findings.first?.text == name, comment)
            #expect(said.content.findings.allSatisfy { $0.kind == .missing }, comment)
            #expect(said.content.losses.isEmpty == (name.hasPrefix("manifests/")), comment)
            #expect(!said.heal.isHealthy && !said.after.isGood, comment)
            #expect(said.heal.lost.contains { $0.text == name }, comment)
            #expect(
                said.problems.contains { $0.contains("that it should hold") }, "\(comment): \(said.problems)")
            if round == 1 { try bench.backup(bench.files(2)) }
        }
    }

    /// With a second copy it comes back, and all agree that it did.
    @Test(arguments: Loss.allCases) func whatAnotherCopyHasComesBack(_ loss: Loss) throws {
        let bench = try CopyBench(copies: 2)
        for _ in 0..<3 { try bench.backup(bench.files(2)) }
        let good = try bench.objects("a")
        let (object, bytes) = try #require(good.min { $0.key < $1.key })
        switch loss {
        case .nothing: break
        case .shard:
            let pack = try #require(good.keys.first { $0.hasPrefix("packs/") })
            try Directory.removeTree(Path.parent(Path.join(bench.path("a"), pack)))
        case .allPacks:
            for name in good.keys where name.hasPrefix("packs/") {
                try Directory.removeFile(Path.join(bench.path("a"), name))
            }
        default: try Directory.removeFile(Path.join(bench.path("a"), object))
        }
        let report = try bench.heal("a")
        #expect(report.isHealthy && report.healed.isEmpty == (loss == .nothing), "\(loss): \(report)")
        #expect(try bench.objects("a")[object] == bytes && bench.objects("a") == good)
        #expect(try Verifier(try bench.repository("a")).verifyMedia().isGood)
        #expect(try Verifier(try bench.repository("a")).verifyContent().isGood)
    }

    /// Of a copy under parity: what `heal` has to make anew it says, and what it can give back it gives.
    @Test(arguments: [Loss.pack, .shard, .middleManifest, .newestManifest, .parity])
    func parityGivesBack(_ loss: Loss) throws {
        _ = try repository().addParity(percent: 50)
        #expect(try bench.heal("a").healed.isEmpty)
        let before = try bench.objects("a")
        _ = try lose(loss)
        let media = try Verifier(try repository()).verifyMedia()
        #expect(media.isGood == (loss == .parity) && media.uncovered.isEmpty == (loss != .parity))
        let copies = try bench.copies()
        let plan = try Healer(copies).plan(copies.copies[0])
        #expect(!plan.isEmpty)
        let report = try Healer(copies).run(plan)
        #expect(report.isHealthy, "\(loss): \(report)")
        #expect(report.covered > 0 || !report.healed.isEmpty)
        #expect(try bench.objects("a") == before)
        #expect(try ParityStatus(try repository()).uncovered == [])
        #expect(try Verifier(try repository()).verifyMedia().isGood)
        let again = try bench.copies()
        #expect(try Healer(again).plan(again.copies[0]).isEmpty)
    }

    /// In a pack of its own.
    private func store(_ bytes: [UInt8]) throws {
        let writer = try RepositoryWriter(try repository())
        _ = try GoldenBlobs(writer).store(bytes)
        try writer.flush()
    }

    /// A pack that nothing needs any more is mentioned once, and then forgotten by all three.
    @Test func whatNoSnapshotNeedsIsNoLoss() throws {
        try store(Array("nobody refers to this".utf8))
        try bench.backup(bench.files(1))
        let orphan = try #require(
            try packs().first { pack in
                let bytes = try Bytes.read(path(ofPack: pack))
                return bytes.firstRange(of: Array("nobody refers to this".utf8)) != nil
            })
        try Directory.removeFile(path(ofPack: orphan))
        let media = try Verifier(try repository()).verifyMedia()
        #expect(media.findings.map(\.text) == ["packs/\(orphan)"])
        let content = try Verifier(try repository()).verifyContent()
        #expect(content.isGood && content.unneeded == [ObjectName(.pack, orphan)])
        #expect(try Verifier(try repository()).verifyMedia().isGood)
        #expect(try bench.heal("a").isHealthy)
        #expect(try RepositoryStatus(try bench.copies()).problems == [])
        // The control: it is not forgotten that another one is missed later.
        let needed = try #require(try packs().first)
        try Directory.removeFile(path(ofPack: needed))
        #expect(try Verifier(try repository()).verifyMedia().findings.first?.text == "packs/\(needed)")
    }

    /// Whatever finds it: each fact is said once by a verification, and again by the next one of the same verifier.
    @Test func findingsAreSaidOnce() throws {
        let name = try #require(try lose(.pack))
        let verifier = Verifier(try repository())
        for _ in 0..<2 {
            for report in [try verifier.verifyMedia(), try verifier.verifyContent()] {
                #expect(report.findings.count == Set(report.findings).count)
                #expect(report.findings.count { $0.text == name } == 1)
            }
        }
    }

    /// A backup that met damage is tainted until it is known to be whole: evidence decides, not the manifest.
    @Test func aTaintEndsWithItsDamage() throws {
        let bench = try CopyBench(copies: 2)
        let files = bench.files(2)
        try bench.backup(files)
        let map = try #require(
            try bench.repository("a").manifests.read(
                try bench.repository("a").find("latest")
            ).files.first?.map)
        let damaged = try damage(try #require(ContentID(hex: map)), in: bench)
        let tainted = try bench.backup(files, without: ["b"])
        #expect(tainted.manifest.isTaintedByRepository, "\(tainted.manifest.warnings)")
        func isTainted() throws -> Bool {
            try RepositoryStatus(try bench.copies()).sources[0].newest.tainted
        }
        // Controls: neither a reading of the media nor a verification that finds damage ends it.
        _ = try Verifier(try bench.repository("a")).verifyMedia()
        #expect(try isTainted())
        #expect(try bench.heal("a").healed.map { "\($0.place)" } == [damaged])
        #expect(try !isTainted())
        let reference = try bench.repository("a").find("latest")
        #expect(try bench.repository("a").manifests.read(reference).tainted)
        let restorer = Restorer(repository: try bench.repository("a"))
        #expect(try restorer.plan(reference, target: bench.path("x")).notes == [])
    }

    /// Turns a bit of the blob.
    private func damage(_ id: ContentID, in bench: CopyBench) throws -> String {
        let storage = DirectoryStorage(bench.path("a"))
        for name in try storage.list(.pack) {
            guard let pack = ContentID(hex: name) else { continue }
            let entries = try PackReader.directory(of: pack, in: storage).entries
            guard let entry = entries.first(where: { $0.header.id == id }) else { continue }
            let path = storage.path(of: ObjectName(.pack, pack))
            var bytes = try Bytes.read(path)
            bytes[Int(entry.offset) + entry.header.length + 3] ^= 1
            try Bytes.write(bytes, to: path)
            return "packs/\(name)"
        }
        throw VarveError(.missing, "\(id)")
    }
}
