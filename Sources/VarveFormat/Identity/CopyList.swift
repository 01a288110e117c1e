/// `copies.json`: the records of the other copies once more, as they were when one was added, moved or forgotten. A witness for
/// where `copies/` is lost: a repository must not forget without a word that it has other copies.
package struct CopyList: Codable, Hashable, Sendable {
    package static let fileName = "copies.json"

    package var format: Int
    package var repository: String
    /// By their ids.
    package var copies: [CopyRecord]

    package init(repository: String, copies: [CopyRecord]) {
        format = RepositoryDescription.currentFormat
        self.repository = repository
        self.copies = copies.sorted { $0.copy < $1.copy }
    }

    /// Whether both name the same copies, at the same places: what else a record says changes with each backup.
    package func names(_ other: CopyList) -> Bool {
        func facts(_ list: CopyList) -> [[String]] {
            list.copies.map { [$0.copy, $0.label, $0.role, $0.path, $0.removed == nil ? "" : "removed"] }
        }
        return facts(self) == facts(other)
    }
}
