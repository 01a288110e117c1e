extension Manifest.StoredFile {
    /// Which file was read, and when: by this a later backup tells that it can't have changed since.
    ///
    /// Times are those of the source's clock.
    package struct FileIdentity: Codable, Hashable, Sendable {
        package var device: UInt64
        package var inode: UInt64
        /// In bytes, as `stat` told it.
        package var size: UInt64
        package var modified: Timestamp
        /// The inode's: nobody can set it.
        package var changed: Timestamp
        /// Reading began after this moment.
        package var read: Timestamp
        /// Seconds: times that are not older than this before `read` could be those of a later change as well.
        package var margin: UInt32
        /// One mounting of one file system in one run of the machine; nil where it can't be told.
        package var mounting: String?

        package init(
            device: UInt64, inode: UInt64, size: UInt64, modified: Timestamp, changed: Timestamp,
            read: Timestamp,
            margin: UInt32, mounting: String?
        ) {
            self.device = device
            self.inode = inode
            self.size = size
            self.modified = modified
            self.changed = changed
            self.read = read
            self.margin = margin
            self.mounting = mounting
        }
    }
}
