import ArgumentParser
import VarveFiles
import VarveFormat
import VarveOperations
import VarveRepository

struct LsCommand: RepositoryCommand {
    static let configuration = CommandConfiguration(
        commandName: "ls", abstract: "List the files of a snapshot: databases, configuration, logs.")

    @OptionGroup var snapshot: SnapshotArgument

    @OptionGroup var options: RepositoryOptions

    /// What `--json` prints.
    private struct Output: Encodable {
        var snapshot: String
        /// Only some of the environment's databases are in it.
        var partial: Bool
        var only: [String]?
        var files: [Manifest.StoredFile]
    }

    func run() throws {
        let repository = try options.open()
        let reference = try repository.find(snapshot.snapshot, source: snapshot.source.source)
        let manifest = try repository.manifests.read(reference)
        let only = manifest.environment?.only
        let partial = only.map {
            "of the environment's databases, only \($0.joined(separator: ", ")) were backed up"
        }
        if Terminal.isJSON {
            if let partial { Terminal.remark("note: PARTIAL: " + partial) }
            return try Terminal.document(
                Output(
                    snapshot: reference.description, partial: manifest.isPartial, only: only,
                    files: manifest.files))
        }
        let rows = manifest.files.map { file in
            [file.kind.rawValue, "\(ByteCount(file.size))", Self.facts(file), file.path]
        }
        try Terminal.output(table([["KIND", "SIZE", "FACTS", "PATH"]] + rows, rightAligned: [1]))
        if let partial { try Terminal.output("PARTIAL: " + partial) }
    }

    private static func facts(_ file: Manifest.StoredFile) -> String {
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
