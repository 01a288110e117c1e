import ArgumentParser
import VarveFiles
import VarveFormat
import VarveOperations
import VarveRepository

struct LsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ls", abstract: "List the files of a snapshot: databases, configuration, logs.")

    @OptionGroup var options: RepositoryOptions

    @Argument(help: "latest, a number, or what 'varve snapshots' prints.")
    var snapshot = "latest"

    @OptionGroup var source: SourceOption

    func run() throws {
        let repository = try options.open()
        let manifest = try repository.manifests.read(try repository.find(snapshot, source: source.source))
        if options.json {
            if let only = manifest.environment?.only { Terminal.say("note: " + Self.partial(only)) }
            return try printJSON(manifest.files)
        }
        let rows = manifest.files.map { file in
            [file.kind.rawValue, "\(ByteCount(file.size))", Self.facts(file), file.path]
        }
        try Terminal.output(table([["KIND", "SIZE", "FACTS", "PATH"]] + rows, rightAligned: [1]))
        if let only = manifest.environment?.only { try Terminal.output("PARTIAL: " + Self.partial(only)) }
    }

    private static func partial(_ only: [String]) -> String {
        "of the environment's databases, only \(only.joined(separator: ", ")) were backed up"
    }

    private static func facts(_ file: Manifest.File) -> String {
        if let database = file.database {
            let lsn = database.largestLSN.map { ", LSN to \($0)" } ?? ""
            return "\(database.type), \(database.pages) pages of \(database.pageSize)\(lsn)"
        }
        if let log = file.log {
            return "\(log.firstLSN) to \(log.lastLSN), \(ByteCount(log.validLength)) of records"
        }
        return ""
    }
}
