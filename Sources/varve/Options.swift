import ArgumentParser
import Glibc
import VarveFormat
import VarveRepository

/// Which repository, and how results are printed: the same in every command.
struct RepositoryOptions: ParsableArguments {
    @Option(
        name: [.customShort("r"), .long], help: "The repository's directory (or VARVE_REPOSITORY).",
        completion: .directory)
    var repository: String?

    @Option(
        help:
            "Go on only if the repository has this id (or VARVE_REPOSITORY_ID): not on another one's disk."
    )
    var repositoryId: String?

    @Flag(help: "Print the result as JSON on standard output.")
    var json = false

    func path() throws -> String {
        if let path = repository ?? Self.variable("VARVE_REPOSITORY") { return path }
        throw ValidationError("no repository: pass -r PATH or set VARVE_REPOSITORY")
    }

    private static func variable(_ name: String) -> String? {
        getenv(name).flatMap { $0.pointee == 0 ? nil : String(cString: $0) }
    }

    func open() throws -> Repository {
        let repository = try Repository.open(try path())
        for finding in repository.identityDamage {
            Terminal.say(
                "warning: \(finding.problem); what it says is known all the same, 'varve heal' mends it")
        }
        if let wanted = repositoryId ?? Self.variable("VARVE_REPOSITORY_ID"),
            wanted.lowercased() != repository.id.description
        {
            throw VarveError(
                .wrongDisk, "\(repository.path) is repository \(repository.id), not \(wanted.lowercased())",
                hint: "mount the right disk there. Nothing was written")
        }
        return repository
    }
}

/// A number of bytes as people write it: `4096`, `50MiB`, `2GB`; units of 1024 with an `i`, of 1000 without.
struct SizeArgument: ExpressibleByArgument {
    var bytes: UInt64

    init?(argument: String) {
        let factors: [(String, Double)] = [
            ("", 1), ("b", 1), ("kib", 1024), ("mib", 1_048_576), ("gib", 1_073_741_824),
            ("tib", 1_099_511_627_776),
            ("kb", 1e3), ("mb", 1e6), ("gb", 1e9), ("tb", 1e12), ("k", 1024), ("m", 1_048_576),
            ("g", 1_073_741_824),
            ("t", 1_099_511_627_776),
        ]
        guard let value = Quantity.parse(argument, factors), value >= 1, value < 9e18 else { return nil }
        bytes = UInt64(value)
    }
}

/// A span of time as people write it: `90s`, `10m`, `2h`, `30d`, `4w`.
struct DurationArgument: ExpressibleByArgument {
    var seconds: Double
    /// As it was written.
    private let text: String
    var defaultValueDescription: String { text }

    init?(argument: String) {
        text = argument
        let factors: [(String, Double)] = [("s", 1), ("m", 60), ("h", 3600), ("d", 86400), ("w", 604800)]
        guard let value = Quantity.parse(argument, factors), value < 1e11 else { return nil }
        seconds = value
    }
}

private enum Quantity {
    /// Digits, perhaps with a fraction, and one of the units.
    static func parse(_ text: String, _ factors: [(unit: String, factor: Double)]) -> Double? {
        let digits = text.prefix { $0.isASCII && $0.isNumber || $0 == "." }
        let unit = text.dropFirst(digits.count).lowercased()
        guard let factor = factors.first(where: { $0.unit == unit })?.factor,
            digits.first?.isNumber == true, digits.last?.isNumber == true, let value = Double(digits)
        else { return nil }
        return value * factor
    }
}

/// `3 d`, `5 h`: one unit is enough to tell how old something is.
func age(_ seconds: Int64) -> String {
    let units: [(Int64, String)] = [(86400, "d"), (3600, "h"), (60, "min")]
    for (length, unit) in units where seconds >= 2 * length { return "\(seconds / length) \(unit)" }
    return "\(max(0, seconds)) s"
}
