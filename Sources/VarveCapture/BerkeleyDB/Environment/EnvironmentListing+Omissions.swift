import VarveDatabase
import VarveFiles
import VarveFormat

/// What a search of an environment's directories does not store, as it is met.
struct PassedOver {
    struct Entry: Hashable {
        /// Absolute.
        var path: String
        /// Beneath a restored home.
        var restored: String
        var kind: Manifest.Omissions.Kind
    }

    /// Beyond so many nothing is kept but their number: a home may hold a million files.
    static let limit = 10_000

    private(set) var entries: [Entry] = []
    private(set) var uncounted = 0
    /// The directories that were looked into: whether anything in them is stored shows at the end.
    private var directories: [Entry] = []

    mutating func add(_ path: String, _ restored: String, _ kind: Manifest.Omissions.Kind) {
        guard entries.count < Self.limit else {
            uncounted += 1
            return
        }
        entries.append(Entry(path: path, restored: restored, kind: kind))
    }

    mutating func enter(_ path: String, _ restored: String) {
        if directories.count < Self.limit {
            directories.append(Entry(path: path, restored: restored, kind: .directory))
        }
    }

    /// A directory of which nothing is stored stands for all that is in it.
    ///
    /// - Parameter stored: restored paths of files, and of directories that are restored in any case.
    func settled(stored: some Sequence<String>) -> [Entry] {
        var kept: Set<String> = ["."]
        for path in stored {
            var path = path
            while kept.insert(path).inserted { path = Path.parent(path) }
        }
        return (directories.filter { !kept.contains($0.restored) } + entries)
            .filter { kept.contains(Path.parent($0.restored)) }
            .sorted { $0.path < $1.path }
    }
}

extension EnvironmentListing {
    /// What of the environment's directories a backup of `selected` leaves out; nil if that is nothing.
    func omissions(_ selected: EnvironmentListing, home: String) -> Manifest.Omissions? {
        let chosen = Set(selected.databases.map(\.restored))
        let databases = self.databases.filter { $0.owner == nil && !chosen.contains($0.restored) }.map {
            PassedOver.Entry(path: $0.path, restored: $0.restored, kind: .database)
        }
        let all = databases + passedOver
        if all.isEmpty && uncountedOthers == 0 { return nil }
        let prefix = home.hasSuffix("/") ? home : home + "/"
        return Manifest.Omissions(
            all.map {
                .init(
                    path: $0.path.hasPrefix(prefix) ? String($0.path.dropFirst(prefix.count)) : $0.path,
                    kind: $0.kind.rawValue)
            }, uncounted: uncountedOthers)
    }

    /// Whether a directory of these names is the home of an environment of its own: it has logs, and regions or
    /// `DB_CONFIG`. A log directory has logs alone.
    ///
    /// - Parameter logsSuffice: the environment in question has none, so it can't do without these.
    static func isHome(_ names: [String], logsSuffice: Bool) -> Bool {
        var hasLogs = false
        var hasMore = false
        for name in names {
            switch EnvironmentFileKind.classify(name) {
            case .log: hasLogs = true
            case .region, .configuration: hasMore = true
            default: break
            }
        }
        return hasLogs && (hasMore || logsSuffice)
    }
}
