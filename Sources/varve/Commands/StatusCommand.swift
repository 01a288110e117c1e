import ArgumentParser
import VarveCopies
import VarveFormat
import VarveOperations
import VarveRepository

struct StatusCommand: RepositoryCommand {
    static let configuration = CommandConfiguration(
        commandName: "status",
        abstract: "Show what can be restored, to which moment, from which disk, and whether all is well.",
        discussion: """
            A snapshot is verified on a copy when everything up to it was read from the medium without error within \
            --read-within ('varve verify --media'). Exit code 3: something is damaged or against the policy. With -q only \
            the problems are printed.
            """)

    private static let readingAge = DurationArgument(days: 30)

    @Option(
        help: ArgumentHelp(
            "Maximum age of the newest verified snapshot of each source: 90s, 10m, 26h, 7d.",
            valueName: "duration"), transform: DurationArgument.init)
    var maxAge: DurationArgument?

    @Option(
        help: ArgumentHelp(
            "Minimum number of copies on which that snapshot must be verified.", valueName: "count"))
    var minCopies = 1

    @Option(
        help: ArgumentHelp(
            "Maximum age of the readings of a verified copy (default: \(Self.readingAge)).",
            valueName: "duration"),
        transform: DurationArgument.init)
    var readWithin = Self.readingAge

    @Option(
        help: ArgumentHelp(
            "Look only at this source ('varve source list'). May be repeated.", valueName: "name"))
    var source: [String] = []

    @OptionGroup var copies: CopyOptions
    @OptionGroup var options: RepositoryOptions

    func validate() throws {
        if minCopies < 1 { throw ValidationError("--min-copies must be at least 1, not \(minCopies)") }
    }

    func run() throws {
        var policy = RepositoryStatus.Policy()
        policy.maximumAge = maxAge.map { Int64($0.seconds) }
        policy.minimumCopies = minCopies
        policy.readWithin = Int64(readWithin.seconds)
        policy.sources = source.isEmpty ? nil : source
        let status = try RepositoryStatus(try copies.open(try options.open()), policy: policy)
        try Terminal.document(status)
        if Terminal.isQuiet {
            for problem in status.problems { Terminal.warn("problem: \(problem)") }
        } else if !Terminal.isJSON {
            try Terminal.output(coloured: StatusPage(status).text)
        }
        if !status.problems.isEmpty { throw ExitCode(ExitStatus.attention) }
    }
}
