extension Manifest {
    /// What lies in an environment's directories and is not in the snapshot, but for what libdb makes anew or what no
    /// recovery needs: regions, older logs, its temporary files.
    package struct Omissions: Codable, Hashable, Sendable {
        package struct Entry: Codable, Hashable, Sendable {
            /// Relative to the home; absolute where it is not in it. A directory stands for all that is in it.
            package var path: String
            /// A word for programs, see `Kind`; a later varve may write others.
            package var kind: String

            package init(path: String, kind: String) {
                self.path = path
                self.kind = kind
            }
        }

        package enum Kind: String, Sendable, CaseIterable {
            /// A database that was not asked for (`--only`); its queue extents and partitions are not listed.
            case database
            /// No database.
            case file
            /// Nothing in it is stored.
            case directory
            /// Another environment's home.
            case environment
            /// A symbolic link that leads nowhere, out of the environment, or to a file that is no database.
            case link
            /// A socket, a FIFO or a device.
            case special
        }

        /// Entries beyond so many are counted, and not listed.
        package static let limit = 1000

        package var count: UInt64
        /// The first ones.
        package var entries: [Entry]

        /// - Parameter uncounted: further ones of which nothing else is known.
        package init(_ entries: [Entry], uncounted: Int = 0) {
            count = UInt64(entries.count + uncounted)
            self.entries = Array(entries.prefix(Self.limit))
        }

        /// Without what was stored in the end; nil if nothing is left.
        package func without(_ stored: Set<String>) -> Omissions? {
            var others = self
            others.entries.removeAll { stored.contains($0.path) }
            others.count -= UInt64(entries.count - others.entries.count)
            return others.count == 0 ? nil : others
        }
    }
}
