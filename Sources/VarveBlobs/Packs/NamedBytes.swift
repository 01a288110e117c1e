import VarveCodec
import VarveFormat
import VarveStorage

/// That an object's bytes are what its name says: the one place where the two are compared for one object at a time. Where
/// many are read, `Hasher.names` hashes several side by side.
package enum NamedBytes {
    /// A small object, read as a whole.
    ///
    /// - Parameter what: the subject of the sentence where they are not.
    /// - Throws: `.corrupt` if they are not, and what `readAll` throws.
    package static func read(
        _ object: ObjectName, in storage: any Storage, limit: Int, what: String = "it", hint: String? = nil
    ) throws(VarveError) -> [UInt8] {
        let bytes = try storage.readAll(object, limit: limit)
        guard bytes.withUnsafeBytes({ Hasher.name(of: $0) }) == object.contentHash else {
            throw mismatch(what, "\(storage.location)/\(object)", hint)
        }
        return bytes
    }

    /// An object of any size, read once and in pieces.
    ///
    /// - Throws: `.corrupt` if they are not, and what reading throws.
    package static func require(_ source: any ByteSource, _ name: ContentID?) throws(VarveError) {
        var hasher = Hasher()
        try source.forEachPiece { hasher.update($0) }
        if hasher.finish() != name { throw mismatch("it", nil, nil) }
    }

    private static func mismatch(_ what: String, _ place: String?, _ hint: String?) -> VarveError {
        VarveError(
            .corrupt, "\(what) is damaged: its bytes do not match its name", location: place, hint: hint)
    }
}
