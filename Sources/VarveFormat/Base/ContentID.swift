/// 32 bytes that name content: the id of a blob, or the name of an immutable object.
///
/// How an id is computed is the business of `VarveCodec.Hasher`; here it is only bytes.
package struct ContentID: Hashable, Comparable, Sendable {
    /// The first eight bytes as a big-endian number, and so on: comparison of words is comparison of bytes.
    @usableFromInline let words: (UInt64, UInt64, UInt64, UInt64)

    package static let byteCount = 32
    package static let zero = ContentID(words: (0, 0, 0, 0))

    @usableFromInline init(words: (UInt64, UInt64, UInt64, UInt64)) { self.words = words }

    /// - Precondition: `bytes.count == 32`; a caller that reads untrusted bytes goes through `ByteReader`.
    package init(_ bytes: UnsafeRawBufferPointer) {
        precondition(bytes.count == Self.byteCount)
        func word(_ index: Int) -> UInt64 {
            bytes.bigEndian(at: index * 8, as: UInt64.self)
        }
        words = (word(0), word(1), word(2), word(3))
    }

    /// Exactly 64 lowercase hexadecimal digits, or nil: ids are file names, so there is one spelling.
    package init?(hex: some StringProtocol) {
        var hex = String(hex)
        guard let id = hex.withUTF8({ ContentID(hexDigits: UnsafeRawBufferPointer($0)) }) else { return nil }
        self = id
    }

    /// The same from the bytes of a name, without a heap allocation: there may be a name for each pack.
    package init?(hexDigits digits: UnsafeRawBufferPointer) {
        guard digits.count == Self.byteCount * 2 else { return nil }
        var words: (UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0)
        for at in digits.indices {
            guard let value = Hex.value(digits[at]) else { return nil }
            switch at >> 4 {
            case 0: words.0 = words.0 << 4 | UInt64(value)
            case 1: words.1 = words.1 << 4 | UInt64(value)
            case 2: words.2 = words.2 << 4 | UInt64(value)
            default: words.3 = words.3 << 4 | UInt64(value)
            }
        }
        self.words = words
    }

    package var hex: String { withUnsafeBytes { Hex.encode($0) } }

    /// Enough of the id to tell it apart for a reader: 12 digits.
    package var short: String { String(hex.prefix(12)) }

    package func withUnsafeBytes<R, E: Error>(_ body: (UnsafeRawBufferPointer) throws(E) -> R) throws(E) -> R
    {
        let stored = (
            words.0.bigEndian, words.1.bigEndian, words.2.bigEndian, words.3.bigEndian
        )
        return try Swift.withUnsafeBytes(of: stored, body)
    }

    /// The first 16 bytes as two big-endian words: what an index entry keeps of an id.
    package var prefix: (UInt64, UInt64) { (words.0, words.1) }

    package static func == (a: ContentID, b: ContentID) -> Bool {
        a.words.0 == b.words.0 && a.words.1 == b.words.1 && a.words.2 == b.words.2 && a.words.3 == b.words.3
    }

    package static func < (a: ContentID, b: ContentID) -> Bool { a.words < b.words }

    package func hash(into hasher: inout Swift.Hasher) { hasher.combine(words.0) }
}

extension ContentID: CustomStringConvertible {
    package var description: String { hex }
}

/// Lowercase hexadecimal, the only spelling that is accepted.
package enum Hex {
    package static func encode(_ bytes: UnsafeRawBufferPointer) -> String {
        String(unsafeUninitializedCapacity: bytes.count * 2) { out in
            for (index, byte) in bytes.enumerated() {
                out[index * 2] = digit(byte >> 4)
                out[index * 2 + 1] = digit(byte & 15)
            }
            return bytes.count * 2
        }
    }

    package static func encode(_ bytes: [UInt8]) -> String { bytes.withUnsafeBytes { encode($0) } }

    package static func decode(_ text: some StringProtocol) -> [UInt8]? {
        let digits = Array(text.utf8)
        guard digits.count % 2 == 0 else { return nil }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(digits.count / 2)
        for index in stride(from: 0, to: digits.count, by: 2) {
            guard let high = value(digits[index]), let low = value(digits[index + 1]) else { return nil }
            bytes.append(high << 4 | low)
        }
        return bytes
    }

    private static func digit(_ nibble: UInt8) -> UInt8 { nibble < 10 ? 48 + nibble : 87 + nibble }

    static func value(_ digit: UInt8) -> UInt8? {
        switch digit {
        case 48...57: digit - 48
        case 97...102: digit - 87
        default: nil
        }
    }
}
