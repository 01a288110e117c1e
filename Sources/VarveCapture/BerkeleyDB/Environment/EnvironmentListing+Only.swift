import VarveFiles
import VarveFormat

extension EnvironmentListing {
    /// Only the databases that were asked for, each with its queue extents and partitions.
    ///
    /// A name may be relative to a data directory, as the application opens it, relative to the restored
    /// home, or absolute. Throws `.refused` for a name that is no database here, with the nearest ones.
    package func selecting(_ only: [String]) throws(VarveError) -> EnvironmentListing {
        if only.isEmpty { return self }
        var chosen: Set<String> = []
        for name in only {
            let wanted = Placer.normalized(name) ?? name
            let matches = databases.filter {
                $0.owner == nil && ($0.name == wanted || $0.restored == wanted || $0.path == wanted)
            }
            guard !matches.isEmpty else { throw refusal(of: name) }
            chosen.formUnion(matches.map(\.restored))
        }
        var selected = self
        selected.databases = databases.filter {
            chosen.contains($0.restored) || $0.owner.map(chosen.contains) ?? false
        }
        return selected
    }

    private func refusal(of name: String) -> VarveError {
        let names = databases.filter { $0.owner == nil }.map(\.restored)
        let last = Path.name(name)
        let near = names.map { (name: $0, distance: min(distance($0, name), distance(Path.name($0), last))) }
            .filter { $0.distance <= max(2, last.utf8.count / 3) }
            .sorted { ($0.distance, $0.name) < ($1.distance, $1.name) }
            .prefix(3).map(\.name)
        let hint =
            if !near.isEmpty {
                "did you mean \(near.joined(separator: " or "))?"
            } else if names.isEmpty {
                "there are no databases in this environment"
            } else {
                "its databases are \(names.prefix(8).joined(separator: ", "))\(names.count > 8 ? ", …" : "")"
            }
        return VarveError(.refused, "there is no database \(name) in the environment", hint: hint)
    }
}

/// Levenshtein's: how many letters have to be changed, put in or left out.
private func distance(_ a: String, _ b: String) -> Int {
    let (a, b) = (Array(a.utf8.prefix(255)), Array(b.utf8.prefix(255)))
    var row = Array(0...b.count)
    for (i, x) in a.enumerated() {
        var diagonal = row[0]
        row[0] = i + 1
        for (j, y) in b.enumerated() {
            let above = row[j + 1]
            row[j + 1] = min(above + 1, row[j] + 1, diagonal + (x == y ? 0 : 1))
            diagonal = above
        }
    }
    return row[b.count]
}
