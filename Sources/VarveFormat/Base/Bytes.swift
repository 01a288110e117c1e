/// A bounded reader over bytes that may be damaged or hostile: it throws at the end, it never traps.
///
/// Integers are little-endian unless the name says otherwise. The pointer must outlive the reader.
package struct ByteReader {
    package let bytes: UnsafeRawBufferPointer
    package private(set) var offset: Int
    /// Named in every error: which object is being read.
    package let what: String

    package init(_ bytes: UnsafeRawBufferPointer, what: String) {
        self.bytes = bytes
        self.offset = 0
        self.what = what
    }

    package var remaining: Int { bytes.count - offset }

    /// The next `count` bytes, in place.
    package mutating func take(_ count: Int) throws(VarveError) -> UnsafeRawBufferPointer {
        guard count >= 0 && count <= remaining else {
            throw VarveError(
                .corrupt, "\(what) ends early: \(count) bytes wanted at offset \(offset), \(remaining) left")
        }
        defer { offset += count }
        return UnsafeRawBufferPointer(rebasing: bytes[offset..<offset + count])
    }

    package mutating func integer<T: FixedWidthInteger>(_ type: T.Type = T.self) throws(VarveError) -> T {
        T(littleEndian: try take(MemoryLayout<T>.size).loadUnaligned(as: T.self))
    }

    /// LEB128, at most 32 bits, in the fewest bytes: there is one spelling of each number.
    package mutating func varint() throws(VarveError) -> UInt32 {
        var value: UInt64 = 0
        for shift in stride(from: 0, through: 28, by: 7) {
            let byte: UInt8 = try integer()
            value |= UInt64(byte & 0x7F) << UInt64(shift)
            if byte & 0x80 != 0 { continue }
            guard byte != 0 || shift == 0, value <= UInt64(UInt32.max) else { break }
            return UInt32(value)
        }
        throw VarveError(.corrupt, "\(what) has a number that is not encoded as it should be")
    }

    package mutating func id() throws(VarveError) -> ContentID { ContentID(try take(ContentID.byteCount)) }

    package mutating func skip(_ count: Int) throws(VarveError) { _ = try take(count) }

    /// Throws unless the next bytes are exactly these.
    package mutating func expect(_ magic: [UInt8]) throws(VarveError) {
        guard try take(magic.count).elementsEqual(magic) else {
            throw VarveError(.corrupt, "\(what) has a wrong magic number")
        }
    }

    /// Throws unless the next `count` bytes are zero: reserved room that a later writer may give a meaning.
    package mutating func expectZero(_ count: Int) throws(VarveError) {
        guard try take(count).allSatisfy({ $0 == 0 }) else {
            throw VarveError(.unsupported, "\(what) uses a reserved field: written by a newer version")
        }
    }

    /// Throws if anything is left: trailing bytes mean that reader and writer disagree.
    package func expectEnd() throws(VarveError) {
        guard remaining == 0 else {
            throw VarveError(.corrupt, "\(what) has \(remaining) bytes too many")
        }
    }
}

/// Appends the fields that `ByteReader` reads.
package struct ByteWriter {
    package private(set) var bytes: [UInt8]

    package init(capacity: Int = 0) {
        bytes = []
        bytes.reserveCapacity(capacity)
    }

    /// Keeps the memory.
    package mutating func removeAll() { bytes.removeAll(keepingCapacity: true) }

    package mutating func integer<T: FixedWidthInteger>(_ value: T) {
        Swift.withUnsafeBytes(of: value.littleEndian) { bytes.append(contentsOf: $0) }
    }

    package mutating func varint(_ value: UInt32) {
        var rest = value
        while rest >= 0x80 {
            bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        bytes.append(UInt8(rest))
    }

    package mutating func raw(_ more: some Sequence<UInt8>) { bytes.append(contentsOf: more) }
    package mutating func id(_ id: ContentID) { id.withUnsafeBytes { bytes.append(contentsOf: $0) } }
    package mutating func zeros(_ count: Int) { bytes.append(contentsOf: repeatElement(0, count: count)) }
}
