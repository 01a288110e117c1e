import VarveCodec
import VarveFiles
import VarveFormat

extension RestorePlan {
    /// A directory outside of the home is restored as `external/<n>-<its name>`, and its name may have 255 bytes
    /// already, which is all that a file system takes. Such names are cut, and what is cut off is told by its hash.
    static func withShortNames(_ manifest: Manifest) -> Manifest {
        let places = manifest.environment.map { $0.dataDirectories + [$0.logDirectory] } ?? []
        let long = Set(places.map(\.restored).filter(isLong))
        if long.isEmpty { return manifest }
        func short(_ path: String) -> String {
            guard let place = long.first(where: { path == $0 || path.hasPrefix($0 + "/") }) else {
                return path
            }
            return shortened(place) + path.dropFirst(place.count)
        }
        var manifest = manifest
        for index in manifest.files.indices { manifest.files[index].path = short(manifest.files[index].path) }
        for index in manifest.directories.indices {
            manifest.directories[index].path = short(manifest.directories[index].path)
        }
        if var environment = manifest.environment {
            for index in environment.dataDirectories.indices {
                environment.dataDirectories[index].restored = short(
                    environment.dataDirectories[index].restored)
            }
            environment.logDirectory.restored = short(environment.logDirectory.restored)
            manifest.environment = environment
        }
        return manifest
    }

    /// What a line of `DB_CONFIG` can hold, with the setting and `external/` (`DatabaseConfiguration.canName`).
    private static let limit = 220

    private static func isLong(_ place: String) -> Bool {
        place.hasPrefix("external/") && Path.name(place).utf8.count > limit
    }

    private static func shortened(_ place: String) -> String {
        let hash = Array(Path.name(place).utf8).withUnsafeBytes { Hasher.name(of: $0) }.hex.prefix(8)
        var cut = Path.name(place)
        while cut.utf8.count > limit - 9 { cut.removeLast() }
        return Path.join(Path.parent(place), "\(cut)-\(hash)")
    }
}
