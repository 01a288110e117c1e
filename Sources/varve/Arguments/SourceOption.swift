import ArgumentParser

/// Of which source 'latest' is meant.
struct SourceOption: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "Source whose newest snapshot is 'latest' ('varve source list').", valueName: "name"))
    var source: String?
}

/// The snapshot that a command is about.
struct SnapshotArgument: ParsableArguments {
    @Argument(help: "Snapshot: 'latest', a number, or as 'varve snapshots' prints it.")
    var snapshot = "latest"

    @OptionGroup var source: SourceOption
}
