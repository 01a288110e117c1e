import ArgumentParser
import Varve
import VarveFormat
import VarveRepository

struct VerifyCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "verify", abstract: "Prove that what is stored can be read.",
        discussion: """
            --media reads every stored byte and compares each object with its name; it needs no key and no index. \
            --content decodes every blob, checks its id, and follows every snapshot to each extent it needs; what is \
            lost is named by snapshot, file and byte range. Without either, both are done.
            """)

    @OptionGroup var options: RepositoryOptions

    @Flag(help: "Stored bytes against names.")
    var media = false

    @Flag(help: "Decoded blobs against ids, and every snapshot's completeness.")
    var content = false

    /// What `--json` prints.
    private struct Output: Codable {
        var good: Bool
        var media: VerificationReport?
        var content: VerificationReport?
    }

    func run() throws {
        Interruption.install()
        let repository = try options.open()
        let both = !media && !content
        let mediaReport = media || both ? try carryOut("media", repository) { try $0.verifyMedia() } : nil
        let contentReport =
            content || both ? try carryOut("content", repository) { try $0.verifyContent() } : nil
        let good = (mediaReport?.isGood ?? true) && (contentReport?.isGood ?? true)
        if options.json { try printJSON(Output(good: good, media: mediaReport, content: contentReport)) }
        guard good else {
            throw VarveError(
                .corrupt, "\(repository.path) is damaged",
                hint:
                    "back up anew into another repository now; what is named above can't be trusted, the rest restores"
            )
        }
    }

    private func carryOut(
        _ name: String, _ repository: Repository, _ verify: (Verifier) throws -> VerificationReport
    ) throws -> VerificationReport {
        let line = ProgressLine()
        let verifier = Verifier(
            repository, isCancelled: { Interruption.cancellation.isRequested },
            progress: { line.show(Progress(item: $0, bytesDone: $1, bytesTotal: $2)) })
        let report = try verify(verifier)
        line.finish()
        for finding in report.findings {
            let place = finding.range.map { ", bytes \($0.lowerBound) to \($0.upperBound)" } ?? ""
            Terminal.say("damaged: \(repository.path)/\(finding.object)\(place): \(finding.problem)")
        }
        for loss in report.losses { Terminal.say(loss.words) }
        let blobs = report.blobs > 0 ? ", \(report.blobs) blobs" : ""
        Terminal.say(
            "\(name): \(report.objects) objects\(blobs), \(report.snapshots) snapshots, \(ByteCount(report.bytes)) in "
                + "\(rate(report.bytes, line.seconds)): \(report.isGood ? "all good" : "DAMAGED")")
        return report
    }
}
