import ArgumentParser
import VarveFormat

/// A command as the parser describes it: what `--help` and the manual pages are made from.
struct CommandDescription: Decodable {
    struct Name: Decodable {
        var kind: String
        var name: String

        var spelling: String { (kind == "long" ? "--" : "-") + name }
    }

    struct Argument: Decodable {
        enum Kind: String, Decodable { case positional, option, flag }

        var kind: Kind
        var shouldDisplay: Bool
        var sectionTitle: String?
        var isOptional: Bool
        var isRepeating: Bool
        var names: [Name]?
        var valueName: String?
        var defaultValue: String?
        var abstract: String?
        var discussion: String?
    }

    var commandName: String
    var superCommands: [String]?
    var shouldDisplay: Bool
    var abstract: String?
    var discussion: String?
    var arguments: [Argument]?
    var subcommands: [CommandDescription]?

    static func root() throws -> CommandDescription {
        struct Whole: Decodable { var command: CommandDescription }
        return try JSON.decode(
            Whole.self, from: Array(VarveCommand._dumpHelp().utf8), what: "the description of the command"
        ).command
    }
}
