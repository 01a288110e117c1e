import VarveBlobs
import VarveCodec
import VarveFormat
import VarveRepository
import VarveStorage
import VarveTestSupport

/// The name that an object of these bytes has.
func hash(_ bytes: UnsafeRawBufferPointer) -> String { Hasher.name(of: bytes).hex }

func dataID(_ bytes: [UInt8]) -> ContentID { bytes.withUnsafeBytes { Hasher.id(of: $0, .data) } }

extension Repository {
    /// A reader that knows nothing yet.
    func reader() throws -> BlobReader {
        BlobReader(index: try openIndex(), storage: DirectoryStorage(path))
    }

    func path(ofPack name: String) -> String { "\(path)/packs/\(name.prefix(2))/\(name)" }
}
