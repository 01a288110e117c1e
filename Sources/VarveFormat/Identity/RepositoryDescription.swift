/// `varve.json`: what is the same in all copies of a repository. Written once.
package struct RepositoryDescription: Codable, Hashable, Sendable {
    package static let currentFormat = 1
    package static let fileName = "varve.json"

    package var format: Int
    /// 32 hexadecimal digits.
    package var repository: String
    package var created: Timestamp
    package var parameters: Parameters

    /// What a writer goes by; a reader needs none of it.
    package struct Parameters: Codable, Hashable, Sendable {
        /// Bytes in an extent of a database, a multiple of every page size.
        package var extentSize: UInt32
        /// A pack is published when it has grown to this many bytes.
        package var packSize: UInt32
        /// zstd's level. Level 2 stores 3 % less in the first backup and as much in deltas, for a sixth more
        /// processor time (`Documentation/internals/deltas.md`).
        package var compressionLevel: Int32

        package init(extentSize: UInt32 = 256 << 10, packSize: UInt32 = 16 << 20, compressionLevel: Int32 = 1)
        {
            self.extentSize = extentSize
            self.packSize = packSize
            self.compressionLevel = compressionLevel
        }
    }

    package init(repository: RepositoryID, created: Timestamp, parameters: Parameters) {
        format = Self.currentFormat
        self.repository = repository.description
        self.created = created
        self.parameters = parameters
    }
}

/// `copy.json`: which of the repository's copies this directory is.
package struct CopyDescription: Codable, Hashable, Sendable {
    package static let fileName = "copy.json"

    package var format: Int
    package var repository: String
    /// 32 hexadecimal digits.
    package var copy: String
    package var label: String
    /// `primary` for the first copy of a repository.
    package var role: String

    package init(repository: RepositoryID, copy: RepositoryID, label: String, role: String) {
        format = RepositoryDescription.currentFormat
        self.repository = repository.description
        self.copy = copy.description
        self.label = label
        self.role = role
    }
}

/// `identity.json`: `varve.json` and `copy.json` once more. They are small, and nothing can be read without them.
package struct RepositoryIdentity: Codable, Hashable, Sendable {
    package static let fileName = "identity.json"
    package static let fileNames = [RepositoryDescription.fileName, CopyDescription.fileName, fileName]

    package var description: RepositoryDescription
    package var copy: CopyDescription

    package init(description: RepositoryDescription, copy: CopyDescription) {
        self.description = description
        self.copy = copy
    }
}
