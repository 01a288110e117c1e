import VarveFiles
import VarveFormat
import VarveRepository
import VarveStorage

/// Changes of what sources are called, written to every copy that is there.
package struct SourceRegistry: Sendable {
    package struct Report: Codable, Sendable {
        package struct Unheard: Codable, Sendable {
            package var label: String
            package var reason: String
        }

        /// `events/<name>`
        package var events: [String]
        /// Another source had the name.
        package var merged: Bool
        /// Copies that are away, locked, or may not be written to: `copy sync` brings it to them.
        package var unheard: [Unheard]
    }

    private let copies: RepositoryCopies
    private let tool: String

    package init(_ copies: RepositoryCopies, tool: String) {
        self.copies = copies
        self.tool = tool
    }

    /// - Throws: `.missing` if there is no such source, `.invalid` for a name that can't be.
    package func rename(_ from: String, to: String) throws(VarveError) -> Report {
        try SourceName.check(to)
        return try publish { (list) throws(VarveError) in
            let groups = list.groups
            let known = try Self.find(from, groups, list)
            guard known.name != to else {
                throw VarveError(.invalid, "'\(from)' is called '\(to)' already", hint: "'varve source list'")
            }
            let other = groups.first { $0.name == to }
            var changes = [Change(kind: .renameSource, rename: .init(from: known.name, to: to))]
            if let other, list.isArchived(known) != list.isArchived(other) {
                changes.append(Change(kind: .archiveSource, archive: .init(source: to, through: 0)))
            }
            return (changes, other != nil)
        }
    }

    /// - Throws: `.missing` if there is no such source.
    package func archive(_ source: String, undo: Bool = false) throws(VarveError) -> Report {
        try publish { (list) throws(VarveError) in
            let known = try Self.find(source, list.groups, list)
            let newest = known.snapshots.last?.sequence ?? 0
            let archive = Event.Archive(source: known.name, through: undo ? 0 : newest)
            return ([Change(kind: .archiveSource, archive: archive)], false)
        }
    }

    private struct Change {
        var kind: Event.Kind
        var rename: Event.Rename?
        var archive: Event.Archive?
    }

    private typealias Group = (name: String, snapshots: [SnapshotSummary])

    private static func find(_ name: String, _ groups: [Group], _ list: SourceList) throws(VarveError)
        -> Group
    {
        let current = list.catalog.current(name)
        if let group = groups.first(where: { $0.name == current }) { return group }
        let names = groups.map { "'\($0.name)'" }.joined(separator: ", ")
        throw VarveError(
            .missing, "there is no source '\(name)'",
            hint: names.isEmpty ? "there is no snapshot yet" : "the sources are: \(names)")
    }

    /// The named copy has it when this returns; the others, or it is told why not.
    private func publish(_ decide: (SourceList) throws(VarveError) -> (changes: [Change], merged: Bool))
        throws(VarveError) -> Report
    {
        let named = try copies.copies[0].writable()
        let lock = try WriterLock(named)
        defer { withExtendedLifetime(lock) {} }
        try named.storage.removeTemporaryFiles()
        let (changes, merged) = try decide(try named.sources())
        var report = Report(events: [], merged: merged, unheard: [])
        var published: [Event] = []
        for change in changes {
            let heads = [try named.manifests.list().last, try named.events.list().last].compactMap {
                $0?.name
            }
            let event = Event(
                repository: named.id.description,
                sequence: try RepositoryWriter.nextSequence(in: named.storage), previous: heads.sorted(),
                kind: change.kind, time: Clock.now(), host: Host.name, tool: tool, rename: change.rename,
                archive: change.archive)
            let name = try named.events.publish(event).name
            report.events.append("events/\(name)")
            published.append(event)
        }
        let all = published
        for copy in copies.copies.dropFirst() {
            do {
                let repository = try copy.writable()
                let done: Void? = try within(seconds: 20) { () throws(VarveError) in
                    let lock = try WriterLock(repository)
                    defer { withExtendedLifetime(lock) {} }
                    for event in all { try repository.events.publish(event) }
                }
                if done == nil { throw VarveError(.hung, "the disk does not answer") }
            } catch {
                report.unheard.append(.init(label: copy.record.label, reason: "\(error)"))
            }
        }
        return report
    }
}
