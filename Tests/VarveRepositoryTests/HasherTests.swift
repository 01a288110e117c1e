import CBlake2
import Foundation
import Testing
import VarveCodec
import VarveFiles
import VarveFormat
import VarveTestSupport

@Suite struct HasherTests {
    /// Input length, then the hash without personalisation, for `data`, `map` and `metadata`. Made by:
    /// ```
    /// python3 -c 'import hashlib
    /// def seq(n):
    ///     a, b, out = 0xDEAD4BAD * n & 0xFFFFFFFF, 1, bytearray()
    ///     for _ in range(n):
    ///         t = a + b & 0xFFFFFFFF; a = b; b = t; out.append(t >> 24)
    ///     return bytes(out)
    /// for n in (0, 3, 128, 129, 255, 1024):
    ///     for p in (b"", b"varve.data", b"varve.map", b"varve.metadata"):
    ///         print(n, hashlib.blake2b(seq(n), digest_size=32, person=p).hexdigest())'
    /// ```
    /// The inputs are those of the self-test in RFC 7693, appendix E.
    static let vectors: [(Int, [String])] = [
        (
            0,
            [
                "0e5751c026e543b2e8ab2eb06099daa1d1e5df47778f7787faab45cdf12fe3a8",
                "2f6bcb906bf80dbc769ed86110572c71753fa7ff6d0fc1407bb5a0b9902e6227",
                "c0ca5659654e42f99718cd6bae00e580f852fb16b479e7e02d137c3ba56c3d5d",
                "1d18fc771fc5933aeca3d8c3ad94f7610b75b6d63cc1d6af3fdb682cb97a8710",
            ]
        ),
        (
            3,
            [
                "c6fcb3c3542e65f2db9a75aca089bfe3ff63e5b3889f65bf1d2da61964710782",
                "8c5775e9c31258b145c690e44eadfdb81461cef8c80d1fddedb00edbe0aff940",
                "fcc2c6be58e8de1306f142ad9e468887472d1f2d54b77cafe5d6d60d07294185",
                "a1b7afff2da28651e768316cceb9129e67f87faef4c91fd9c39b3218abe1ddd8",
            ]
        ),
        (
            128,
            [
                "9f51dad780c3c7f1915262e80ccbd443a91e5c5c97e8127f9c9f8536aec85960",
                "43cc91e1336f179d05840e1907e6c8d02b3f64082825d37d0aaece1e699e509e",
                "b1c69a8abfe09016e024c8be6aa4477e04966ac1344019496b95097eea48285e",
                "71bc0648f8157bae2ebd420d631d26f19c9b3d3f66ae1e7bf59240e9e1152574",
            ]
        ),
        (
            129,
            [
                "5a9585ea35499d7d883d3a22eed1d3ebc46c1b1937d479b8be92b358c3eed78e",
                "453cf5c055771cc4de18b426a089ee9bc7920fae85bea8d04a84738eb115480b",
                "9cb32293820de3e5ad05901d3998a4df3c2cee938ef4863f5e0691000da4151c",
                "f7bfe9ba225e1a42fd8ca2241ae54aeca0abbfd8675b98cf05443b2035608ed1",
            ]
        ),
        (
            255,
            [
                "517f6f8c5afea55f1c27cb8cdb4ff015c9602a550ba3080e5ac32796931711d3",
                "8ddd51c3c8b37164ce115e21f7db63d15e169d811ed0fe090f759eb2b28f9244",
                "bed12246e778d3415965cb9481778df7bf0a9e221660edc860bef2ce6ddd2c6f",
                "17562fc2fbbd9fdd3d7daa816693ba0d33843806f74627cd4133570dac3f05d0",
            ]
        ),
        (
            1024,
            [
                "a001b41dd6bfcb13c73bf83a1fe5c881d49476163e472906c200375d8482b004",
                "f5844a7fe3f024a785dc850819c005490bdb5b654ff13e9daa6455a6080a8a48",
                "be1ceecbc8d78bee50495a0057bd08aee170a3b75bb134257798a3676c9dceb5",
                "1115326bf55fa5f5680d921191feff4bee609e461ecf799e787beaae045a7272",
            ]
        ),
    ]

    /// RFC 7693, appendix E, `selftest_seq`.
    static func sequence(_ count: Int) -> [UInt8] {
        var (a, b) = (0xDEAD_4BAD &* UInt32(count), UInt32(1))
        return (0..<count).map { _ in
            let next = a &+ b
            (a, b) = (b, next)
            return UInt8(next >> 24)
        }
    }

    @Test(arguments: vectors) func hashlibAgrees(_ count: Int, _ expected: [String]) {
        let input = Self.sequence(count)
        input.withUnsafeBytes { input in
            #expect(Hasher.name(of: input).hex == expected[0])
            for (type, hash) in zip([BlobType.data, .map, .metadata], expected.dropFirst()) {
                #expect(Hasher.id(of: input, type).hex == hash)
            }
        }
    }

    /// RFC 7693, appendix A, through the same library.
    @Test func theLibraryIsBlake2b() {
        var hash = [UInt8](repeating: 0, count: 64)
        blake2b(&hash, Array("abc".utf8), nil, 64, 3, 0)
        #expect(
            Hex.encode(hash) == "ba80a53f981c4d0d6a2797b69f12f6e94c212f14685ac4b74b12bb6fdbffa2d1"
                + "7d87c5392aab792dc252d5de4533cc9518d38aa8dbf1925ab92386edd4009923")
    }

    /// RFC 7693, appendix E: the hash of hashes, keyed and not, of the four lengths.
    @Test func theLibraryPassesTheSelfTest() {
        var all: [UInt8] = []
        for length in [20, 32, 48, 64] {
            for count in [0, 3, 128, 129, 255, 1024] {
                var hash = [UInt8](repeating: 0, count: length)
                blake2b(&hash, Self.sequence(count), nil, length, count, 0)
                all += hash
                blake2b(&hash, Self.sequence(count), Self.sequence(length), length, count, length)
                all += hash
            }
        }
        #expect(
            all.withUnsafeBytes { Hasher.name(of: $0).hex }
                == "c23a7800d98123bd10f506c61e29da5603d763b8bbad2e737f5e765a7bccd475")
    }

    @Test func piecesAreTheWhole() {
        var random = SeededRandom()
        let bytes = random.bytes(5000)
        let whole = bytes.withUnsafeBytes { Hasher.name(of: $0) }
        for _ in 0..<50 {
            var hasher = Hasher()
            var rest = bytes[...]
            while !rest.isEmpty {
                let piece = Array(rest.prefix(Int.random(in: 0...700, using: &random)))
                piece.withUnsafeBytes { hasher.update($0) }
                rest = rest.dropFirst(piece.count)
            }
            #expect(hasher.finish() == whole, "seed \(random.seed)")
        }
    }

    /// A pack's name is what the standard tool prints.
    @Test func b2sumAgreesWithAPacksName() throws {
        let directory = try TemporaryDirectory()
        let repository = try GoldenRepository.create(at: directory.path)
        let packs = try TestRepository.packs(repository)
        try #require(packs.count == 1)
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = ["b2sum", "-l", "256", directory.join("packs/\(packs[0].prefix(2))/\(packs[0])")]
        let output = Foundation.Pipe()
        process.standardOutput = output
        try process.run()
        let printed = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        try #require(process.terminationStatus == 0, "b2sum (coreutils) is needed")
        #expect(printed.prefix(64) == packs[0])
    }
}
