import VarveFiles
import VarveFormat

/// What recovery of a restored copy must not reach, and what it finds there instead: decided from the plan alone.
public struct DrillIsolation: Sendable, Hashable {
    /// The only directory that stays writable.
    public var scratch: String
    public var covers: [CaptureCover]

    /// The live home, and data and log directories with names that lead out of it, become the restored ones, as on a
    /// machine of its own; so logs that name a file absolutely recover the restored file. What else the logs name
    /// absolutely lies in an empty directory.
    ///
    /// - Parameter scratch: absolute; the copy is restored beneath it.
    /// - Throws: `.refused` if the scratch directory lies where a cover would hide it.
    public init(_ plan: RestorePlan, scratch: String) throws {
        self.scratch = scratch
        let copy = plan.target
        var found: [String: String?] = [:]
        var names = plan.absoluteNames
        if let environment = plan.environment {
            found[Self.normal(environment.home)] = .some(copy)
            for place in environment.dataDirectories + [environment.logDirectory] {
                let restored = Path.join(copy, place.restored)
                if place.original.hasPrefix("/") { found[Self.normal(place.original)] = .some(restored) }
                // From the copy, `../data` leads beside it, and from the live home to the live files.
                if place.restored != place.original, !place.original.hasPrefix("/") {
                    found[Self.normal(Path.join(environment.home, place.original))] = .some(restored)
                }
            }
            // A climbing name starts at the home.
            names = names.map { $0.hasPrefix("/") ? $0 : Path.join(environment.home, $0) }
        }
        let places = Array(found.keys)
        for name in names.filter({ $0.hasPrefix("/") }).map(Self.normal) {
            if places.contains(where: { Self.isAt(name, $0) }) { continue }
            let parent = Path.parent(name)
            // Of the root itself and of what holds the scratch nothing can be covered: it stays read-only.
            if parent == "/" || Self.isAt(scratch, parent) { continue }
            found[parent] = .some(nil)
        }
        covers = found.map { CaptureCover(path: $0.key, source: $0.value) }.sorted { $0.path < $1.path }
        if let hiding = covers.first(where: { Self.isAt(scratch, $0.path) }) {
            throw VarveError(
                .refused, "the drill's scratch directory \(scratch) lies in the live \(hiding.path)",
                hint: "choose another with --scratch")
        }
    }

    private static func isAt(_ path: String, _ place: String) -> Bool {
        path == place || path.hasPrefix(place + "/")
    }

    /// Without ".", ".." and doubled slashes; of the text alone, since the path may not be there.
    static func normal(_ path: String) -> String {
        var parts: [Substring] = []
        for part in path.split(separator: "/") where part != "." {
            if part == ".." { _ = parts.popLast() } else { parts.append(part) }
        }
        return "/" + parts.joined(separator: "/")
    }
}
