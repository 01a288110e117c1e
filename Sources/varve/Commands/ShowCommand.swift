import ArgumentParser
import VarveFiles
import VarveFormat
import VarveOperations
import VarveRepository

struct ShowCommand: RepositoryCommand {
    static let configuration = CommandConfiguration(
        commandName: "show",
        abstract: "Show what a snapshot holds, where it was taken, and what its recovery needs.")

    @OptionGroup var snapshot: SnapshotArgument

    @OptionGroup var options: RepositoryOptions

    /// What `--json` prints: the manifest, and the snapshot's name.
    private struct Output: Encodable {
        var snapshot: String
        var manifest: Manifest

        private enum CodingKeys: CodingKey { case snapshot, partial, restoresTo, source }

        func encode(to encoder: any Encoder) throws {
            try manifest.encode(to: encoder)
            var container = encoder.container(keyedBy: CodingKeys.self)
            try container.encode(snapshot, forKey: .snapshot)
            try container.encode(manifest.sourceName, forKey: .source)
            try container.encode(manifest.isPartial, forKey: .partial)
            try container.encodeIfPresent(manifest.recovery?.recoverableTo, forKey: .restoresTo)
        }
    }

    func run() throws {
        let repository = try options.open()
        let reference = try repository.find(snapshot.snapshot, source: snapshot.source.source)
        let manifest = try repository.withoutOutlivedTaint(
            try repository.manifests.read(reference), reference)
        try Terminal.document(Output(snapshot: reference.description, manifest: manifest))
        guard !Terminal.isJSON else { return }
        try Terminal.output(table(rows(reference, manifest)))
        if let omitted = manifest.environment?.omitted { try Terminal.output(Self.describe(omitted)) }
        for warning in manifest.warnings { try Terminal.output("warning: \(warning.message)") }
    }

    private func rows(_ reference: SnapshotReference, _ manifest: Manifest) -> [[String]] {
        var rows = [
            ["snapshot", reference.name],
            ["taken", "\(manifest.started) to \(manifest.finished) on \(manifest.host) by \(manifest.tool)"],
        ]
        rows.insert(["source", manifest.sourceName], at: 1)
        if let environment = manifest.environment {
            rows.append(["environment", "\(environment.home), \(environment.mode.rawValue)"])
            rows.append(["log directory", Self.describe(environment.logDirectory)])
            for directory in environment.dataDirectories {
                rows.append(["data directory", Self.describe(directory)])
            }
            if environment.encrypted {
                rows.append(["encrypted", "by the database; its password is needed to recover"])
            }
        }
        if let recovery = manifest.recovery {
            rows.append(["restores to", "\(recovery.recoverableTo), log position \(recovery.endOfLog)"])
            rows.append([
                "logs", "\(recovery.firstLog) to \(recovery.lastLog), all needed by catastrophic recovery",
            ])
            if let checkpoint = recovery.checkpoint { rows.append(["checkpoint", "\(checkpoint)"]) }
            if let largest = recovery.largestPageLSN { rows.append(["newest page", "\(largest)"]) }
        }
        let statistics = manifest.statistics
        let unread = statistics.unreadFiles.map { "; \($0) of them unchanged and not read" } ?? ""
        rows.append(["files", "\(manifest.files.count), \(ByteCount(manifest.totalBytes))\(unread)"])
        rows.append([
            "added",
            "\(ByteCount(statistics.storedBytes)) for \(statistics.newExtents) new of \(statistics.extents) extents; "
                + "\(statistics.deltaExtents) as deltas in \(ByteCount(statistics.deltaBytes)), "
                + "\(ByteCount(statistics.metadataBytes)) of maps",
        ])
        if let only = manifest.environment?.only {
            rows.append(["PARTIAL", "of the databases, only \(only.joined(separator: ", "))"])
        }
        if manifest.tainted { rows.append(["TAINTED", "the source was damaged; see the warnings"]) }
        return rows
    }

    /// What was there and is not in the snapshot, all that is known of it.
    private static func describe(_ omitted: Manifest.Omissions) -> String {
        var lines = ["not in the snapshot (\(omitted.count)):"]
        // A name may have a line break in it.
        lines += omitted.entries.map { "  " + Text.printable($0.forPeople) }
        let rest = omitted.count - min(omitted.count, UInt64(omitted.entries.count))
        if rest > 0 { lines.append("  and \(rest) more, whose names were not recorded") }
        return lines.joined(separator: "\n")
    }

    private static func describe(_ directory: Manifest.Environment.PlacedDirectory) -> String {
        if directory.restored == "." { return "the home" }
        let place = directory.original == directory.restored ? "" : ", restored as \(directory.restored)"
        return directory.original + place + (directory.configured ? "" : " (not in DB_CONFIG)")
    }
}
