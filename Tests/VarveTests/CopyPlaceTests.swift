import Testing
import VarveCopies
import VarveFiles
import VarveFormat
import VarveOperations
import VarveRepository
import VarveTestSupport

/// A copy is told by its `copy.json`, not by its place: a renamed directory is a disk mounted elsewhere.
@Suite struct CopyPlaceTests {
    let bench: CopyBench

    init() throws { bench = try CopyBench() }

    private func status() throws -> RepositoryStatus { try RepositoryStatus(try bench.copies()) }

    /// The commonest offsite scheme: two disks take turns at one mount point.
    @Test func twoDisksInTurnAtOneMountPoint() throws {
        let bench = try CopyBench(copies: 1)
        func add(_ label: String) throws {
            let added = try CopyRegistry(try bench.copies()).add(
                at: bench.path("usb"), label: label, role: "offsite")
            let all = try bench.copies()
            #expect(try CopySynchronizer(all).run(try all.find(added.record.copy)).isComplete)
        }
        try bench.backup(bench.files())
        try add("A")
        try bench.move("usb", to: "A")
        try Directory.create(bench.path("usb"))
        try add("B")
        try bench.move("usb", to: "B")
        var latest = bench.files()
        for disk in ["A", "B", "B", "A"] {
            try bench.move(disk, to: "usb")
            // What it missed while it was away.
            let behind = try bench.copies()
            _ = try CopySynchronizer(behind).run(try behind.find(disk))
            let copies = try bench.copies()
            #expect(Set(copies.online.map(\.record.label)) == ["a", disk])
            #expect(copies.copies.allSatisfy { $0.trouble == nil })
            #expect(try copies.find(bench.path("usb")).record.label == disk)
            latest = bench.files()
            let result = try bench.backup(latest, required: 2)
            #expect(result.copies.filter(\.isAcknowledged).count == 2)
            #expect(!result.copies.contains { $0.needsAttention })
            try bench.expectRestores(latest, of: "a")
            try bench.expectRestores(latest, of: "usb")
            #expect(try bench.heal(disk).isHealthy)
            // From the disk itself as well.
            let there = try bench.copies(from: "usb")
            #expect(Set(there.online.map(\.record.label)) == ["a", disk])
            #expect(
                try bench.backup(latest, from: "usb", required: 2).copies.filter(\.isAcknowledged).count == 2)
            // The control: the other is away, and was not taken for this one.
            let other = try #require(copies.copies.first { !$0.isThere })
            #expect(other.record.label == (disk == "A" ? "B" : "A"))
            #expect(
                other.absence?.code == .noRepository && other.absence?.message.contains("'\(disk)'") == true)
            try bench.move("usb", to: disk)
        }
    }

    /// A directory of one copy that is lost is nobody else's matter, and heals.
    @Test(arguments: ["manifests", "packs", "tmp"], ["a", "b"])
    func aDirectoryThatIsLost(_ name: String, _ label: String) throws {
        let files = bench.files()
        try bench.backup(files)
        try Directory.removeTree(bench.path("\(label)/\(name)"))
        let named = label == "a" ? "b" : "a"
        let status = try RepositoryStatus(try bench.copies(from: named))
        // What holds nothing is missed by nobody.
        #expect(
            status.problems.contains { $0.contains("\(name) of '\(label)' is missing") } == (name != "tmp"))
        #expect(try bench.heal(label, from: named).isHealthy)
        #expect(try bench.objects(label) == bench.objects(named))
        #expect(try bench.backup(files, from: label, required: 3).copies.allSatisfy(\.isAcknowledged))
        try bench.expectRestores(files, of: label)
    }

    /// The percentage can't be computed, everything else can be mended; and a setting that is lost is missed.
    @Test(arguments: [true, false]) func theSettingOfParity(_ isDamaged: Bool) throws {
        try bench.backup(bench.files())
        _ = try bench.repository("a").addParity(percent: 30)
        let pack = try #require(bench.objects("a").keys.filter { $0.hasPrefix("packs/") }.min())
        try bench.damage("a", pack, .flip)
        let setting = bench.path("a/parity.json")
        try Directory.removeFile(setting)
        if isDamaged { try Bytes.write(Array("garbage".utf8), to: setting) }
        let report = try bench.heal("a")
        #expect(
            report.lost.map(\.text) == ["parity.json"]
                && report.healed.contains { "\($0.place)".contains("packs/") })
        #expect(try bench.objects("a")[pack] == bench.objects("b")[pack])
        let status = try RepositoryStatus(try bench.copies())
        #expect(status.problems.contains { $0.contains("parity.json of 'a'") }, "\(status.problems)")
        // The control.
        _ = try bench.repository("a").addParity(percent: 30)
        #expect(try bench.heal("a").isHealthy)
    }

    /// What a copy says of itself is lost: that is no sign of an older image.
    @Test func itsOwnRecordIsLost() throws {
        for _ in 0..<3 { try bench.backup(bench.files()) }
        for label in ["b", "a"] {
            let id = try bench.repository(label).copy.copy
            try Directory.removeFile(bench.path("\(label)/copies/\(id).json"))
            for _ in 0..<2 {
                #expect(try bench.copies().copies.allSatisfy { $0.trouble == nil })
                #expect(try bench.backup(bench.files(), required: 3).copies.allSatisfy(\.isAcknowledged))
            }
        }
    }

    /// The backup is there, and somebody has to look.
    @Test func aDamagedDocumentOfAnotherCopyIsSaid() throws {
        func attention() throws -> [Bool] {
            try bench.backup(bench.files(), required: 3).copies.map(\.needsAttention)
        }
        #expect(try attention() == [false, false, false])
        let document = bench.path("b/copy.json")
        try Directory.removeFile(document)
        try Bytes.write(Array("garbage".utf8), to: document)
        #expect(try attention() == [false, true, false])
        _ = try bench.heal("b")
        #expect(try attention() == [false, false, false])
    }

    @Test func swappedMountPoints() throws {
        try bench.backup(bench.files())
        try bench.move("b", to: "x")
        try bench.move("c", to: "b")
        try bench.move("x", to: "c")
        let copies = try bench.copies()
        #expect(copies.online.count == 3 && copies.copies.allSatisfy { $0.trouble == nil })
        #expect(try copies.find("b").repository?.path == bench.path("c"))
        let files = bench.files()
        #expect(try bench.backup(files, required: 3).copies.allSatisfy(\.isAcknowledged))
        for label in CopyBench.labels { try bench.expectRestores(files, of: label) }
        // The one that is named may be at another's place, too.
        try bench.move("a", to: "x")
        try bench.move("b", to: "a")
        try bench.move("x", to: "b")
        #expect(try bench.copies(from: "a").online.count == 3)
        #expect(try bench.backup(files, from: "a", required: 3).copies.allSatisfy(\.isAcknowledged))
    }

    /// The first disk died: a new one comes to its place, filled from another.
    @Test func aReplacedPrimary() throws {
        let files = bench.files()
        try bench.backup(files)
        try Directory.removeTree(bench.path("a"))
        try Directory.create(bench.path("a"))
        let copies = try bench.copies(from: "b")
        #expect(try copies.find("a").absence?.code == .noRepository)
        let added = try CopyRegistry(copies).add(at: bench.path("a"), label: "new", role: "primary")
        let all = try bench.copies(from: "b")
        #expect(try CopySynchronizer(all).run(try all.find("new")).isComplete)
        try bench.expectRestores(files, of: "a")
        let seen = try bench.copies(from: "a")
        #expect(seen.named.copy.copy == added.record.copy && seen.online.count == 3)
        // By its path it is the new one that is meant, by its label the old one, which can be forgotten.
        #expect(try seen.find(bench.path("a")).record.label == "new")
        try CopyRegistry(seen).remove(try seen.find("a"))
        #expect(try bench.copies(from: "a").copies.count == 3)
        #expect(try bench.backup(files, from: "a", required: 3).copies.allSatisfy { !$0.needsAttention })
    }

    /// What an `add` says is true, also when it is run again.
    @Test func addAgain() throws {
        let first = try CopyRegistry(try bench.copies()).add(at: bench.path("b"), label: nil, role: "local")
        #expect(first.record.label == "b")
        expect(.invalid) {
            try CopyRegistry(try bench.copies()).add(at: bench.path("b"), label: "other", role: "local")
        }
        try CopyRegistry(try bench.copies()).remove(try bench.copies().find("b"))
        // A forgotten disk in its place is for a person to look at, and is not written to.
        _ = try CopyRegistry(try bench.copies()).add(at: bench.path("b"), label: "b", role: "local")
        #expect(try bench.copies().online.count == 3)
        // Labels that are taken are passed over.
        for number in 4...6 {
            let path = bench.path("further-\(number)")
            _ = try CopyRegistry(try bench.copies()).add(at: path, label: nil, role: "local")
        }
        #expect(try Set(bench.copies().copies.map(\.record.label)).count == 6)
    }
}

/// A wrong disk is not written to, and keeps nothing else from going on.
@Suite struct WrongDiskTests {
    let bench: CopyBench

    init() throws {
        bench = try CopyBench()
        try bench.backup(bench.files())
    }

    /// The user is told what to do, too.
    private func expectAdvice(_ code: VarveError.Code, _ body: () throws -> Void) {
        #expect(expect(code) { try body() }?.hint != nil)
    }

    /// `c` is not written to by anything, and the others get what there is; whoever reads is not hindered.
    private func expectLeftAlone(_ code: VarveError.Code) throws {
        let before = try bench.everything("c")
        let files = bench.files()
        let result = try bench.backup(files)
        #expect(result.copies.map(\.isAcknowledged) == [true, true, false])
        #expect(result.copies.map(\.needsAttention) == [false, false, true])
        expectAdvice(code) { try bench.synchronize("c") }
        expectAdvice(code) { try bench.heal("c") }
        #expect(try bench.copies().find("c").trouble?.code == code)
        #expect(try RepositoryStatus(try bench.copies()).problems.contains { $0.hasPrefix("'c': ") })
        let (target, _) = try bench.restore(of: "a", alone: false)
        #expect(try Bytes.read(Path.join(target, "file-0")) == files[0].content)
        try bench.synchronize("b")
        #expect(try bench.everything("c") == before)
    }

    @Test func anEmptyMountPoint() throws {
        try bench.move("a", to: "away")
        try Directory.create(bench.path("a"))
        expectAdvice(.noRepository) { try bench.backup(bench.files()) }
        expect(.noRepository) { try bench.repository("a") }
        // Where another copy should be, it is one that is away; that is no trouble.
        try bench.move("b", to: "b-away")
        try Directory.create(bench.path("b"))
        let copies = try bench.copies(from: "c")
        #expect(copies.copies.map(\.isThere) == [true, false, false])
        #expect(copies.copies.allSatisfy { $0.trouble == nil })
        // And the advice is not to make a repository there.
        #expect(copies.copies[1].absence?.hint?.contains("init") == false)
        try bench.backup(bench.files(), from: "c")
        #expect(try bench.everything("a").isEmpty && bench.everything("b").isEmpty)
    }

    @Test func anotherRepositorysDisk() throws {
        try bench.move("c", to: "away")
        let stranger = try Repository.create(at: bench.path("c"))
        #expect(stranger.id != (try bench.repository("a").id))
        try expectLeftAlone(.wrongDisk)
        let without = try bench.backup(bench.files(), without: ["c"]).copies
        #expect(without.map(\.isAcknowledged) == [true, true, false])
        #expect(without.allSatisfy { !$0.needsAttention })
    }

    @Test func aCopyThatIsNotKnown() throws {
        try bench.move("c", to: "away")
        let copies = try bench.copies(from: "b", without: ["a"])
        _ = try CopyRegistry(copies).add(at: bench.path("c"), label: "d", role: "local")
        try expectLeftAlone(.wrongDisk)
    }

    private func putBack(_ image: String) throws {
        try bench.move("c", to: "away")
        try Directory.rename(bench.path(image), to: bench.path("c"))
        try TestRepository.completeDirectories(of: bench.path("c"))
    }

    @Test func aDiskThatWasRolledBack() throws {
        try Bytes.copyTree(bench.path("c"), to: bench.path("image"))
        try bench.backup(bench.files())
        try putBack("image")
        try expectLeftAlone(.rolledBack)
        // It is not written to as the first one either, and can be read.
        expectAdvice(.rolledBack) { try bench.backup(bench.files(), from: "c") }
        _ = try bench.restore(of: "c")
        // And taken back on demand.
        _ = try CopyRegistry(try bench.copies()).add(at: bench.path("c"), label: nil, role: "local")
        #expect(try bench.synchronize("c").isComplete)
        #expect(try bench.objects("c") == bench.objects("a"))
        #expect(try bench.backup(bench.files(), from: "c", required: 3).copies.allSatisfy(\.isAcknowledged))
    }

    /// As many generations, but not the same ones.
    @Test func aCloneThatWasUsedElsewhere() throws {
        try Bytes.copyTree(bench.path("c"), to: bench.path("clone"))
        try bench.backup(bench.files())
        try putBack("clone")
        try bench.backup(bench.files(), from: "c", without: ["a", "b"])
        try expectLeftAlone(.rolledBack)
    }

    @Test func aClonedDiskMountedTwice() throws {
        try bench.move("c", to: "away")
        try Bytes.copyTree(bench.path("b"), to: bench.path("c"))
        try TestRepository.completeDirectories(of: bench.path("c"))
        let before = try (bench.everything("b"), bench.everything("c"))
        let result = try bench.backup(bench.files())
        #expect(result.copies.map(\.isAcknowledged) == [true, false, false])
        // `c` itself is only away: a clone of another is in its place.
        #expect(result.copies.map(\.needsAttention) == [false, true, false])
        expectAdvice(.clonedCopy) { try bench.synchronize("b") }
        expectAdvice(.clonedCopy) { try bench.backup(bench.files(), from: "b") }
        expectAdvice(.clonedCopy) { try bench.backup(bench.files(), from: "c") }
        for label in CopyBench.labels { _ = try bench.restore(of: label) }
        #expect(try (bench.everything("b"), bench.everything("c")) == before)
    }
}
