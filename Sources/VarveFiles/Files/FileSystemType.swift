import CLinux
import VarveFormat

/// The kind of a file system, by the magic number that `statfs` gives.
package struct FileSystemType: RawRepresentable, Sendable, Hashable {
    package let rawValue: Int
    package init(rawValue: Int) { self.rawValue = rawValue }

    /// `XFS_SUPER_MAGIC`: "XFSB".
    package static let xfs = FileSystemType(rawValue: 0x5846_5342)

    /// Bytes that can still be written where the path lies; 0 where that can't be told.
    package static func availableBytes(_ path: String) -> UInt64 { varve_available_bytes(path) }

    /// Bytes of the whole file system that the path lies on; 0 where that can't be told.
    package static func capacityBytes(_ path: String) -> UInt64 { varve_capacity_bytes(path) }

    /// Of the file system that the path lies on.
    package static func of(_ path: String) throws(VarveError) -> FileSystemType {
        FileSystemType(rawValue: try systemCall("statfs", path) { varve_file_system_type(path) })
    }
}
