import VarveCodec
import VarveFiles
import VarveFormat
import VarveRepository
import VarveStorage

/// Repositories with what `Repository.create` does not let a user choose: their id, and extents so small that a few
/// kilobytes make a deep map.
package enum TestRepository {
    package static let id = RepositoryID(Array(0..<16))
    private static let copy = RepositoryID(Array(repeating: 0xC0, count: 16))

    private struct Checksummed<Value: Encodable>: Encodable {
        var document: Value
        var seal: String
    }

    package static func create(
        at path: String, extentSize: UInt32 = 512, packSize: UInt32 = 1 << 20, level: Int32 = 3,
        label: String = "test"
    ) throws(VarveError) -> Repository {
        try Directory.createAll(path)
        try DirectoryStorage.create(at: path)
        let parameters = RepositoryDescription.Parameters(
            extentSize: extentSize, packSize: packSize, compressionLevel: level)
        let created = Timestamp(seconds: 1_700_000_000)
        try write(
            RepositoryDescription(repository: id, created: created, parameters: parameters),
            to: Path.join(path, RepositoryDescription.fileName))
        try write(
            CopyDescription(repository: id, copy: copy, label: label, role: "primary"),
            to: Path.join(path, CopyDescription.fileName))
        return try Repository.open(path)
    }

    /// As `Documentation/internals/format.md` describes such a document, written here a second time on purpose.
    private static func write(_ value: some Encodable, to path: String) throws(VarveError) {
        let seal = try JSON.encode(value).withUnsafeBytes { Hasher.name(of: $0).hex }
        let bytes = try JSON.encode(Checksummed(document: value, seal: seal), indented: true)
        try Bytes.write(bytes + [UInt8(ascii: "\n")], to: path)
    }

    /// Makes the directories that Git does not keep because they are empty.
    package static func completeDirectories(of path: String) throws(VarveError) {
        try DirectoryStorage.create(at: path)
    }

    package static func packs(_ repository: Repository) throws(VarveError) -> [String] {
        try DirectoryStorage(repository.path).list(.pack)
    }
}
