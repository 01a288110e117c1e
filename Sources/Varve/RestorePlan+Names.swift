import VarveCodec
import VarveFormat

extension RestorePlan {
    /// A directory outside of the home is restored as `external/<n>-<its name>`, and its name may have 255 bytes
    /// already, which is all that a file system takes. Such names are cut, and what is cut off is told by its hash.
    static func withShortNames(_ manifest: Manifest) -> Manifest {
        let places = manifest.environment.map { $0.dataDirectories + [$0.logDirectory] } ?? []
        guard places.contains(where: { isLong($0.restored) }) else { return manifest }
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

    private static let limit = 255

    private static func isLong(_ path: String) -> Bool {
        path.utf8.split(separator: UInt8(ascii: "/")).contains { $0.count > limit && $0.count <= limit + 16 }
    }

    private static func short(_ path: String) -> String {
        guard isLong(path) else { return path }
        return path.split(separator: "/", omittingEmptySubsequences: false).map { component -> String in
            let bytes = Array(component.utf8)
            guard bytes.count > limit else { return String(component) }
            let hash = bytes.withUnsafeBytes { Hasher.name(of: $0) }.hex.prefix(8)
            var cut = component
            while cut.utf8.count > limit - 9 { cut.removeLast() }
            return "\(cut)-\(hash)"
        }.joined(separator: "/")
    }
}
