import VarveDatabase
import VarveFiles
import VarveFormat

/// Where an environment keeps what it consists of, and where each directory goes beneath a restored home.
///
/// Found as libdb finds it: the directories that the application's code sets (told by options) come first,
/// then those of `DB_CONFIG`, last the home itself (`__db_appname`, `env_name.c:130`).
///
/// A directory that was given relative to the home, without leaving it, keeps its place. One that lies in the
/// home or in another directory of the environment, however it was given, keeps its place there. Every other
/// one gets a place of its own, `external/<n>-<its name>`, shortened to 255 bytes.
package struct EnvironmentLayout: Sendable {
    package struct Place: Sendable, Hashable {
        /// Absolute, without symbolic links.
        package var path: String
        package var directory: Manifest.Environment.PlacedDirectory
    }

    /// The way to everything that lies in it.
    package let files: EnvironmentFiles
    /// Absolute, without symbolic links.
    package var home: String { files.home }
    /// In libdb's search order, without the home, which is searched last.
    package let dataDirectories: [Place]
    package let logDirectory: Place
    /// Nil if there is no `DB_CONFIG`.
    package let configuration: DatabaseConfiguration?

    package static let configurationName = "DB_CONFIG"
    /// Varve's own directory in a home or log directory: never part of a backup.
    package static let ownDirectoryName = ".varve"

    /// Throws `.refused` for a home that is no directory, a `DB_CONFIG` that contradicts the options, and a
    /// directory that is not there.
    package static func find(_ options: EnvironmentOptions) throws(VarveError) -> EnvironmentLayout {
        let files = try EnvironmentFiles(home: options.home)
        let home = files.home
        let configuration = try readConfiguration(files)
        let configured = configuration?.dataDirectories ?? []
        let logOriginal = try logDirectory(options, configuration, files)

        var names: [(original: String, configured: Bool)] = options.dataDirectories.map { ($0, false) }
        // Naming on the command line what DB_CONFIG says too is no contradiction.
        names.removeAll { configured.contains($0.original) }
        names += configured.map { ($0, true) }
        if let logOriginal { names.append(logOriginal) }

        var placer = Placer(files)
        var resolved: [String] = []
        for (index, name) in names.enumerated() {
            let isLog = logOriginal != nil && index == names.count - 1
            resolved.append(try resolve(name.original, files, isLog ? "log" : "data"))
        }
        let restored = placer.place(zip(names, resolved).map { ($0.original, $1) })
        var places = zip(names, zip(resolved, restored)).map { name, pair in
            Place(
                path: pair.0,
                directory: .init(original: name.original, restored: pair.1, configured: name.configured))
        }
        let log = logOriginal == nil ? nil : places.removeLast()
        return EnvironmentLayout(
            files: files, dataDirectories: places.filter { $0.path != home },
            logDirectory: log
                ?? Place(path: home, directory: .init(original: ".", restored: ".", configured: false)),
            configuration: configuration)
    }

    private static func readConfiguration(_ files: EnvironmentFiles) throws(VarveError)
        -> DatabaseConfiguration?
    {
        let path = Path.join(files.home, configurationName)
        guard try files.status(path)?.kind == .regular else { return nil }
        let file = try files.open(reading: path)
        let bytes = try file.readToEnd(limit: DatabaseConfiguration.maximumByteCount + 1)
        return bytes.withUnsafeBytes { DatabaseConfiguration(parsing: $0) }
    }

    /// `DB_CONFIG` is read when the environment is opened and so overrules the application's code
    /// (`__env_open`, `env_open.c`; `set_lg_dir` replaces what was set).
    private static func logDirectory(
        _ options: EnvironmentOptions, _ configuration: DatabaseConfiguration?, _ files: EnvironmentFiles
    ) throws(VarveError) -> (original: String, configured: Bool)? {
        guard let configured = configuration?.logDirectory else {
            return options.logDirectory.map { ($0, false) }
        }
        if let told = options.logDirectory {
            let home = files.home
            let same =
                (try? files.resolve(Path.join(home, told)))
                == (try? files.resolve(Path.join(home, configured)))
            guard same else {
                throw VarveError(
                    .wrongLogDirectory,
                    "the log directory was given as \(told), but DB_CONFIG sets \(configured), which libdb prefers",
                    location: Path.join(home, configurationName), hint: "leave out --log-dir")
            }
        }
        return (configured, true)
    }

    /// Relative to the home, as libdb takes it.
    private static func resolve(_ original: String, _ files: EnvironmentFiles, _ kind: String)
        throws(VarveError)
        -> String
    {
        let path = Path.join(files.home, original)
        guard try files.status(path)?.kind == .directory else {
            throw VarveError(
                kind == "log" ? .wrongLogDirectory : .refused,
                "the environment's \(kind) directory \(original) is not there", location: path,
                hint:
                    "mount the disk that it is on, or create the directory if it is rightly empty; relative names"
                    + " are relative to the home")
        }
        return try files.resolve(path)
    }

    /// The directories that a restored home needs for these files, with the attributes they have at the
    /// source: parents first. Directories of the environment are there even if nothing in them was stored.
    func restoredDirectories(of stored: Set<String>, _ logged: LoggedFiles?) throws(VarveError) -> [Manifest
        .StoredDirectory]
    {
        let places = dataDirectories + [logDirectory]
        var needed: Set<String> = ["."]
        for path in stored.map(Path.parent) + (logged?.places.compactMap { restored($0, stored) } ?? [])
            + places.map(\.directory.restored)
        {
            var path = path
            while needed.insert(path).inserted { path = Path.parent(path) }
        }
        guard let homeStatus = try files.status(home) else { return [] }
        return try needed.sorted { $0 == "." || ($1 != "." && $0 < $1) }.map {
            (restored) throws(VarveError) in
            let place = places.filter {
                restored == $0.directory.restored || restored.hasPrefix($0.directory.restored + "/")
            }.max { $0.directory.restored.count < $1.directory.restored.count }
            let source =
                if let place {
                    place.path + restored.dropFirst(place.directory.restored.count)
                } else {
                    Path.join(home, restored)
                }
            // Such as `external`, which is nowhere at the source.
            let status = try files.status(source) ?? homeStatus
            let attributes = (status.kind == .directory ? status : homeStatus).attributes
            return Manifest.StoredDirectory(path: restored, attributes: attributes)
        }
    }

    /// Where a directory that the logs name is restored; nil for one that lies elsewhere, or is a file now.
    private func restored(_ place: LoggedFiles.Place, _ stored: Set<String>) -> String? {
        let parts = place.path.split(separator: "/", omittingEmptySubsequences: false).filter { $0 != "." }
        guard !parts.isEmpty,
            parts.allSatisfy({ !$0.isEmpty && $0 != ".." && $0.utf8.count <= 255 && !$0.utf8.contains(0) })
        else { return nil }
        let base =
            dataDirectories.first { $0.directory.original == place.directory }?.directory.restored ?? "."
        var path = base == "." ? "" : base
        for part in parts {
            path += path.isEmpty ? part : "/" + part
            if stored.contains(path) { return nil }
        }
        return path
    }

    /// The manifest's part of it.
    package func manifest(
        mode: Manifest.Environment.Mode, envid: UInt32?, encrypted: Bool, registered: Bool, only: [String],
        omitted: Manifest.Omissions?
    ) -> Manifest.Environment {
        var environment = Manifest.Environment(
            home: home, mode: mode, envid: envid, dataDirectories: dataDirectories.map(\.directory),
            logDirectory: logDirectory.directory, encrypted: encrypted, registered: registered,
            only: only.isEmpty ? nil : only)
        environment.omitted = omitted
        return environment
    }
}

/// Gives directories their places beneath a restored home.
struct Placer {
    private let home: String
    private let isTaken: (String) -> Bool
    /// `external`, or a variant of it that the home does not use itself.
    private var externalName = "external"

    init(_ files: EnvironmentFiles) {
        home = files.home
        isTaken = { name in
            ((try? files.status(Path.join(files.home, name), followLinks: false)) ?? nil) != nil
        }
    }

    /// - Parameter directories: as given, and resolved. The same directory gets the same place.
    /// - Returns: a relative path for each, without "..", "." for the home.
    mutating func place(_ directories: [(original: String, resolved: String)]) -> [String] {
        var places: [String: String] = [home: "."]
        for (original, resolved) in directories where places[resolved] == nil {
            // Through a symbolic link it may lie elsewhere, yet libdb is told a name within the home.
            if let inside = Self.normalized(original), inside != "." { places[resolved] = inside }
        }
        avoidCollision(places)
        // Shorter paths first, so that a directory inside another one finds it placed.
        let rest = directories.enumerated().sorted { $0.element.resolved.count < $1.element.resolved.count }
        for (index, (_, resolved)) in rest where places[resolved] == nil {
            let outer = places.keys.filter { Self.lies(resolved, in: $0) }.max { $0.count < $1.count }
            if let outer, let place = places[outer] {
                let inner = String(resolved.dropFirst(outer.hasSuffix("/") ? outer.count : outer.count + 1))
                places[resolved] = place == "." ? inner : place + "/" + inner
            } else {
                let name = Path.name(resolved)
                places[resolved] =
                    "\(externalName)/" + Self.bounded("\(index)-\(name == "/" ? "root" : name)")
            }
        }
        return directories.map { places[$0.resolved] ?? "." }
    }

    /// No file system takes a longer name; the number in front tells two shortened ones apart.
    static func bounded(_ name: String) -> String {
        var name = name
        while name.utf8.count > 255 { name.removeLast() }
        return name
    }

    private mutating func avoidCollision(_ places: [String: String]) {
        var number = 1
        while places.values.contains(where: { $0 == externalName || $0.hasPrefix(externalName + "/") })
            || isTaken(externalName)
        {
            number += 1
            externalName = "external-\(number)"
        }
    }

    /// A relative path without "." and doubled "/", nil if it is absolute or has a "..".
    static func normalized(_ path: String) -> String? {
        guard !path.hasPrefix("/") else { return nil }
        let components = path.split(separator: "/").filter { $0 != "." }
        guard !components.contains("..") else { return nil }
        return components.isEmpty ? "." : components.joined(separator: "/")
    }

    static func lies(_ path: String, in directory: String) -> Bool {
        path.hasPrefix(directory.hasSuffix("/") ? directory : directory + "/")
    }
}
