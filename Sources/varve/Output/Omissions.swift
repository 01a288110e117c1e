import VarveFormat

extension Manifest.Omissions {
    /// Entries of some kinds, as people read them: `hooks/, README, old -> (link)`.
    private func list(_ chosen: [Entry], of total: UInt64) -> String {
        let shown = chosen.prefix(5).map(\.forPeople)
        let rest = total - UInt64(shown.count)
        return shown.joined(separator: ", ") + (rest > 0 ? " and \(rest) more" : "")
    }

    /// What is no database, in one line; nil if there is nothing of it.
    var othersLine: String? {
        let others = entries.filter { $0.kind != Kind.database.rawValue }
        let databases = UInt64(entries.count - others.count)
        let total = count - min(count, databases)
        guard total > 0 else { return nil }
        return
            "not stored, because \(total == 1 ? "it is no database" : "they are no databases") of the environment: "
            + list(others, of: total)
    }

    /// The databases that were not asked for; nil if none are listed.
    var databasesLine: String? {
        let databases = entries.filter { $0.kind == Kind.database.rawValue }
        return databases.isEmpty ? nil : list(databases, of: UInt64(databases.count))
    }
}

extension Manifest.Omissions.Entry {
    /// With the kind where the path does not tell it.
    var forPeople: String {
        switch Manifest.Omissions.Kind(rawValue: kind) {
        case .database, .file: path
        case .directory: path + "/"
        case .environment: path + "/ (another environment)"
        case .link, .special, nil: "\(path) (\(kind))"
        }
    }
}
