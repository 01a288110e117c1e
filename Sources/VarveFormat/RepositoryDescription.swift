/// `varve.json`: what is the same in all copies of a repository. Written once.
public struct RepositoryDescription: Codable, Hashable, Sendable {
    public static let currentFormat = 1
    public static let fileName = "varve.json"

    public var format: Int
    /// 32 hexadecimal digits.
    public var repository: String
    public var created: Timestamp
    public var parameters: Parameters

    /// What a writer goes by; a reader needs none of it.
    public struct Parameters: Codable, Hashable, Sendable {
        /// Bytes in an extent of a database, a multiple of every page size.
        public var extentSize: UInt32
        /// A pack is published when it has grown to this many bytes.
        public var packSize: UInt32
        /// zstd's level. Level 2 stores 3 % less in the first backup and as much in deltas, for a sixth more
        /// processor time (`Documentation/internals/deltas.md`).
        public var compressionLevel: Int32

        public init(extentSize: UInt32 = 256 << 10, packSize: UInt32 = 16 << 20, compressionLevel: Int32 = 1)
        {
            self.extentSize = extentSize
            self.packSize = packSize
            self.compressionLevel = compressionLevel
        }
    }

    public init(repository: RepositoryID, created: Timestamp, parameters: Parameters) {
        format = Self.currentFormat
        self.repository = repository.description
        self.created = created
        self.parameters = parameters
    }
}

/// `copy.json`: which of the repository's copies this directory is.
public struct CopyDescription: Codable, Hashable, Sendable {
    public static let fileName = "copy.json"

    public var format: Int
    public var repository: String
    /// 32 hexadecimal digits.
    public var copy: String
    public var label: String
    /// `primary` for the first copy of a repository.
    public var role: String

    public init(repository: RepositoryID, copy: RepositoryID, label: String, role: String) {
        format = RepositoryDescription.currentFormat
        self.repository = repository.description
        self.copy = copy.description
        self.label = label
        self.role = role
    }
}

/// `identity.json`: `varve.json` and `copy.json` once more. They are small, and nothing can be read without them.
public struct RepositoryIdentity: Codable, Hashable, Sendable {
    public static let fileName = "identity.json"
    public static let fileNames = [RepositoryDescription.fileName, CopyDescription.fileName, fileName]

    public var description: RepositoryDescription
    public var copy: CopyDescription

    public init(description: RepositoryDescription, copy: CopyDescription) {
        self.description = description
        self.copy = copy
    }
}
