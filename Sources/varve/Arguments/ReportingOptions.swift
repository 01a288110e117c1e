import ArgumentParser

/// How results are printed: the same in every command.
struct ReportingOptions: ParsableArguments {
    @Flag(help: "Print the result, or the error, as one JSON document on standard output.")
    var json = false

    @Flag(
        name: [.customShort("q"), .long],
        help: """
            Print only what a person must see: errors, and the warnings of a run that does not end with 0. Lists and \
            JSON documents are printed in any case.
            """)
    var quiet = false

    @Flag(
        name: [.customShort("v"), .long],
        help: "Print also what failed and was made up for, as an index table that can't be read.")
    var verbose = false
}

/// A command whose output is governed by `ReportingOptions`.
protocol ReportingCommand: ParsableCommand {
    var reporting: ReportingOptions { get }
}

/// A command on a repository.
protocol RepositoryCommand: ReportingCommand {
    var options: RepositoryOptions { get }
}

extension RepositoryCommand {
    var reporting: ReportingOptions { options.reporting }
}
