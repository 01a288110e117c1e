import VarveFiles
import VarveFormat
import VarveStorage

/// A source by its present name, and what there is of it.
package struct SourceFacts: Codable, Sendable {
    package var name: String
    /// Where its snapshots were taken: `host:home`, oldest first, each once.
    package var places: [String]
    package var snapshots: Int
    /// By number.
    package var newest: String
    /// When the newest was taken, by the clock of then.
    package var finished: Timestamp
    /// It is not backed up any more, and nobody is to complain of that.
    package var isArchived: Bool
}

/// The snapshots of a repository by their sources.
package struct SourceList: Sendable {
    /// Oldest first.
    package let summaries: [SnapshotSummary]
    package let catalog: SourceCatalog
    /// Snapshots whose manifests can't be read now, and of which no summary tells the source.
    package let unknown: [SnapshotReference]

    package func name(of summary: SnapshotSummary) -> String { catalog.current(summary.source) }

    /// By name, each with its snapshots, oldest first.
    package var groups: [(name: String, snapshots: [SnapshotSummary])] {
        Dictionary(grouping: summaries) { name(of: $0) }.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
    }

    package func isArchived(_ group: (name: String, snapshots: [SnapshotSummary])) -> Bool {
        catalog.isArchived(group.name, newest: group.snapshots.last?.sequence ?? 0)
    }

    package var facts: [SourceFacts] {
        groups.compactMap { group in
            guard let newest = group.snapshots.last else { return nil }
            var places: [String] = []
            for summary in group.snapshots {
                let place = SourceName.ordinary(host: summary.host, home: summary.home)
                if !places.contains(place) { places.append(place) }
            }
            return SourceFacts(
                name: group.name, places: places, snapshots: group.snapshots.count,
                newest: newest.reference.description, finished: newest.finished,
                isArchived: isArchived(group))
        }
    }

    /// What an environment's snapshot is called: as the person says; else as the environment itself remembers it, if
    /// the repository agrees; else as its last snapshot of the same host and home; else `host:home`.
    ///
    /// What an environment remembers was written by its owner, whom nobody should trust: a name that another home's
    /// snapshots have would make theirs the `latest` ones of a source that is not theirs.
    package func name(
        given: String?, remembered: RememberedSource?, host: String, home: String?
    ) -> Choice {
        if let given {
            let name = catalog.current(given)
            let before = self.name(given: nil, remembered: remembered, host: host, home: home).name
            let isKnown = before != name && summaries.contains { self.name(of: $0) == before }
            return Choice(name: name, earlierName: isKnown ? before : nil)
        }
        if let remembered, remembered.home == home, SourceName.isPossible(remembered.name) {
            let name = catalog.current(remembered.name)
            guard let newest = summaries.last(where: { self.name(of: $0) == name }) else {
                // Another repository has called it so; in this one it may have a name already.
                guard let before = summaries.last(where: { $0.host == host && $0.home == home }) else {
                    return Choice(name: name)
                }
                return Choice(name: self.name(of: before), isOnlyHere: true)
            }
            if newest.home == home {
                return Choice(name: name, earlierHost: newest.host == host ? nil : newest.host)
            }
        }
        if let before = summaries.last(where: { $0.host == host && $0.home == home }) {
            return Choice(name: name(of: before))
        }
        return Choice(name: catalog.current(SourceName.ordinary(host: host, home: home)))
    }

    package struct Choice: Sendable {
        package var name: String
        /// Where it was backed up last, if that is another host.
        package var earlierHost: String?
        /// What its snapshots are called that it has already, if that is something else.
        package var earlierName: String?
        /// In this repository alone: the environment keeps its other name.
        package var isOnlyHere = false
    }
}

extension SourceList.Choice {
    /// What of it a person should hear; none taints.
    package func warnings(on host: String) -> [Manifest.Warning] {
        var warnings: [Manifest.Warning] = []
        if let earlierHost {
            warnings.append(
                Manifest.Warning(
                    code: "host-changed",
                    message:
                        "the environment was on '\(earlierHost)' before and is on '\(host)' now; it stays the source "
                        + "'\(name)' (--source gives it another name)", taints: false))
        }
        if let earlierName {
            warnings.append(
                Manifest.Warning(
                    code: "source-changed",
                    message:
                        "earlier snapshots of this environment are the source '\(earlierName)', this one is "
                        + "'\(name)': 'varve source rename' makes them one, 'varve source archive' ends the complaints "
                        + "about the earlier one", taints: false))
        }
        return warnings
    }
}

extension Repository {
    package var events: EventStore { EventStore(storage: storage, repository: id) }

    package func sources() throws(VarveError) -> SourceList {
        let stored = try manifests.storedSummaries()
        var summaries: [SnapshotSummary] = []
        var unknown: [SnapshotReference] = []
        for reference in try manifests.list() {
            if let summary = stored[reference] {
                summaries.append(summary)
            } else if let manifest = Notices.attempt(
                .remark, "\(ObjectName(.manifest, reference.name))",
                "it can't be read: its source is not known",
                { try manifests.read(reference) })
            {
                summaries.append(SnapshotSummary(manifest, name: reference.hash))
            } else {
                unknown.append(reference)
            }
        }
        return SourceList(summaries: summaries, catalog: try events.catalog(), unknown: unknown)
    }

    /// The snapshot that `text` means: `latest`, a sequence number, or `12-1f2e…` with any number of digits.
    ///
    /// - Parameter source: a name; `latest` is of this source, and needs it where there is more than one that is not
    ///   archived.
    /// - Throws: `.missing` if there is none or several, `.invalid` if it is not said of which source the latest is
    ///   meant, or a snapshot of another source is named.
    package func find(_ text: String, source: String? = nil) throws(VarveError) -> SnapshotReference {
        let all = try manifests.list()
        if all.isEmpty {
            throw VarveError(.missing, "\(path) holds no snapshot yet", hint: "make one with 'varve backup'")
        }
        if text == "latest" { return try latest(source, try sources()) }
        let parts = text.split(separator: "-", maxSplits: 1)
        let matches = all.filter {
            parts.first.flatMap { UInt64($0) } == $0.sequence
                && (parts.count < 2 || $0.hash.hex.hasPrefix(parts[1]))
        }
        guard matches.count == 1 else {
            throw VarveError(
                .missing,
                matches.isEmpty
                    ? "there is no snapshot \(text) in \(path)" : "\(text) means several snapshots",
                hint: "'varve snapshots' lists them; the newest is \(all[all.count - 1])")
        }
        if let source {
            let list = try sources()
            if let summary = list.summaries.first(where: { $0.reference == matches[0] }),
                list.name(of: summary) != list.catalog.current(source)
            {
                throw VarveError(
                    .invalid,
                    "snapshot \(matches[0]) is of the source '\(list.name(of: summary))', not of '\(source)'",
                    hint: "leave --source out, or name a snapshot of that source")
            }
        }
        return matches[0]
    }

    private func latest(_ source: String?, _ list: SourceList) throws(VarveError) -> SnapshotReference {
        let groups = list.groups
        let names = groups.map { "'\($0.name)'" }.joined(separator: ", ")
        if let source {
            let name = list.catalog.current(source)
            guard let group = groups.first(where: { $0.name == name }) else {
                throw VarveError(
                    .missing, "there is no source '\(source)' in \(path)",
                    hint: names.isEmpty
                        ? "'varve snapshots' lists what is there" : "the sources are: \(names)")
            }
            return try newest(of: group.snapshots, list, isOnlyOne: groups.count == 1)
        }
        let living = groups.filter { !list.isArchived($0) }
        let candidates = living.isEmpty ? groups : living
        guard candidates.count <= 1 else {
            let living = candidates.map { "'\($0.name)'" }.joined(separator: ", ")
            throw VarveError(
                .invalid, "\(path) holds \(candidates.count) sources: 'latest' needs --source",
                hint: "add --source NAME; the sources are: \(living)")
        }
        return try newest(of: candidates.first?.snapshots ?? [], list, isOnlyOne: groups.count <= 1)
    }

    /// The last whole one by number, or the last one if all are partial; of those that copies took apart from each other
    /// under one number, the one that ended last by a clock that can have been right.
    private func newest(
        of all: [SnapshotSummary], _ list: SourceList, isOnlyOne: Bool
    ) throws(VarveError) -> SnapshotReference {
        let whole = all.filter { !$0.isPartial }
        let snapshots = whole.isEmpty ? all : whole
        if let unread = list.unknown.last, unread > snapshots.last?.reference ?? unread.before {
            // It is the newest, so it is meant, and what is wrong with it is told by who reads it.
            if isOnlyOne { return unread }
            throw VarveError(
                .corrupt,
                "the manifest of snapshot \(unread), which is newer, can't be read, so its source is not known",
                location: path,
                hint: "run 'varve heal', or name the snapshot by its number ('varve snapshots')")
        }
        guard let last = snapshots.last else {
            throw VarveError(.missing, "\(path) holds no snapshot yet", hint: "make one with 'varve backup'")
        }
        let now = Clock.now()
        let rivals = snapshots.filter { $0.sequence == last.sequence }
        return rivals.max {
            (!$0.finished.isFuture(at: now) ? 1 : 0, $0.finished) < (
                !$1.finished.isFuture(at: now) ? 1 : 0, $1.finished
            )
        }?.reference ?? last.reference
    }
}

extension SnapshotReference {
    fileprivate var before: SnapshotReference { SnapshotReference(sequence: 0, hash: .zero) }
}
