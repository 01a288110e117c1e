import ArgumentParser
import VarveFormat

/// Mistakes that the parser would pass over: an option with one value that is given twice (it takes the last), and an
/// empty argument.
enum CommandLineCheck {
    /// The part of the parser's own description of the command that tells which options may be repeated.
    private struct Description: Decodable {
        struct Name: Decodable {
            var kind: String
            var name: String

            var spelling: String { (kind == "long" ? "--" : "-") + name }
        }

        struct Argument: Decodable {
            var kind: String
            var isRepeating: Bool
            var names: [Name]?
        }

        struct Command: Decodable {
            var commandName: String
            var arguments: [Argument]?
            var subcommands: [Command]?
        }

        var command: Command
    }

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
        let text = Array(VarveCommand._dumpHelp().utf8)
        guard let description = try? JSON.decode(Description.self, from: text, what: "the options") else {
            return
        }
        var command = description.command
        for word in words {
            command = command.subcommands?.first { $0.commandName == word } ?? command
        }
        for argument in command.arguments ?? [] where argument.kind == "option" && !argument.isRepeating {
            let names = Set((argument.names ?? []).map(\.spelling))
            let count = given.count { names.contains($0) }
            if count > 1, let name = given.first(where: { names.contains($0) }) {
                let times = count == 2 ? "twice" : "\(count) times"
                throw ValidationError("\(name) is given \(times): it takes one value")
            }
        }
    }
}
