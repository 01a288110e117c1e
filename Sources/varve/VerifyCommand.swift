import ArgumentParser
import VarveFiles
import VarveFormat
import VarveOperations
import VarveRepository
import VarveStorage
import VarveUpkeep

struct VerifyCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "verify", abstract: "Prove that what is stored can be read.",
        discussion: """
            --media reads every stored byte from the medium, not from the page cache, and compares each object with its \
            name; it needs no key and no index. What was read is recorded in the copy's ledger: interrupted, the same \
            command goes on where it stopped; with a budget (--max-duration, --max-bytes) or by age (--older-than) it \
            reads the oldest first. --content decodes every blob, checks its id, and follows every snapshot to each \
            extent it needs; what is lost is named by snapshot, file and byte range. --drill restores a snapshot into a \
            scratch directory, recovers it where it can't reach the live files, verifies every database, compares with \
            what was promised, keeps the evidence in the copy, and cleans up. Without any of them, --media --content.
            """)

    @OptionGroup var options: RepositoryOptions
    @OptionGroup var copies: CopyOptions

    @Option(help: "Another copy than the one that was named (label, id or path).")
    var copy: String?

    @Flag(help: "Stored bytes against names.")
    var media = false

    @Flag(help: "Decoded blobs against ids, and every snapshot's completeness.")
    var content = false

    @Flag(help: "Restore, recover and verify a snapshot, for proof.")
    var drill = false

    @Argument(help: "The snapshot of --drill; latest unless given.")
    var snapshot: String?

    @OptionGroup(title: "Options of --media") var mediaArguments: MediaArguments

    @OptionGroup(title: "Options of --drill") var drillArguments: DrillArguments

    func validate() throws {
        guard media || mediaArguments.areDefault || !content && !drill else {
            throw ValidationError("these are options of --media, which was not asked for")
        }
        guard drill || snapshot == nil && drillArguments.areDefault else {
            throw ValidationError(
                "a snapshot, --source, --scratch and passwords are for --drill, which was not asked for")
        }
    }

    /// What `--json` prints.
    private struct Output: Codable {
        var good: Bool
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
        var mediaReport =
            wantsMedia ? try carryOut("media", repository, []) { try $0.verifyMedia(mediaOptions) } : nil
        let told = Set(mediaReport?.findings ?? [])
        let contentReport =
            wantsContent ? try carryOut("content", repository, told) { try $0.verifyContent() } : nil
        if let contentReport { mediaReport?.forgive(contentReport.unneeded) }
        let evidence = drill ? try drillArguments.carryOut(snapshot ?? "latest", repository) : nil
        let isWhole = (mediaReport?.isGood ?? true) && (contentReport?.isGood ?? true)
        let good = isWhole && evidence?.isGood ?? true
        if options.json {
            try printJSON(Output(good: good, media: mediaReport, content: contentReport, drill: evidence))
        }
        if isWhole, let evidence, !evidence.isGood {
            throw VarveError(
                .corrupt, "the drill of snapshot \(evidence.snapshot.prefix(19)) has failed",
                location: repository.path,
                hint: "run 'varve verify' to see what is damaged; try the drill with another snapshot or copy"
            )
        }
        let reports = [mediaReport, contentReport].compactMap(\.self)
        if !isWhole, reports.allSatisfy({ $0.isGood || $0.isUnreadable }) {
            throw VarveError(
                .unreadable, "\(repository.path) could not be read as a whole", location: repository.path,
                hint:
                    "nothing is known against what is named above: see why it can't be read (rights, limits, memory), "
                    + "then run the same command again")
        }
        guard good else {
            sayHolders(of: (mediaReport?.findings ?? []) + (contentReport?.findings ?? []), named, repository)
            throw VarveError(
                .corrupt, "\(repository.path) is damaged",
                hint:
                    "'varve heal' mends what another copy, or parity, has whole; else back up anew into another repository"
                    + " now: what is named above can't be trusted, the rest restores"
            )
        }
        if reports.contains(where: { !$0.uncovered.isEmpty }) {
            Terminal.say("hint: 'varve heal' or the next backup brings it under parity")
            throw ExitCode(ExitStatus.tainted)
        }
    }

    /// Where what is damaged here can be had: that copies can't be looked for now is not what was asked.
    private func sayHolders(of findings: [Finding], _ named: Repository, _ damaged: Repository) {
        guard let all = try? copies.open(named), all.online.count > 1 else { return }
        var seen: Set<String> = []
        for finding in findings where seen.insert(finding.object).inserted && seen.count <= 20 {
            let holders = all.holders(of: finding.object, but: damaged)
            guard !holders.isEmpty else { continue }
            Terminal.say("whole on \(holders.joined(separator: ", ")): \(finding.object)")
        }
    }

    /// - Parameter told: findings that were said already.
    private func carryOut(
        _ name: String, _ repository: Repository, _ told: Set<Finding>,
        _ verify: (Verifier) throws -> VerificationReport
    ) throws -> VerificationReport {
        let line = ProgressLine()
        let verifier = Verifier(
            repository, isCancelled: { Interruption.cancellation.isRequested },
            progress: { line.show(Progress(item: $0, bytesDone: $1, bytesTotal: $2)) })
        let report = try verify(verifier)
        line.finish()
        for finding in report.findings where !told.contains(finding) {
            Terminal.say(finding.words(in: repository.path))
        }
        for line in Loss.lines(report.losses) { Terminal.say(line) }
        for object in report.unneeded {
            Terminal.say("no snapshot needs what is missing: \(repository.path)/\(object)")
        }
        if told.isEmpty {
            if !report.uncovered.isEmpty {
                Terminal.say("under no parity: \(objects(report.uncovered.count))")
            }
            if let first = report.strangers.first {
                Terminal.say(
                    "no object is called like \(first)"
                        + (report.strangers.count > 1 ? " and \(report.strangers.count - 1) more" : "")
                        + ": left alone")
            }
        }
        let blobs = report.blobs > 0 ? ", \(report.blobs) blobs" : ""
        Terminal.say(
            "\(name): \(objects(report.objects))\(blobs), \(snapshots(report.snapshots)), \(ByteCount(report.bytes)) in "
                + "\(rate(report.bytes, line.seconds))\(report.reading?.means ?? ""): "
                + report.verdict)
        report.reading?.lines.forEach(Terminal.say)
        if report.baseless > 0 {
            Terminal.say(
                "\(report.baseless) blobs are built on ones that are not here; no snapshot needs them, as after a "
                    + "'varve copy sync' that was cut short")
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
    fileprivate mutating func forgive(_ unneeded: [String]) {
        findings.removeAll { $0.kind == .missing && unneeded.contains($0.object) }
    }
}

extension Finding {
    /// One line for people.
    func words(in path: String) -> String {
        let place = range.map { ", bytes \($0.lowerBound) to \($0.upperBound)" } ?? ""
        let word =
            switch kind {
            case .missing: "missing"
            case .damaged: "damaged"
            case .unreadable: "can't be read"
            }
        return "\(word): \(path)/\(object)\(place): \(problem)"
    }
}

/// How the media are read.
struct MediaArguments: ParsableArguments {
    @Option(help: "Stop when so much time has passed: 90s, 10m, 2h.")
    var maxDuration: DurationArgument?

    @Option(help: "Read no more than this: 500MiB, 20GiB.")
    var maxBytes: SizeArgument?

    @Option(help: "Only what was not read for so long: 30d, 12h.")
    var olderThan: DurationArgument?

    @Option(help: "No more than this in a second: 50MiB.")
    var rate: SizeArgument?

    @Flag(help: "Begin anew, whatever an interrupted run has left.")
    var restart = false

    @Flag(help: "Through the page cache: fast, but no proof of the medium, and not recorded.")
    var cached = false

    var areDefault: Bool {
        maxDuration == nil && maxBytes == nil && olderThan == nil && rate == nil && !restart && !cached
    }

    var options: MediaOptions {
        var options = MediaOptions()
        options.maximumDuration = maxDuration?.seconds
        options.maximumBytes = maxBytes?.bytes
        options.olderThan = olderThan?.seconds
        options.rate = rate?.bytes
        options.restarts = restart
        options.isCached = cached
        return options
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
                "round begun \(round.started): \(objects(round.objectsBefore)), \(ByteCount(round.bytesBefore)), were read "
                    + "by interrupted runs before (--restart reads them again)")
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
