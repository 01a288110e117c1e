import ArgumentParser

/// Mistakes that the parser would pass over: an option with one value that is given twice (it takes the last), and an
/// empty argument.
enum CommandLineCheck {
    /// - Parameter arguments: without the program's name.
    /// - Throws: `ValidationError` for an option that is there more often than it may be, and for an empty argument: what
    ///   a script gives whose variable is not set.
    static func check(_ arguments: [String]) throws {
        guard !arguments.contains("") else {
            throw ValidationError("an argument is empty: is a variable of the script not set?")
        }
        let words = arguments.prefix { $0 != "--" }
        let given = words.filter { $0.hasPrefix("-") }.map { word in
            let name = String(word.prefix { $0 != "=" })
            return name == "-r" ? "--repository" : name
        }
        // The description is long, and needed only where something is there twice.
        guard Set(given).count < given.count else { return }
        var command = try CommandDescription.root()
        for word in words {
            command = command.subcommands?.first { $0.commandName == word } ?? command
        }
        for argument in command.arguments ?? [] where argument.kind == .option && !argument.isRepeating {
            let names = Set((argument.names ?? []).map(\.spelling))
            let count = given.count { names.contains($0) }
            if count > 1, let name = given.first(where: { names.contains($0) }) {
                let times = count == 2 ? "twice" : "\(count) times"
                throw ValidationError("\(name) is given \(times), and takes one value")
            }
        }
    }
}
