import Testing
import VarveFormat
import VarveTestSupport

@Suite struct DocumentTests {
    private static let tally: Manifest.Tally = {
        var tally = Manifest.Tally()
        tally.unchanged = .init(count: 30, bytes: 3_932_160)
        tally.whole = .init(count: 1, bytes: 4096, stored: 1000)
        return tally
    }()

    static let manifest = Manifest(
        repository: Parser.repository.description, sequence: 12, previous: "0000000011-\(Parser.id.hex)",
        tool: "varve 1", host: "host", started: Timestamp(seconds: 1, nanoseconds: 5),
        finished: Timestamp(seconds: 1_700_000_000),
        environment: Manifest.Environment(
            home: "/srv/db", mode: .live, envid: 7,
            dataDirectories: [.init(original: "data", restored: "data", configured: true)],
            logDirectory: .init(original: "/logs", restored: "logs", configured: false), encrypted: true,
            registered: true, only: ["a.db"]),
        recovery: Manifest.Recovery(
            firstLog: 3, lastLog: 5, checkpoint: LSN(file: 4, offset: 28),
            checkpointLSN: LSN(file: 3, offset: 100),
            largestPageLSN: nil, endOfLog: LSN(file: 5, offset: 999), recoverableTo: Timestamp(seconds: 5)),
        files: [
            Manifest.StoredFile(
                path: "a.db", kind: .database, size: 4096,
                attributes: Manifest.Attributes(
                    mode: 0o600, user: 1, group: 2, modified: Timestamp(seconds: -1)),
                map: Parser.id.hex,
                database: Manifest.Database(
                    type: "btree", pageSize: 4096, pages: 1, uid: "00", bigEndian: false, checksums: true,
                    encrypted: false, largestLSN: LSN(file: 1, offset: 2)), log: nil,
                tally: tally)
        ], directories: [],
        warnings: [
            Manifest.Warning(code: "page-checksum", message: "m", path: "a.db", page: 1, taints: true)
        ],
        statistics: Manifest.Statistics())

    @Test func manifestsComeBack() throws {
        let json = try JSON.encode(Self.manifest)
        #expect(try JSON.decode(Manifest.self, from: json, what: "m") == Self.manifest)
        #expect(try JSON.encode(Self.manifest) == json)
        #expect(Self.manifest.tainted)
    }

    /// Three numbers each, the empty ones left out; and no trap where they add up to more than there is.
    @Test func talliesAreShort() throws {
        let json = String(decoding: try JSON.encode(Self.tally), as: UTF8.self)
        #expect(json == #"{"unchanged":[30,3932160,0],"whole":[1,4096,1000]}"#)
        var huge = Manifest.Tally()
        huge.whole = .init(count: .max, bytes: .max, stored: .max)
        #expect((huge + huge) == huge && huge.added.stored == .max)
        for text in ["[1,2]", "[1,2,3,4]", "[1,2,-3]"] {
            expect(.corrupt) {
                try JSON.decode(Manifest.Tally.Part.self, from: Array(text.utf8), what: "part")
            }
        }
    }

    @Test func everyTruncationAndFlipThrowsOrShows() throws {
        let json = try JSON.encode(Self.manifest)
        for length in 0..<json.count {
            expect(.corrupt) {
                try JSON.decode(Manifest.self, from: Array(json.prefix(length)), what: "m")
            }
        }
        // A flip in the name of an optional key gives another value: the key is gone.
        for at in json.indices {
            var damaged = json
            damaged[at] ^= 0x01
            let read = try? JSON.decode(Manifest.self, from: damaged, what: "m")
            #expect(read != Self.manifest, "byte \(at)")
        }
    }

    @Test func trailingBytesAreRefused() throws {
        let json = try JSON.encode(Self.manifest)
        for tail in ["x", "{}", "\0"] {
            expect(.corrupt) {
                try JSON.decode(Manifest.self, from: json + Array(tail.utf8), what: "m")
            }
        }
    }

    @Test(
        arguments: [
            "", "2026-05-04T03:02:01", "2026-05-04 03:02:01Z", "2026-13-04T03:02:01Z", "2026-05-04T24:02:01Z",
            "2026-05-04T03:02:01.Z", "2026-05-04T03:02:01.0123456789Z", "2026-02-30T00:00:00Z",
            "2025-02-29T00:00:00Z", "+026-05-04T03:02:01Z", "2026-05-04T03:02:01+00:00",
        ])
    func timesInOtherSpellingsAreRefused(_ text: String) { #expect(Timestamp(text) == nil) }

    @Test func timesComeBack() throws {
        var random = SeededRandom()
        for _ in 0..<2000 {
            let time = Timestamp(
                seconds: Int64.random(in: -62_167_219_200...253_402_300_799, using: &random),
                nanoseconds: UInt32.random(in: 0..<1_000_000_000, using: &random))
            #expect(Timestamp(time.description) == time, "seed \(random.seed)")
        }
        #expect(Timestamp(seconds: 951_782_400).description == "2000-02-29T00:00:00Z")
    }

    @Test func anLSNIsTwoNumbers() throws {
        for text in ["[1]", "[1,2,3]", "[-1,2]", "[1,4294967296]", "{}"] {
            expect(.corrupt) {
                try JSON.decode(LSN.self, from: Array(text.utf8), what: "an LSN")
            }
        }
    }
}
