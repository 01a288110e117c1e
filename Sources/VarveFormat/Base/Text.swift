/// Text from outside (names of files, labels, hosts, words of other programs) on its way to a person.
package enum Text {
    /// Shows what a terminal would obey instead of showing: control characters (C0, DEL, C1), characters that
    /// change the direction of writing or are not to be seen, line separators. Each becomes `\u{…}`, as in Swift's
    /// own literals; a byte that is no text has become U+FFFD before, and is shown as that. Everything else stays
    /// as it is.
    ///
    /// - Parameter keepsLines: newlines stay, for text of several lines of our own.
    package static func printable<S: StringProtocol>(_ text: S, keepsLines: Bool = false) -> String {
        func isPlain(_ byte: UInt8) -> Bool { byte >= 0x20 && byte < 0x7f || keepsLines && byte == 0x0a }
        if text.utf8.allSatisfy(isPlain) { return String(text) }
        var result = String.UnicodeScalarView()
        for scalar in text.unicodeScalars {
            if isHarmless(scalar) || keepsLines && scalar == "\n" {
                result.append(scalar)
            } else {
                let digits = String(scalar.value, radix: 16, uppercase: true)
                result.append(contentsOf: "\\u{\(digits)}".unicodeScalars)
            }
        }
        return String(result)
    }

    private static func isHarmless(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.properties.generalCategory {
        case .control, .format, .lineSeparator, .paragraphSeparator, .surrogate, .privateUse: false
        default: true
        }
    }
}
