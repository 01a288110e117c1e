import ArgumentParser
import VarveCopies
import VarveFormat
import VarveOperations
import VarveRepository

struct SourceCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "source", abstract: "List, rename and archive the environments that are backed up.",
        discussion: """
            A source is an environment under the name that people give it. The name is HOST:HOME unless 'varve backup \
            --source NAME' gave another one. The environment's .varve/source remembers it, so the name stays the same \
            under another host name. A clone of the environment in another home is another source.

            Renaming and archiving delete nothing. Both are stored as events in every copy that is there. A copy whose \
            disk is away gets them by its next 'varve copy sync'.
            """,
        subcommands: [SourceListCommand.self, SourceRenameCommand.self, SourceArchiveCommand.self])
}

struct SourceListCommand: RepositoryCommand {
    static let configuration = CommandConfiguration(
        commandName: "list", abstract: "List the sources, their newest snapshots, and where these were taken."
    )

    @OptionGroup var options: RepositoryOptions

    /// What `--json` prints.
    private struct Output: Encodable {
        struct Source: Encodable {
            var source: String
            var places: [String]
            var snapshots: Int
            var newestSnapshot: String
            var finished: Timestamp
            var archived: Bool
        }

        var sources: [Source]
    }

    func run() throws {
        let list = try options.open().sources()
        let facts = list.facts
        for snapshot in list.unknown {
            Terminal.warn(
                "warning: the manifest of snapshot \(snapshot) can't be read, so its source is not known: "
                    + "run 'varve verify'")
        }
        try Terminal.document(
            Output(
                sources: facts.map {
                    Output.Source(
                        source: $0.name, places: $0.places, snapshots: $0.snapshots,
                        newestSnapshot: $0.newest,
                        finished: $0.finished, archived: $0.isArchived)
                }))
        guard !Terminal.isJSON else { return }
        let header = ["SOURCE", "SNAPSHOTS", "NEWEST", "TAKEN", "STATE", "AT"]
        let rows = facts.map { source in
            [
                source.name, String(source.snapshots), source.newest, source.finished.toSeconds,
                source.isArchived ? "archived" : "active", source.places.joined(separator: ", "),
            ]
        }
        try Terminal.output(table([header] + rows, rightAligned: [1]))
    }
}

/// A change of a source, carried out and told.
private struct SourceChange {
    var options: RepositoryOptions
    var copies: CopyOptions
    var lock: WaitOption

    /// What `--json` prints.
    private struct Output: Encodable {
        var source: String
        var archived: Bool?
        /// Another source had the name.
        var merged: Bool
        var events: [String]
        var unheard: [SourceRegistry.Report.Unheard]
    }

    /// - Parameter words: the result.
    func run(
        _ source: String, archived: Bool? = nil, _ change: (SourceRegistry) throws -> SourceRegistry.Report,
        words: (SourceRegistry.Report) -> String
    ) throws {
        let outcome = try lock.patience().retry { _ in
            try change(SourceRegistry(try copies.open(try options.open()), tool: Tool.name))
        }
        try Terminal.document(
            Output(
                source: source, archived: archived, merged: outcome.merged, events: outcome.events,
                unheard: outcome.unheard))
        Terminal.result(words(outcome))
        for copy in outcome.unheard {
            Terminal.warn("note: the copy '\(copy.label)' does not have it yet: \(copy.reason)")
        }
    }
}

struct SourceRenameCommand: RepositoryCommand {
    static let configuration = CommandConfiguration(
        commandName: "rename",
        abstract: "Give a source another name. Its older snapshots get the new name too.",
        discussion: """
            If another source has the new name already, the two become one source. So two names of one environment, \
            OLD-HOST:HOME and NEW-HOST:HOME, become one again.
            """)

    @Argument(help: "Present name of the source.")
    var from: String

    @Argument(help: "New name of the source.")
    var to: String

    @OptionGroup var copies: CopyOptions
    @OptionGroup var lock: WaitOption
    @OptionGroup var options: RepositoryOptions

    func run() throws {
        let change = SourceChange(options: options, copies: copies, lock: lock)
        try change.run(to) {
            try $0.rename(from, to: to)
        } words: {
            "source '\(from)' is '\(to)' now" + ($0.merged ? ", one with the source that had this name" : "")
        }
    }
}

struct SourceArchiveCommand: RepositoryCommand {
    static let configuration = CommandConfiguration(
        commandName: "archive",
        abstract: "Mark a source as no longer backed up: 'varve status' does not call it overdue.",
        discussion: "Nothing is deleted. A later backup of the source makes it active again.")

    @Argument(help: "Name of the source ('varve source list').")
    var source: String

    @Flag(help: "Make the source active again.")
    var undo = false

    @OptionGroup var copies: CopyOptions
    @OptionGroup var lock: WaitOption
    @OptionGroup var options: RepositoryOptions

    func run() throws {
        let change = SourceChange(options: options, copies: copies, lock: lock)
        try change.run(source, archived: !undo) {
            try $0.archive(source, undo: undo)
        } words: { _ in
            "source '\(source)' is \(undo ? "active again" : "archived")"
        }
    }
}
