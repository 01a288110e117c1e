import ArgumentParser

/// A number of bytes as people write it: `4096`, `50MiB`, `2GB`; units of 1024 with an `i`, of 1000 without.
struct SizeArgument {
    var bytes: UInt64

    init(_ text: String) throws {
        let factors: [(String, Double)] = [
            ("", 1), ("b", 1), ("kib", 1024), ("mib", 1_048_576), ("gib", 1_073_741_824),
            ("tib", 1_099_511_627_776),
            ("kb", 1e3), ("mb", 1e6), ("gb", 1e9), ("tb", 1e12), ("k", 1024), ("m", 1_048_576),
            ("g", 1_073_741_824),
            ("t", 1_099_511_627_776),
        ]
        guard let value = Quantity.parse(text, factors), value >= 1, value < 9e18 else {
            throw ValidationError("a size is a number of bytes, or a number and a unit, as in 50MiB, 2GB")
        }
        bytes = UInt64(value)
    }
}

/// A span of time as people write it: `90s`, `10m`, `2h`, `30d`, `4w`.
struct DurationArgument: CustomStringConvertible {
    var seconds: Double
    /// As it was written: `--help` shows defaults.
    let description: String

    init(_ text: String) throws {
        description = text
        let factors: [(String, Double)] = [("s", 1), ("m", 60), ("h", 3600), ("d", 86400), ("w", 604800)]
        guard let value = Quantity.parse(text, factors), value < 1e11 else {
            throw ValidationError("a duration is a number and a unit, as in 90s, 10m, 2h, 30d, 4w")
        }
        seconds = value
    }

    /// One that stands in the code.
    init(days: Int) {
        seconds = Double(days) * 86400
        description = "\(days)d"
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
