import VarveDatabase
import VarveFiles
import VarveFormat

/// One file of an environment that a backup stores, as it was when the directories were listed.
package struct EnvironmentFile: Sendable, Hashable {
    package enum Role: Sendable, Hashable {
        /// With a meta page of its own; a partition is one too.
        case database(DatabaseHeader)
        /// Pages of a queue, whose header this is.
        case queueExtent(UInt32, DatabaseHeader)
        /// What a transaction left in place of a database that it renames or removes: recovery looks for it.
        case placeholder
        case configuration
    }

    package var role: Role
    /// Absolute.
    package var path: String
    /// What libdb has to be asked for: relative to its data directory, or absolute where another file hides
    /// it.
    package var name: String
    /// Beneath a restored home.
    package var restored: String
    package var status: FileStatus
    /// The restored path of the queue or partitioned database that it is a part of.
    package var owner: String?
    /// The restored path where it belongs, if another database was delivered for that one.
    package var place: String?

    package var header: DatabaseHeader? {
        switch role {
        case .database(let header), .queueExtent(_, let header): header
        case .placeholder, .configuration: nil
        }
    }

    /// As it is announced to a sink.
    package var source: SourceFile {
        let kind: Manifest.StoredFile.Kind =
            switch role {
            case .database, .queueExtent: .database
            case .placeholder: .other
            case .configuration: .configuration
            }
        var uid: String?
        if case .database(let header) = role { uid = header.fileID }
        return SourceFile(
            path: restored, kind: kind, attributes: status.attributes, unit: UInt32(header?.pageSize ?? 1),
            expectedSize: status.size, uid: uid)
    }
}
