import VarveFiles
import VarveFormat

/// Databases of other sources by their ids. The same id elsewhere is a copy: of a clone of the environment under
/// another home, or on another host. What such a one has at a place is as good to compare with as an earlier version.
///
/// Looked for when it is first asked, so a backup whose databases are all in its parent pays nothing. Not for use by
/// two threads at once.
package final class RelatedDatabases {
    package struct Found {
        package var file: Manifest.StoredFile
        package var snapshot: SnapshotReference
    }

    /// Of each source the newest snapshot is read, and of no more sources than these: a second at most.
    private static let sourceLimit = 100

    private struct Source: Hashable {
        var host: String
        var home: String?
    }

    private let manifests: ManifestStore
    private var databases: [String: Found]?

    package init(_ repository: Repository) { manifests = repository.manifests }

    /// The newest database of this id in any source's newest snapshot.
    package func find(uid: String) -> Found? {
        let known = databases ?? load()
        databases = known
        return known[uid]
    }

    private func attempt<R>(_ problem: @autoclosure () -> String, _ body: () throws -> R) -> R? {
        Notices.attempt(.remark, manifests.storage.location, problem(), body)
    }

    /// What can't be read is passed over: it would only have saved space.
    private func load() -> [String: Found] {
        var found: [String: Found] = [:]
        var seen: Set<Source> = []
        let summaries =
            attempt("its lists of snapshots can't be read") { try manifests.storedSummaries() } ?? [:]
        let references = attempt("its manifests can't be listed") { try manifests.list() } ?? []
        var left = Self.sourceLimit
        for reference in references.reversed() where left > 0 {
            if let known = summaries[reference], seen.contains(Source(host: known.host, home: known.home)) {
                continue
            }
            left -= 1
            let read = attempt("the manifest of snapshot \(reference) can't be read") {
                try manifests.read(reference)
            }
            guard let manifest = read,
                seen.insert(Source(host: manifest.host, home: manifest.environment?.home)).inserted
            else { continue }
            for file in manifest.files {
                guard let uid = file.database?.uid, found[uid] == nil else { continue }
                found[uid] = Found(file: file, snapshot: reference)
            }
        }
        return found
    }
}
