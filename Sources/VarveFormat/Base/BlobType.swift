/// What a blob is for; bound into its id, so that one can never stand in for the other.
package enum BlobType: UInt8, Sendable, CaseIterable {
    /// Bytes of a source file.
    case data = 1
    /// A node of an extent map.
    case map = 2
    /// Reserved for records about the repository itself; nothing writes it yet.
    case metadata = 3

    /// BLAKE2b's personalisation parameter, padded with zeros to 16 bytes.
    package var personalization: String {
        switch self {
        case .data: "varve.data"
        case .map: "varve.map"
        case .metadata: "varve.metadata"
        }
    }
}

/// How a blob's bytes are stored.
package enum BlobEncoding: UInt8, Sendable, CaseIterable {
    /// As they are: they did not compress.
    case raw = 0
    /// One zstd frame.
    case zstd = 1
    /// Against another blob of the same type: see `DeltaPayload`.
    case delta = 2
}
