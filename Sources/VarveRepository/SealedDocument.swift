import VarveCodec
import VarveFiles
import VarveFormat

/// A small JSON file that people read in place and in which every flipped bit shows: its bytes must be exactly what
/// encoding its value gives, and `seal` is the BLAKE2b-256 of the document without it.
enum SealedDocument {
    private struct Sealed<Value: Codable>: Codable {
        var document: Value
        var seal: String
    }

    private static let hint = "'varve heal', with -r for a copy that is good, writes it anew"

    static func write(_ value: some Codable, to path: String) throws {
        try Publication.replace(path, with: try encode(value), mode: 0o400)
    }

    static func read<Value: Codable>(_ type: Value.Type, from path: String) throws -> Value {
        let file: File
        do {
            file = try File.open(reading: path)
        } catch let error as VarveError where error.isNoEntry {
            throw VarveError(
                .corrupt, "\(Path.name(path)) is missing", location: path,
                hint: hint)
        }
        let bytes = try file.readAll(limit: 1 << 20)
        let sealed = try JSON.decode(Sealed<Value>.self, from: bytes, what: path)
        guard try encode(sealed.document) == bytes else {
            throw VarveError(
                .corrupt, "\(Path.name(path)) was changed or damaged: its seal does not match",
                location: path,
                hint: hint)
        }
        return sealed.document
    }

    private static func encode(_ value: some Codable) throws -> [UInt8] {
        let seal = try JSON.encode(value).withUnsafeBytes { Hasher.name(of: $0).hex }
        return try JSON.encode(Sealed(document: value, seal: seal), indented: true) + [UInt8(ascii: "\n")]
    }
}
