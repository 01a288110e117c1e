import ArgumentParser
import VarveRepository
import VarveUpkeep

/// How the media are read.
struct MediaArguments: ParsableArguments {
    @Option(
        help: ArgumentHelp("Stop after this time: 90s, 10m, 2h.", valueName: "duration"),
        transform: DurationArgument.init)
    var maxDuration: DurationArgument?

    @Option(
        help: ArgumentHelp("Stop after this many bytes: 500MiB, 20GiB.", valueName: "size"),
        transform: SizeArgument.init)
    var maxBytes: SizeArgument?

    @Option(
        help: ArgumentHelp(
            "Read only objects that were not read for this time: 12h, 30d.", valueName: "duration"),
        transform: DurationArgument.init)
    var olderThan: DurationArgument?

    @Option(
        help: ArgumentHelp("Read at most this many bytes a second: 50MiB.", valueName: "size"),
        transform: SizeArgument.init)
    var rate: SizeArgument?

    @Flag(help: "Begin a new round. Without it an interrupted run is continued.")
    var restart = false

    @Flag(help: "Read through the page cache. It is fast, proves nothing of the medium, and is not recorded.")
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
