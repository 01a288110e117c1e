import ArgumentParser
import VarveCopies
import VarveFormat
import VarveOperations
import VarveRepository

/// Of which source 'latest' is meant.
struct SourceOption: ParsableArguments {
    @Option(help: "The source that 'latest' is of, by its name ('varve source list').")
    var source: String?
}

struct SourceCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "source", abstract: "The environments that are backed up: list, rename, archive them.",
        discussion: """
            A source is what a person means by an environment: a name. It is HOST:HOME unless 'varve backup --source NAME' \
            has said otherwise, and is remembered in the environment's .varve/source, so it stays the same under another \
            host name. A clone of the environment under another home is another source.

            Renaming and archiving delete nothing. They are kept as events in every copy that is there; one that is away \
            hears of them at its next 'varve copy sync'.
            """,
        subcommands: [SourceListCommand.self, SourceRenameCommand.self, SourceArchiveCommand.self])
}

struct SourceListCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list", abstract: "The sources, their newest snapshots, and where these were taken.")

    @OptionGroup var options: RepositoryOptions

    func run() throws {
        let list = try options.open().sources()
        let facts = list.facts
        if options.json { return try printJSON(facts) }
        let header = ["SOURCE", "SNAPSHOTS", "NEWEST", "TAKEN", "STATE", "AT"]
        let rows = facts.map { source in
            [
                source.name, String(source.snapshots), source.newest, source.finished.toSeconds,
                source.isArchived ? "archived" : "active", source.places.joined(separator: ", "),
            ]
        }
        try Terminal.output(table([header] + rows, rightAligned: [1]))
        for snapshot in list.unknown {
            Terminal.say("the manifest of snapshot \(snapshot) can't be read, so its source is not known")
        }
    }
}

struct SourceRenameCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "rename", abstract: "Give a source another name; its snapshots of before go by it, too.",
        discussion: """
            If another source has the name already, the two are one from then on: so two names of one environment, \
            OLD-HOST:HOME and NEW-HOST:HOME, become one source again.
            """)

    @OptionGroup var options: RepositoryOptions
    @OptionGroup var copies: CopyOptions

    @Argument(help: "What it is called now.")
    var from: String
    @Argument(help: "What it is to be called.")
    var to: String

    func run() throws {
        let all = try copies.open(try options.open())
        let outcome = try SourceRegistry(all, tool: Tool.name).rename(from, to: to)
        if options.json { return try printJSON(outcome) }
        Terminal.say(
            "'\(from)' is '\(to)' now" + (outcome.merged ? ", together with what was called so before" : ""))
        outcome.say()
    }
}

struct SourceArchiveCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "archive",
        abstract:
            "Say that a source is not backed up any more: it is overdue no more, and nothing is deleted.",
        discussion: "A later backup of it makes it an active source again.")

    @OptionGroup var options: RepositoryOptions
    @OptionGroup var copies: CopyOptions

    @Argument(help: "Its name ('varve source list').")
    var source: String

    @Flag(help: "The opposite: it is an active source again.")
    var undo = false

    func run() throws {
        let all = try copies.open(try options.open())
        let outcome = try SourceRegistry(all, tool: Tool.name).archive(source, undo: undo)
        if options.json { return try printJSON(outcome) }
        Terminal.say("'\(source)' is \(undo ? "active again" : "archived")")
        outcome.say()
    }
}

extension SourceRegistry.Outcome {
    fileprivate func say() {
        for copy in unheard { Terminal.say("'\(copy.label)' has not heard of it: \(copy.reason)") }
    }
}
