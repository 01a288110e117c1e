/// What a person means by an environment that is backed up again and again: a name.
package enum SourceName {
    /// A host's name and a path make the longest.
    package static let maximumLength = 4400

    /// The name of an environment that nobody gave one.
    package static func ordinary(host: String, home: String?) -> String { "\(host):\(home ?? "-")" }

    /// - Throws: `.invalid` if nobody could type or read the name.
    package static func check(_ name: String) throws(VarveError) {
        guard isPossible(name) else {
            throw VarveError(
                .invalid, "a source can't be called '\(name.prefix(60))'",
                hint:
                    "1 to \(maximumLength) bytes, no control characters, no space or '-' at the beginning, no space at "
                    + "the end")
        }
    }

    package static func isPossible(_ name: String) -> Bool {
        guard (1...maximumLength).contains(name.utf8.count), name.first != "-", name.first != " ",
            name.last != " "
        else { return false }
        return name.unicodeScalars.allSatisfy { scalar in
            switch scalar.properties.generalCategory {
            case .control, .format, .surrogate, .privateUse, .unassigned, .lineSeparator, .paragraphSeparator:
                false
            default: scalar != "\u{FFFD}"
            }
        }
    }
}

/// What became of the names that manifests carry: the events of a repository, applied in their order.
///
/// Names that mean one source are a set of a union-find forest, so that as many events as anybody may write cost little.
package struct SourceCatalog: Sendable {
    private var nodes: [String: Int] = [:]
    private var parents: [Int] = []
    private var sizes: [Int] = []
    /// What the set is called now, by its root, and the other way round.
    private var labels: [Int: String] = [:]
    private var roots: [String: Int] = [:]
    private var archived: [String: UInt64] = [:]

    package init(_ events: [(reference: SnapshotReference, event: Event)] = []) {
        for (_, event) in events.sorted(by: { $0.reference < $1.reference }) {
            if event.kind == .renameSource, let rename = event.rename { apply(rename) }
            if event.kind == .archiveSource, let archive = event.archive {
                archived[current(archive.source)] = archive.through == 0 ? nil : archive.through
            }
        }
    }

    /// Whatever means `from` by now means `to`, and so does what meant `to`.
    private mutating func apply(_ rename: Event.Rename) {
        let from = current(rename.from)
        guard from != rename.to else { return }
        let set = unite(roots[from] ?? make(from), roots[rename.to] ?? make(rename.to))
        (roots[from], roots[rename.to], labels[set]) = (nil, set, rename.to)
        // A living source that takes in an archived name is told to be living by an event of its own.
        let (theirs, ours) = (archived[from], archived[rename.to])
        archived[from] = nil
        archived[rename.to] = theirs.map { max($0, ours ?? 0) }
    }

    /// A set of its own: a name that was given up and is given again means something new.
    private mutating func make(_ name: String) -> Int {
        let node = parents.count
        parents.append(node)
        sizes.append(1)
        nodes[name] = node
        return node
    }

    private mutating func unite(_ a: Int, _ b: Int) -> Int {
        let (large, small) = sizes[a] < sizes[b] ? (b, a) : (a, b)
        parents[small] = large
        sizes[large] += sizes[small]
        labels[small] = nil
        return large
    }

    /// What is meant by a name now.
    package func current(_ name: String) -> String {
        guard var node = nodes[name] else { return name }
        while parents[node] != node { node = parents[node] }
        return labels[node] ?? name
    }

    /// - Parameter newest: the number of the source's newest snapshot.
    package func isArchived(_ name: String, newest: UInt64) -> Bool {
        archived[name].map { $0 >= newest } ?? false
    }
}
