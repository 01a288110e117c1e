import ArgumentParser

/// The options that may also stand before the subcommand: `varve -r DIR backup`, `varve --json copy -q list`.
enum GlobalOptions {
    private static let flags: Set<String> = ["--json", "-q", "--quiet", "-v", "--verbose"]
    private static let options: Set<String> = ["-r", "--repository", "--repository-id"]

    /// The words as the parser wants them: these options behind the subcommand.
    ///
    /// - Throws: `ValidationError` where an option's value is missing.
    static func arranged(_ words: [String]) throws -> [String] {
        var commands: [String] = []
        var moved: [String] = []
        var known = VarveCommand.configuration.subcommands
        var rest = words[...]
        while let word = rest.first {
            if let next = known.first(where: { $0.configuration.commandName == word }) {
                commands.append(word)
                known = next.configuration.subcommands
                rest.removeFirst()
                if known.isEmpty { break }
            } else if flags.contains(word) || options.contains(where: { word.hasPrefix($0 + "=") }) {
                moved.append(word)
                rest.removeFirst()
            } else if options.contains(word) {
                guard rest.count > 1 else { throw ValidationError("Missing value for '\(word)'") }
                moved += rest.prefix(2)
                rest.removeFirst(2)
            } else {
                break
            }
        }
        // Without a whole command they are nobody's: the parser says what it misses.
        return commands + (known.isEmpty ? moved : []) + rest
    }

    /// - Throws: `ValidationError` where the first word that is no option is no command: the parser would complain of
    ///   what follows.
    static func requireCommand(_ arranged: [String]) throws {
        guard let word = arranged.first, !word.hasPrefix("-"), word != "help" else { return }
        let names = VarveCommand.configuration.subcommands.compactMap { $0.configuration.commandName }
        if names.contains(word) { return }
        let near = names.filter { distance($0, word) <= 2 }.min { distance($0, word) < distance($1, word) }
        throw ValidationError(
            "there is no command '\(word)'" + (near.map { "; did you mean '\($0)'?" } ?? ""))
    }

    /// Characters to insert, delete or replace (Levenshtein).
    private static func distance(_ a: String, _ b: String) -> Int {
        var row = Array(0...b.count)
        for (i, x) in a.enumerated() {
            var diagonal = row[0]
            row[0] = i + 1
            for (j, y) in b.enumerated() {
                (diagonal, row[j + 1]) = (
                    row[j + 1], min(row[j + 1] + 1, row[j] + 1, diagonal + (x == y ? 0 : 1))
                )
            }
        }
        return row[b.count]
    }

    /// The command that the words name, as far as they name one.
    static func command(in words: [String]) -> (type: any ParsableCommand.Type, name: String) {
        var found: (type: any ParsableCommand.Type, name: String) = (VarveCommand.self, "varve")
        // Where they can't be arranged, an option lacks its value, and all that is there stands before it.
        for word in (try? arranged(words)) ?? words {
            let next = found.type.configuration.subcommands.first { $0.configuration.commandName == word }
            guard let next else { break }
            found = (next, found.name + " " + word)
        }
        return found
    }
}
