import VarveBlobs
import VarveFiles
import VarveFormat
import VarveRepository
import VarveStorage
import VarveTestSupport

/// A repository with an index of so many blobs, made as a writer makes it: packs are noted one by one, tables are
/// flushed and merged. The packs are there, and empty.
enum Generator {
    /// Extents of 128 KiB that compress to 37 KB, in packs of 16 MiB.
    static let blobsPerPack = 453
    private static let blobLength = 37_000

    /// The id of blob `number`; what lies beyond the number of blobs is in no pack.
    static func id(_ number: Int) -> ContentID {
        var random = SeededRandom(seed: UInt64(bitPattern: Int64(number)) &* 0xd134_2543_de82_ef95)
        var writer = ByteWriter(capacity: ContentID.byteCount)
        for _ in 0..<4 { writer.integer(random.next()) }
        return writer.bytes.withUnsafeBytes { ContentID($0) }
    }

    static func make(at path: String, entries: Int) throws {
        let repository = try Repository.create(at: path)
        // Larger steps than a backup takes, so that a hundred million come in minutes; what is left is the same.
        let index = try RepositoryIndex(
            storage: repository.storage, repository: repository.id, isWriter: true,
            limit: max(RepositoryIndex.defaultLimit, entries / 256))
        for first in stride(from: 0, to: entries, by: blobsPerPack) {
            let pack = id(-1 - first)
            try File.create(repository.storage.path(of: ObjectName(.pack, pack)), mode: 0o400).close()
            let blobs = (first..<min(first + blobsPerPack, entries)).map { number in
                Pack.Entry(
                    offset: UInt32(Pack.headerLength + (number - first) * blobLength),
                    header: Pack.BlobHeader(
                        id: id(number), type: .data, encoding: .zstd,
                        storedLength: blobLength - Pack.BlobHeader.minimumLength, decodedLength: 131_072))
            }
            try index.add(pack: pack, entries: blobs)
        }
        try index.flush()
    }
}
