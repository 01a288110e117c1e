import VarveCodec
import VarveFiles
import VarveFormat

/// A small JSON file that people read in place and in which every flipped bit shows: its bytes must be exactly what
/// encoding its value gives, and `seal` is the BLAKE2b-256 of the document without it.
package enum ChecksummedDocument {
    private struct Sealed<Value: Codable>: Codable, CheckedDocument {
        var document: Value
        var seal: String

        func check() throws { try (document as? any CheckedDocument)?.check() }
    }

    private static let hint = "'varve heal', with -r for a copy that is good, writes it anew"

    package static func write(_ value: some Codable, to name: String, in root: RootDirectory) throws {
        try Publication.replace(name, in: root, with: try encode(value), mode: 0o400)
    }

    /// - Throws: `.corrupt` if it is missing or damaged, or no file; `.unreadable` if this process may not read it.
    static func read<Value: Codable>(
        _ type: Value.Type, from name: String, in root: RootDirectory
    ) throws -> Value {
        let path = Path.join(root.path, name)
        let bytes: [UInt8]
        do {
            bytes = try root.open(reading: name).readAll(limit: 1 << 20)
        } catch let error as VarveError where error.isNoEntry {
            throw VarveError(
                .corrupt, "\(Path.name(path)) is missing", location: path,
                hint: hint)
        } catch let error as VarveError where error.isOfAnotherKind {
            throw VarveError(
                .corrupt, "\(Path.name(path)) is no file: \(error.message)", location: path, hint: hint)
        } catch let error as VarveError where error.isAccess {
            throw error.unreadable(Path.name(path))
        }
        let sealed = try JSON.decode(Sealed<Value>.self, from: bytes, what: path)
        guard try encode(sealed.document) == bytes else {
            throw VarveError(
                .corrupt, "\(Path.name(path)) was changed or damaged: its seal does not match",
                location: path,
                hint: hint)
        }
        return sealed.document
    }

    /// In a directory that the user named.
    package static func write(_ value: some Codable, to path: String) throws {
        try write(value, to: Path.name(path), in: RootDirectory(Path.parent(path)))
    }

    package static func read<Value: Codable>(_ type: Value.Type, from path: String) throws -> Value {
        try read(type, from: Path.name(path), in: RootDirectory(Path.parent(path)))
    }

    private static func encode(_ value: some Codable) throws -> [UInt8] {
        let seal = try JSON.encode(value).withUnsafeBytes { Hasher.name(of: $0).hex }
        return try JSON.encode(Sealed(document: value, seal: seal), indented: true) + [UInt8(ascii: "\n")]
    }
}
