/// A snapshot by its manifest's name, `0000000012-<hash of the stored bytes>`; events have names of the same form, and
/// their numbers are from the same series.
package struct SnapshotReference: Hashable, Comparable, Sendable, CustomStringConvertible {
    /// No copy comes near: one a second takes 30 million years. A name with a larger number is no snapshot's: somebody
    /// made it up, so that no number is left for the next one.
    package static let maximumSequence: UInt64 = 999_999_999_999_999

    package var sequence: UInt64
    package var hash: ContentID

    package init(sequence: UInt64, hash: ContentID) {
        self.sequence = sequence
        self.hash = hash
    }

    /// Nil unless the name is spelled exactly as `name` spells it.
    package init?(name: String) {
        var name = name
        guard let parsed = name.withUTF8({ SnapshotReference(nameBytes: UnsafeRawBufferPointer($0)) }) else {
            return nil
        }
        self = parsed
    }

    /// The same from the bytes of a name.
    package init?(nameBytes name: UnsafeRawBufferPointer) {
        let digits = name.prefix { $0 != UInt8(ascii: "-") }
        // Ten digits at least, and not one zero more than that takes.
        guard digits.count >= 10, digits.count == 10 || digits.first != UInt8(ascii: "0"),
            digits.count <= 15, digits.count < name.count
        else { return nil }
        var sequence: UInt64 = 0
        for digit in digits {
            guard digit >= UInt8(ascii: "0"), digit <= UInt8(ascii: "9") else { return nil }
            sequence = sequence * 10 + UInt64(digit - UInt8(ascii: "0"))
        }
        let hash = UnsafeRawBufferPointer(rebasing: name[(digits.count + 1)...])
        guard sequence <= Self.maximumSequence, let hash = ContentID(hexDigits: hash) else { return nil }
        self.init(sequence: sequence, hash: hash)
    }

    package var name: String {
        let digits = String(sequence)
        return String(repeating: "0", count: max(0, 10 - digits.count)) + digits + "-" + hash.hex
    }

    /// What people type: the number and the first digits of the hash.
    package var description: String { "\(sequence)-\(hash.hex.prefix(8))" }

    package static func < (a: SnapshotReference, b: SnapshotReference) -> Bool {
        (a.sequence, a.hash) < (b.sequence, b.hash)
    }
}
