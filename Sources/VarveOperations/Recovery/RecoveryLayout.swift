import VarveDatabase
import VarveFiles
import VarveFormat

/// Where the restored directories lie while they are recovered: where they lay at the source, as on a machine of its
/// own. So `DB_CONFIG`, and whatever names the logs hold, lead to the restored files. A value, made without input.
///
/// Paths are absolute in a directory that is all there is to recovery.
struct RecoveryLayout: Sendable, Hashable {
    /// A directory that does not lie at its place within the home.
    struct Part: Sendable, Hashable {
        /// Beneath the restored home.
        var restored: String
        var place: String
    }

    /// Another name for a directory, as a symbolic link was at the source.
    struct Alias: Sendable, Hashable {
        var path: String
        var place: String
    }

    var home: String
    /// Outer places before those within them.
    var parts: [Part] = []
    var aliases: [Alias] = []
    /// Further ones that names lead to: at the source they held nothing that was stored.
    var directories: [String] = []
    private var known: Set<String> = []
    /// More links than that no source had.
    private static let aliasLimit = 1000
    /// What the application's code sets, as recovery is told it.
    var dataDirectories: [String]
    var logDirectory: String?

    /// Where an environment is put whose home is no place that can be made.
    private static let otherHome = "/varve-home"

    /// - Parameters:
    ///   - configuration: the restored `DB_CONFIG`; it overrules what the manifest says.
    ///   - names: that the restored logs hold.
    ///   - files: restored paths of databases by their uids.
    init(
        _ environment: Manifest.Environment, configuration: DatabaseConfiguration?,
        names: [RestoredLogs.Name], files: [String: String]
    ) {
        let normal = Self.normal(environment.home)
        home = environment.home.hasPrefix("/") && normal != "/" ? normal : Self.otherHome
        dataDirectories = environment.dataDirectories.filter { !$0.configured }.map(\.original)
        let log = environment.logDirectory
        logDirectory = log.configured || log.original == "." ? nil : log.original
        for directory in environment.dataDirectories { put(directory.restored, directory.original) }
        put(log.restored, configuration?.logDirectory ?? log.original)
        parts.sort { ($0.place.utf8.count, $0.place) < ($1.place.utf8.count, $1.place) }
        // A manifest leaves out a data directory that is the home by another name.
        for name in configuration?.dataDirectories ?? [] {
            let path = absolute(name)
            if !isThere(path) { aliases.append(Alias(path: path, place: home)) }
        }
        for name in [configuration?.temporaryDirectory, configuration?.metadataDirectory].compactMap({ $0 }) {
            add(directory: absolute(name))
        }
        for name in names { add(name, files) }
    }

    private mutating func put(_ restored: String, _ original: String) {
        let place = absolute(original)
        let here = self.place(of: restored)
        // What two directories claim, one of them gets: what recovery reaches is measured afterwards.
        if place == here || place == "/" || place == home || parts.contains(where: { $0.place == place }) {
            return
        }
        if restored == "." || parts.contains(where: { Self.isAt(restored, $0.restored) }) {
            if !isThere(place) { aliases.append(Alias(path: place, place: here)) }
            return
        }
        parts.append(Part(restored: restored, place: place))
    }

    private mutating func add(_ name: RestoredLogs.Name, _ files: [String: String]) {
        let path = absolute(name.path)
        if name.isDirectory { return add(directory: path) }
        let parent = Path.parent(path)
        if isThere(parent) { return add(directory: parent) }
        // The very database was restored: the directory has another name by now.
        if let uid = name.uid, let restored = files[uid], Path.name(restored) == Path.name(path),
            aliases.count < Self.aliasLimit
        {
            aliases.append(Alias(path: parent, place: place(of: Path.parent(restored))))
        } else {
            add(directory: parent)
        }
    }

    private mutating func add(directory path: String) {
        guard path != "/", !aliases.contains(where: { Self.isAt(path, $0.path) }), known.insert(path).inserted
        else { return }
        directories.append(path)
    }

    /// A restored directory, or a directory or alias that is made anyway, is at the path.
    private func isThere(_ path: String) -> Bool {
        ([home] + parts.map(\.place) + aliases.map(\.path)).contains { Self.isAt(path, $0) }
            || known.contains(path) || path == "/"
    }

    private func absolute(_ name: String) -> String { Self.normal(Path.join(home, name)) }

    /// Where a restored path lies in there.
    func place(of restored: String) -> String {
        if restored == "." { return home }
        let part = parts.filter { Self.isAt(restored, $0.restored) }.max {
            $0.restored.count < $1.restored.count
        }
        guard let part else { return Path.join(home, restored) }
        return part.place + restored.dropFirst(part.restored.count)
    }

    /// What is moved, outer places first; "." is the home.
    var moves: [Part] {
        (parts + [Part(restored: ".", place: home)]).sorted {
            ($0.place.utf8.count, $0.place) < ($1.place.utf8.count, $1.place)
        }
    }

    static func isAt(_ path: String, _ place: String) -> Bool {
        path == place || path.hasPrefix(place.hasSuffix("/") ? place : place + "/")
    }

    /// Without ".", ".." and doubled slashes; of the text alone, since the path is of another place.
    static func normal(_ path: String) -> String {
        var parts: [Substring] = []
        for part in path.split(separator: "/") where part != "." {
            if part == ".." { _ = parts.popLast() } else { parts.append(part) }
        }
        return "/" + parts.joined(separator: "/")
    }
}
