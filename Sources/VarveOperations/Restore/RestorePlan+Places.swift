import VarveDatabase
import VarveFiles
import VarveFormat

extension RestorePlan {
    /// The home, or a data or log directory that lies outside of it: where it was and where it goes.
    package struct Place: Sendable, Codable, Hashable {
        package enum Role: String, Sendable, Codable { case home, data, log }

        package var role: Role
        /// At the source: absolute.
        package var from: String
        /// Absolute.
        package var to: String
        /// As the environment was told it; "." for the home.
        package var original: String
        /// Beneath the restored home, before it goes to its place.
        package var restored: String
        /// In `DB_CONFIG`, or in the application's code only.
        package var configured: Bool
        /// It does not lie beneath the target.
        package var isOutside: Bool
    }

    /// Decides on the places.
    struct Placement {
        let home: String
        let target: String
        private(set) var places: [Place]

        init(_ places: [Place]) {
            home = places.first?.from ?? "/"
            target = places.first?.to ?? "/"
            self.places = places
        }

        /// - Throws: `.invalid` for a directory to map that the snapshot does not have, or a place that can't be one.
        init(_ environment: Manifest.Environment, target: String, options: Options) throws(VarveError) {
            home = RecoveryLayout.normal(environment.home)
            self.target = target
            places = [
                Place(
                    role: .home, from: home, to: target, original: ".", restored: ".", configured: false,
                    isOutside: false)
            ]
            var unused = options.map
            for directory in environment.dataDirectories { try add(directory, .data, options, &unused) }
            try add(environment.logDirectory, .log, options, &unused)
            if let wrong = unused.keys.sorted().first {
                let known = places.dropFirst().map(\.from)
                throw VarveError(
                    .invalid,
                    "--map names \(wrong), which is no directory outside of the home in this snapshot",
                    hint: known.isEmpty
                        ? "it has none" : "it has \(Set(known).sorted().joined(separator: ", "))")
            }
            try requirePossible()
        }

        /// - Throws: `.invalid` for a place of two directories, and for one that `DB_CONFIG` can't name.
        private func requirePossible() throws(VarveError) {
            var taken: [String: String] = [:]
            for place in places.dropFirst() {
                if let other = taken.updateValue(place.from, forKey: place.to), other != place.from {
                    throw VarveError(
                        .invalid, "\(other) and \(place.from) can't both go to \(place.to)",
                        hint: "give each of them a directory of its own (--map)")
                }
                let name = name(of: place.to)
                guard leads(place.original) != place.to, !DatabaseConfiguration.canName(name) else {
                    continue
                }
                throw VarveError(
                    .invalid, "\(place.from) would go to \(place.to), which a line of DB_CONFIG can't hold",
                    hint: "choose a shorter place, without line breaks: --map '\(place.from)=NEW'")
            }
        }

        private mutating func add(
            _ directory: Manifest.Environment.PlacedDirectory, _ role: Place.Role, _ options: Options,
            _ unused: inout [String: String]
        ) throws(VarveError) {
            let from = RecoveryLayout.normal(Path.join(home, directory.original))
            let restored = directory.restored
            // Within the home it keeps its place there.
            if from == RecoveryLayout.normal(Path.join(home, restored)) { return }
            var to = Path.join(target, restored)
            // The longest first: a directory within another one that is moved.
            let key = options.map.keys.filter { RecoveryLayout.isAt(from, RecoveryLayout.normal($0)) }
                .max { $0.utf8.count < $1.utf8.count }
            if let key, let new = options.map[key] {
                unused[key] = nil
                let old = RecoveryLayout.normal(key)
                to = RecoveryLayout.normal(new + (old == "/" ? from : String(from.dropFirst(old.count))))
            } else if options.inPlace {
                to = from
            }
            let isOutside = !RecoveryLayout.isAt(to, target)
            guard isOutside || to == Path.join(target, restored) else {
                throw VarveError(
                    .invalid, "\(from) can't go to \(to), which is in the target",
                    hint: "leave it out of --map: it goes to \(Path.join(target, restored))")
            }
            places.append(
                Place(
                    role: role, from: from, to: to, original: directory.original, restored: restored,
                    configured: directory.configured, isOutside: isOutside))
        }

        /// Where a path of the source is now; nil for one that is in no directory of the snapshot.
        func destination(of path: String) -> String? {
            let place = places.filter { RecoveryLayout.isAt(path, $0.from) }
                .max { $0.from.utf8.count < $1.from.utf8.count }
            guard let place else { return nil }
            return RecoveryLayout.normal(place.to + "/" + path.dropFirst(place.from.count))
        }

        /// What a name, as the environment was told it, means at the source, and where that is now.
        func destination(ofName name: String) -> String? {
            destination(of: RecoveryLayout.normal(Path.join(home, name)))
        }

        /// What a name leads to from the restored home.
        func leads(_ name: String) -> String { RecoveryLayout.normal(Path.join(target, name)) }

        /// The shortest name for a place that libdb understands.
        func name(of path: String) -> String {
            if path == target { return "." }
            return RecoveryLayout.isAt(path, target)
                ? String(path.dropFirst(target.count).drop { $0 == "/" }) : path
        }

        /// What becomes of a line of `DB_CONFIG`.
        func change(_ setting: DatabaseConfiguration.Setting, _ value: String) -> DatabaseConfiguration.Change
        {
            var to = destination(ofName: value)
            // The logs are where they are, whatever it says.
            if setting == .log, to == nil { to = places.first { $0.role == .log }?.to ?? target }
            guard let to else {
                // Of a directory that is not in the snapshot nothing is here; temporary files may go anywhere.
                return setting == .temporary ? .keep : .disable
            }
            return leads(value) == to ? .keep : .set(name(of: to))
        }
    }
}

extension RestorePlan {
    /// The restored `DB_CONFIG`; nil if it stays as it was.
    static func configuration(_ bytes: [UInt8]?, _ placement: Placement) -> [UInt8]? {
        let before = bytes ?? []
        var after = DatabaseConfiguration.rewrite(before, placement.change)
        // It overrules the application's code, which need not change then.
        if let log = placement.places.first(where: { $0.role == .log }), !log.configured,
            placement.leads(log.original) != log.to
        {
            if !after.isEmpty && after.last != 10 { after.append(10) }
            after += Array("set_lg_dir \(placement.name(of: log.to))\n".utf8)
        }
        return after == before ? nil : after
    }

    /// What only the application's code knows, and has to be told anew, one sentence each.
    static func settings(_ placement: Placement, names: [String]) -> [String] {
        var result = placement.places.filter { $0.role == .data && !$0.configured }.compactMap { place in
            placement.leads(place.original) == place.to
                ? nil
                : "the application's own code sets the data directory \(place.original): it must say \(place.to)"
        }
        var told: Set<String> = []
        for name in names
        where !isTemporary(Path.name(name)) && !placement.places.contains(where: { $0.original == name }) {
            let to = placement.destination(ofName: name)
            if let to, to == placement.leads(name) { continue }
            let directory = Path.parent(name)
            guard told.insert(directory).inserted else { continue }
            result.append(
                "the application opened \(name) by this name, and perhaps others in \(directory): "
                    + (to.map { "what was there is now in \(Path.parent($0))" }
                        ?? "it is in no directory of the snapshot"))
        }
        return result
    }

    /// Libdb's name for what a transaction is making: no application opens it (`80000001.b43bef4`, `fop_util.c`).
    private static func isTemporary(_ name: String) -> Bool {
        let parts = name.utf8.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        return parts.count == 2 && parts[0].count == 8 && (parts[0].first ?? 0) >= UInt8(ascii: "8")
            && parts.allSatisfy { UInt64(Substring($0), radix: 16) != nil }
    }

    /// `db_recover` knows what `DB_CONFIG` says and nothing else, and takes a password on its command line only.
    static func plainRecoveryFails(
        _ environment: Manifest.Environment, _ placement: Placement, _ settings: [String]
    ) -> String? {
        if let setting = settings.first { return setting }
        if let unknown = environment.dataDirectories.first(where: { !$0.configured }) {
            return "only the application's code knows its data directory \(unknown.original)"
        }
        let log = environment.logDirectory
        let isSaid = placement.places.contains {
            $0.role == .log && placement.leads($0.original) != $0.to
        }
        if !log.configured && log.restored != "." && !isSaid {
            return "only the application's code knows its log directory \(log.original)"
        }
        return environment.encrypted
            ? "it is encrypted, and a password does not belong on a command line" : nil
    }

    /// The same by what the restored logs themselves say.
    func plainRecoveryFails(_ names: [RestoredLogs.Name]) -> String? {
        if let plainRecoveryFails { return plainRecoveryFails }
        guard let home = places.first else { return nil }
        let placement = Placement(places)
        let stranger = names.first { placement.destination(ofName: $0.path) != placement.leads($0.path) }
        return stranger.map {
            "the logs name \($0.path), and from \(home.to) that is no restored file"
        }
    }
}
