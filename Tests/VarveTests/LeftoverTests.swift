import Testing
import VarveCopies
import VarveFiles
import VarveFormat
import VarveRepository
import VarveStorage
import VarveTestSupport
import VarveUpkeep

/// What Macs, Windows and network disks leave in a repository's directories is no object, and no reason for anything.
@Suite struct LeftoverTests {
    private static let places =
        [
            "", "packs", "packs/98", "indexes", "filters", "manifests", "summaries", "events", "ledger",
            "drills", "parity", "copies", "quarantine", "tmp",
        ]
    private static let names = [".DS_Store", "._x", "Thumbs.db", "@eaDir", "notes.txt", "\u{1B}[31m", "a-b"]

    /// In every directory a file of each name, and a directory with a file in it.
    private func litter(_ root: String) throws {
        for place in Self.places {
            let directory = Path.join(root, place)
            try Directory.create(directory)
            for name in Self.names {
                let isDirectory = name == "@eaDir"
                // Files that nobody knows are removed from `tmp/` by whoever writes next.
                if isDirectory {
                    try Directory.create(Path.join(directory, name))
                    try Bytes.write([1], to: Path.join(directory, "\(name)/inside"))
                } else {
                    try Bytes.write(Array("junk".utf8), to: Path.join(directory, name))
                }
            }
        }
    }

    @Test func itHindersNothing() throws {
        let bench = try CopyBench(copies: 2)
        try bench.backup(bench.files())
        _ = try bench.repository("a").addParity(percent: 10)
        for label in ["a", "b"] { try litter(bench.path(label)) }
        let files = bench.files()
        let result = try bench.backup(files, required: 2)
        #expect(result.copies.allSatisfy { $0.isAcknowledged }, "\(result.copies)")
        for label in ["a", "b"] {
            try bench.expectRestores(files, of: label)
            let repository = try bench.repository(label)
            let media = try Verifier(repository).verifyMedia()
            let content = try Verifier(repository).verifyContent()
            #expect(media.isGood && content.isGood && content.snapshots == 2, "\(media) \(content)")
            let copies = try bench.copies()
            #expect(try Healer(copies).plan(try copies.find(label)).isEmpty)
            #expect(try repository.mediaHealth().damage.isEmpty)
            // It is still there, but for what lay in tmp/.
            #expect(try repository.storage.strangers(.manifest).count == Self.names.count)
        }
        #expect(try bench.copies().copies.map(\.lacking) == [0, 0])
        #expect(try bench.synchronize("b").objects == 0)
        // The control: what has an object's name is one, and is missed where it is not, and found bad where it is.
        let hash = String(repeating: "ab", count: 32)
        try Bytes.write([1], to: bench.path("a/manifests/0000000003-\(hash)"))
        #expect(try bench.copies().find("b").lacking == 1)
        #expect(try !Verifier(try bench.repository("a")).verifyMedia().isGood)
    }

    /// A fresh disk of a Mac or with `lost+found` is empty to a person.
    @Test func aDirectoryWithNothingElseIsEmpty() throws {
        let bench = try CopyBench(copies: 1)
        for name in ["lost+found", ".DS_Store", "._x", "System Volume Information"] {
            try Directory.createAll(bench.path("disk-\(name)/\(name)"))
            _ = try Repository.create(at: bench.path("disk-\(name)"))
        }
        try Directory.createAll(bench.path("used/letters"))
        expect(.invalid) { try Repository.create(at: bench.path("used")) }
    }

    @Test func whichNamesObjectsHave() {
        let hash = String(repeating: "0f", count: 32)
        let good: [(ObjectKind, String)] = [
            (.pack, hash), (.index, hash), (.summary, hash), (.parity, hash), (.ledger, hash),
            (.filter, "\(hash)-\(hash)"), (.manifest, "0000000001-\(hash)"), (.event, "0000000001-\(hash)"),
            (.drill, "20260101000000-\(hash)"),
        ]
        for (kind, name) in good {
            #expect(kind.names(name) && ObjectName(kind, name).contentHash?.hex == hash, "\(kind) \(name)")
            for other in [
                "._\(name)", "\(name).tmp", "\(name.dropLast())", name.uppercased(), " \(name)", "",
            ] {
                #expect(!kind.names(other) && ObjectName(kind, other).contentHash == nil, "\(kind) \(other)")
            }
        }
        #expect(!ObjectKind.pack.names("0000000001-\(hash)") && !ObjectKind.manifest.names(hash))
    }

    /// A name with the largest number there is leaves none for the next snapshot: it is no name of ours.
    @Test func aNumberThatNobodyWasGiven() throws {
        let bench = try CopyBench(copies: 1)
        try bench.backup(bench.files())
        let hash = String(repeating: "ab", count: 32)
        for number in ["18446744073709551614", "18446744073709551615", "1000000000000000"] {
            try Bytes.write([1], to: bench.path("a/manifests/\(number)-\(hash)"))
        }
        let files = bench.files()
        #expect(try bench.backup(files).snapshot.sequence == 2)
        try bench.expectRestores(files, of: "a")
        #expect(try bench.repository("a").storage.strangers(.manifest).count == 3)
        // The last that can be: nothing can follow it, which is said before anything is stored.
        try Bytes.write([1], to: bench.path("a/manifests/999999999999999-\(hash)"))
        let before = try bench.objects("a")
        let error = expect(.corrupt) { try bench.backup(bench.files()) }
        #expect(error?.hint != nil)
        #expect(try bench.objects("a") == before)
    }
}
