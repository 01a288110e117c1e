import ArgumentParser
import VarveFiles
import VarveFormat
import VarveOperations
import VarveRepository
import VarveStorage
import VarveUpkeep

struct VerifyCommand: RepositoryCommand {
    static let configuration = CommandConfiguration(
        commandName: "verify", abstract: "Prove that what is stored can be read.",
        discussion: """
            --media reads every stored byte from the medium, not from the page cache, and compares each object with its \
            name. It needs no key and no index. The copy's ledger records what was read. An interrupted run is continued by \
            the same command. With a budget (--max-duration, --max-bytes) or an age (--older-than), the objects that \
            were not read for the longest time are read first.

            --content decodes every blob, checks its id, and follows every snapshot to each extent that it needs. What is \
            lost is named by snapshot, file and byte range.

            --drill restores a snapshot into a scratch directory, recovers it where it can't reach the live files, verifies \
            every database, compares the result with what was promised, stores the evidence in the copy, and cleans up.

            Without any of the three, --media and --content are done.
            """)

    @Option(
        help: ArgumentHelp(
            "Verify this copy (label, id or path) instead of the named one.", valueName: "copy"))
    var copy: String?

    @Flag(help: "Compare every stored byte with the names of the objects.")
    var media = false

    @Flag(help: "Decode every blob, and check that every snapshot is complete.")
    var content = false

    @Flag(help: "Restore, recover and verify a snapshot, as proof.")
    var drill = false

    @Argument(help: "Snapshot for --drill (default: latest).")
    var snapshot: String?

    @OptionGroup(title: "Options of --media") var mediaArguments: MediaArguments

    @OptionGroup(title: "Options of --drill") var drillArguments: DrillArguments

    @OptionGroup var copies: CopyOptions
    @OptionGroup var options: RepositoryOptions

    func validate() throws {
        guard media || mediaArguments.areDefault || !content && !drill else {
            throw ValidationError("options of --media need --media")
        }
        guard drill || snapshot == nil && drillArguments.areDefault else {
            throw ValidationError("a snapshot, --source, --scratch and passwords need --drill")
        }
    }

    /// What `--json` prints.
    private struct Output: Encodable {
        var good: Bool
        var path: String
        var media: VerificationReport?
        var content: VerificationReport?
        var drill: DrillEvidence?
    }

    func run() throws {
        Interruption.install()
        let named = try options.open()
        let repository = try copy.map { try copies.open(named).find($0).there() } ?? named
        // Options of one of them ask for that one.
        let isPlain = !media && !content && !drill
        let wantsMedia = media || isPlain
        let wantsContent = content || isPlain && mediaArguments.areDefault
        let mediaOptions = mediaArguments.options
        var words: [String] = []
        var mediaReport =
            wantsMedia
            ? try carryOut("media", repository, [], &words) { try $0.verifyMedia(mediaOptions) } : nil
        let told = Set(mediaReport?.findings ?? [])
        let contentReport =
            wantsContent ? try carryOut("content", repository, told, &words) { try $0.verifyContent() } : nil
        if let contentReport { mediaReport?.forgive(contentReport.unneeded) }
        let drilled = drill ? try drillArguments.carryOut(snapshot ?? "latest", repository) : nil
        if let drilled { words.append(drilled.words) }
        let evidence = drilled?.evidence
        let isWhole = (mediaReport?.isGood ?? true) && (contentReport?.isGood ?? true)
        try Terminal.document(
            Output(
                good: isWhole && evidence?.isGood ?? true, path: repository.path, media: mediaReport,
                content: contentReport, drill: evidence))
        Terminal.result(words.joined(separator: "; "))
        if let place = drilled?.place { Terminal.remark("evidence: \(place)") }
        if isWhole, let evidence, !evidence.isGood {
            throw VarveError(
                .corrupt, "the drill of snapshot \(evidence.snapshot.prefix(19)) has failed",
                location: repository.path,
                hint: "run 'varve verify' to see what is damaged; try the drill with another snapshot or copy"
            )
        }
        let reports = [mediaReport, contentReport].compactMap(\.self)
        guard isWhole else { throw damage(reports, named, repository) }
        if reports.contains(where: { !$0.uncovered.isEmpty }) {
            Terminal.warn("hint: run 'varve heal', or wait for the next backup")
            throw ExitCode(ExitStatus.attention)
        }
    }

    private func damage(
        _ reports: [VerificationReport], _ named: Repository, _ repository: Repository
    ) -> VarveError {
        if reports.allSatisfy({ $0.isGood || $0.isUnreadable }) {
            return VarveError(
                .unreadable, "parts of \(repository.path) could not be read", location: repository.path,
                hint: """
                    the objects above may be good: find out why they can't be read (rights, limits, memory), then run \
                    the same command again
                    """)
        }
        tellHolders(of: reports.flatMap(\.findings), named, repository)
        return VarveError(
            .corrupt, "\(repository.path) is damaged",
            hint: """
                run 'varve heal' if there is another copy or parity; otherwise back up into another repository now. \
                What is named above can't be trusted; the rest can be restored
                """)
    }

    /// Where what is damaged here can be had: that copies can't be looked for now is not what was asked.
    private func tellHolders(of findings: [Finding], _ named: Repository, _ damaged: Repository) {
        guard let all = try? copies.open(named), all.online.count > 1 else { return }
        var seen: Set<Finding.Place> = []
        for finding in findings where seen.insert(finding.place).inserted && seen.count <= 20 {
            let holders = finding.object.map { all.holders(of: $0, but: damaged) } ?? []
            guard !holders.isEmpty else { continue }
            Terminal.warn("whole on \(holders.joined(separator: ", ")): \(finding.place)")
        }
    }

    /// - Parameters:
    ///   - told: findings that were told already.
    ///   - words: gets the result.
    private func carryOut(
        _ name: String, _ repository: Repository, _ told: Set<Finding>, _ words: inout [String],
        _ verify: (Verifier) throws -> VerificationReport
    ) throws -> VerificationReport {
        let line = ProgressLine()
        let verifier = Verifier(
            repository, cancellation: Interruption.cancellation,
            progress: { line.show($0) })
        let report = try verify(verifier)
        line.finish()
        for finding in report.findings where !told.contains(finding) {
            Terminal.warn(finding.words(in: repository.path))
        }
        for line in Loss.lines(report.losses) { Terminal.warn(line) }
        for object in report.unneeded {
            Terminal.warn("missing, and no snapshot needs it: \(repository.path)/\(object)")
        }
        if told.isEmpty {
            if !report.uncovered.isEmpty {
                Terminal.warn("not under parity: \(objects(report.uncovered.count))")
            }
            if let first = report.strangers.first {
                let more = report.strangers.count > 1 ? " and \(report.strangers.count - 1) more" : ""
                Terminal.warn("unexpected file: \(first)\(more): not a valid object name, left as it is")
            }
        }
        let blobs = report.blobs > 0 ? ", \(report.blobs) blobs" : ""
        words.append(
            "\(name): \(objects(report.objects))\(blobs), \(snapshots(report.snapshots)), "
                + "\(ByteCount(report.bytes)) in \(rate(report.bytes, line.seconds))"
                + "\(report.reading?.means ?? ""): \(report.verdict)")
        report.reading?.lines.forEach(Terminal.remark)
        if report.baseless > 0 {
            Terminal.remark(
                "\(report.baseless) blobs are deltas against blobs that are not here; no snapshot needs them. An "
                    + "interrupted 'varve copy sync' leaves such blobs")
        }
        return report
    }
}

extension VerificationReport {
    /// In a word or two.
    fileprivate var verdict: String {
        if isGood { return "all good" }
        if isUnreadable { return "NOT ALL COULD BE READ" }
        return losses.isEmpty && findings.allSatisfy { $0.kind == .missing } ? "INCOMPLETE" : "DAMAGED"
    }

    /// Missing packs that no snapshot needs, as a look at the content has shown.
    fileprivate mutating func forgive(_ unneeded: [ObjectName]) {
        findings.removeAll { $0.kind == .missing && $0.object.map(unneeded.contains) ?? false }
    }
}

extension MediaReading {
    /// Behind the figures of what was read.
    fileprivate var means: String {
        if isCached { return ", from the page cache" }
        if direct + dropBehind == 0 { return "" }
        return dropBehind == 0
            ? ", direct" : direct == 0 ? ", drop-behind" : ", \(direct) direct, \(dropBehind) drop-behind"
    }

    /// What there is to say beside that, one fact a line.
    fileprivate var lines: [String] {
        var lines = notes.map { "ledger: \($0)" }
        if let round, round.objectsBefore > 0 {
            lines.append(
                "round begun \(round.started): interrupted runs have read \(objects(round.objectsBefore)), "
                    + "\(ByteCount(round.bytesBefore)) (--restart reads them again)")
        }
        if objectsLeft > 0 {
            lines.append("remaining: \(objects(objectsLeft)), \(ByteCount(bytesLeft))")
        }
        if neverRead > 0 { lines.append("never read: \(objects(neverRead))") }
        // Of a whole round nobody asks.
        if round == nil, !isCached, let oldest {
            lines.append("oldest reading: \(oldest), \(age(Clock.now().seconds - oldest.seconds)) ago")
        }
        return lines
    }
}
