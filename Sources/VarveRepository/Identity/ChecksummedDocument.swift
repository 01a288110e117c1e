import VarveCodec
import VarveFiles
import VarveFormat
import VarveStorage

/// A small JSON file that people read in place and in which every flipped bit shows: its bytes must be exactly what
/// encoding its value gives, and its checksum is the BLAKE2b-256 of the document alone. The checksum's key is `seal`.
package enum ChecksummedDocument {
    private struct Checksummed<Value: Codable>: Codable, CheckedDocument {
        var document: Value
        var checksum: String

        private enum CodingKeys: String, CodingKey {
            case document
            case checksum = "seal"
        }

        func check() throws(VarveError) { try (document as? any CheckedDocument)?.check() }
    }

    private static let hint = "run 'varve heal -r PATH' with the path of a good copy"

    package static func write(
        _ value: some Codable, to name: String, in storage: any CopyStorage
    ) throws(VarveError) { try storage.replaceDocument(name, with: try encode(value)) }

    /// - Throws: `.corrupt` if it is missing or damaged, or no file; `.unreadable` if this process may not read it.
    package static func read<Value: Codable>(
        _ type: Value.Type, from name: String, in storage: any CopyStorage
    ) throws(VarveError) -> Value {
        guard let value = try readIfThere(type, from: name, in: storage) else {
            throw VarveError(
                .corrupt, "\(Path.name(name)) is missing", location: Path.join(storage.location, name),
                hint: hint)
        }
        return value
    }

    /// Nil if there is none.
    ///
    /// - Throws: as `read`.
    package static func readIfThere<Value: Codable>(
        _ type: Value.Type, from name: String, in storage: any CopyStorage
    ) throws(VarveError) -> Value? {
        let path = Path.join(storage.location, name)
        let bytes: [UInt8]
        do {
            guard let found = try storage.readDocument(name) else { return nil }
            bytes = found
        } catch let error where error.isOfAnotherKind {
            throw VarveError(
                .corrupt, "\(Path.name(path)) is no file: \(error.message)", location: path, hint: hint)
        } catch let error where error.isAccess {
            throw error.unreadable(Path.name(path))
        }
        let decoded = try JSON.decode(Checksummed<Value>.self, from: bytes, what: path)
        guard try encode(decoded.document) == bytes else {
            throw VarveError(
                .corrupt, "\(Path.name(path)) was changed or damaged: its checksum does not match",
                location: path,
                hint: hint)
        }
        return decoded.document
    }

    private static func encode(_ value: some Codable) throws(VarveError) -> [UInt8] {
        let checksum = try JSON.encode(value).withUnsafeBytes { Hasher.name(of: $0).hex }
        return try JSON.encode(Checksummed(document: value, checksum: checksum), indented: true) + [
            UInt8(ascii: "\n")
        ]
    }
}
