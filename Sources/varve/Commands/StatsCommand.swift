import ArgumentParser
import VarveFiles
import VarveFormat
import VarveOperations
import VarveRepository

struct StatsCommand: RepositoryCommand {
    static let configuration = CommandConfiguration(
        commandName: "stats",
        abstract: "Show what the backup of a snapshot found and added, and what a restore has to read.",
        discussion: """
            What the backup found is counted in extents: not read (the file's times show that it did not change), zeros, \
            unchanged since the previous snapshot, deduplicated (stored before, from another place), stored as deltas, \
            stored whole. The rest is computed from the headers of the stored blobs; nothing is decoded. A blob that \
            several files share counts with the first of them.

            With --json, [count, bytes, stored] are extents or blobs, their bytes, and what they take in packs.
            """)

    @OptionGroup var snapshot: SnapshotArgument

    @OptionGroup var options: RepositoryOptions

    func run() throws {
        let repository = try options.open()
        let reference = try repository.find(snapshot.snapshot, source: snapshot.source.source)
        let statistics = try repository.statistics(of: reference)
        try Terminal.document(statistics)
        guard !Terminal.isJSON else { return }
        let manifest = try repository.manifests.read(reference)
        let sections = [
            table(Self.source(manifest, statistics)), Self.found(statistics, manifest),
            table(Self.facts(statistics)), Self.files(statistics),
        ]
        try Terminal.output(sections.joined(separator: "\n\n"))
    }

    private static func source(_ manifest: Manifest, _ statistics: SnapshotStatistics) -> [[String]] {
        [
            ["snapshot", statistics.snapshot],
            [
                "source",
                "\(manifest.sourceName) at \(manifest.finished)" + (manifest.isPartial ? " PARTIAL" : ""),
            ],
            ["files", "\(manifest.files.count), \(ByteCount(manifest.totalBytes))"],
        ]
    }

    /// What only the backup knew.
    private static func found(_ statistics: SnapshotStatistics, _ manifest: Manifest) -> String {
        guard let tally = statistics.tally else {
            let sums = manifest.statistics
            let shared = sums.extents - min(sums.extents, sums.newExtents)
            return table([
                ["found", "only sums: an older varve took the snapshot"],
                ["extents", "\(sums.extents), \(ByteCount(sums.sourceBytes)); \(shared) of them not new"],
                [
                    "added",
                    "\(ByteCount(sums.storedBytes)) for \(sums.newExtents) new extents,"
                        + " \(ByteCount(sums.newBytes)); \(sums.deltaExtents) as deltas"
                        + " in \(ByteCount(sums.deltaBytes)), \(ByteCount(sums.metadataBytes)) of maps",
                ],
            ])
        }
        let rows: [(String, Manifest.Tally.Part)] = [
            ("not read", tally.unread), ("zeros", tally.zeros), ("unchanged", tally.unchanged),
            ("deduplicated", tally.deduplicated),
            ("as deltas", tally.deltas), ("whole", tally.whole), ("maps", tally.maps),
            ("added", tally.added),
        ]
        let lines = rows.map { name, part in
            [
                name, String(part.count), "\(ByteCount(part.bytes))",
                part.stored == 0 ? "-" : "\(ByteCount(part.stored))",
                part.stored == 0 ? "-" : fixed(Double(part.bytes) / Double(part.stored)),
            ]
        }
        return table([["FOUND", "EXTENTS", "BYTES", "STORED", "RATIO"]] + lines, rightAligned: [1, 2, 3, 4])
    }

    private static func facts(_ statistics: SnapshotStatistics) -> [[String]] {
        let (stored, restore) = (statistics.stored, statistics.restore)
        var rows = [
            [
                "stored",
                "\(ByteCount(stored.all.stored)) in \(stored.all.count) blobs: \(stored.whole.count) whole in"
                    + " \(ByteCount(stored.whole.stored)), \(stored.deltas.count) deltas in"
                    + " \(ByteCount(stored.deltas.stored)), \(stored.maps.count) maps in"
                    + " \(ByteCount(stored.maps.stored))",
            ],
            [
                "metadata",
                "\(ByteCount(stored.headerBytes)) of blob headers (in the sums above);"
                    + " \(ByteCount(stored.directoryBytes)) in pack directories,"
                    + " \(ByteCount(stored.indexBytes)) in the index, \(ByteCount(statistics.manifestBytes))"
                    + " manifest",
            ],
        ]
        if let work = restore.work {
            rows.append([
                "restore",
                "\(ByteCount(restore.bytes)) without zeros; \(fixed(work)) bytes decoded for each byte restored",
            ])
        }
        if let mean = restore.meanDepth, let least = restore.shallowest, let most = restore.deepest {
            rows.append(["chains", "\(least) to \(most) deltas, \(fixed(mean)) on average"])
            rows.append(["", histogram(restore.extentsByDepth)])
        }
        rows.append([
            "repository",
            "\(describe(statistics.packs, "pack")), \(describe(statistics.indexes, "index table")),"
                + " \(describe(statistics.filters, "filter")),"
                + " \(describe(statistics.manifests, "manifest")),"
                + " \(describe(statistics.summaries, "summary table"))",
        ])
        return rows
    }

    private static func describe(_ objects: SnapshotStatistics.Objects, _ noun: String) -> String {
        "\(objects.count) \(noun)\(objects.count == 1 ? "" : "s") of \(ByteCount(objects.bytes))"
    }

    /// Extents by the deltas that they need, in classes that double: `0: 12, 1: 3, 2-3: 1`.
    private static func histogram(_ counts: [UInt64]) -> String {
        var classes: [String] = []
        var low = 0
        while low < counts.count {
            let high = min(low == 0 ? 1 : 2 * low, counts.count)
            let sum = counts[low..<high].reduce(0, +)
            if sum > 0 { classes.append("\(low)\(high - low > 1 ? "-\(high - 1)" : ""): \(sum)") }
            low = high
        }
        return "extents by deltas: " + classes.joined(separator: ", ")
    }

    private static func files(_ statistics: SnapshotStatistics) -> String {
        let header = [
            "SIZE", "READ", "UNCHANGED", "DEDUPLICATED", "DELTAS", "WHOLE", "ADDED", "STORED", "CHAIN",
            "WORK",
            "PATH",
        ]
        let rows = statistics.files.map(row)
        return table([header] + rows, rightAligned: Set([0] + (2...9)))
    }

    private static func row(_ file: SnapshotStatistics.FileStatistics) -> [String] {
        func found(_ bytes: (Manifest.Tally) -> UInt64) -> String {
            file.tally.map { "\(ByteCount(bytes($0)))" } ?? "?"
        }
        return [
            "\(ByteCount(file.size))", file.reading ?? "-", found(\.unchanged.bytes),
            found(\.deduplicated.bytes),
            found(\.deltas.bytes), found(\.whole.bytes), found(\.added.stored),
            "\(ByteCount(file.stored.all.stored))", file.restore.deepest.map { "\($0)" } ?? "-",
            file.restore.work.map(fixed) ?? "-", file.path,
        ]
    }
}
