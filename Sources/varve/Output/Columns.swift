import Glibc

/// Widths of text on a terminal: a character takes no column, one, or two.
enum Columns {
    static func count(_ text: some StringProtocol) -> Int { text.reduce(0) { $0 + width($1) } }

    /// By the Unicode properties East Asian Wide and Emoji, in blocks: good enough to keep a line from wrapping.
    private static func width(_ character: Character) -> Int {
        guard let scalar = character.unicodeScalars.first else { return 0 }
        if scalar.properties.isEmojiPresentation { return 2 }
        switch scalar.value {
        case 0x300...0x36F, 0x200B...0x200F: return 0
        case 0x1100...0x115F, 0x2E80...0x303E, 0x3041...0x33FF, 0x3400...0x4DBF, 0x4E00...0x9FFF,
            0xA000...0xA4CF, 0xAC00...0xD7A3, 0xF900...0xFAFF, 0xFE30...0xFE6F, 0xFF00...0xFF60,
            0xFFE0...0xFFE6, 0x20000...0x3FFFD:
            return 2
        default: return 1
        }
    }

    /// The text in at most `limit` columns. Its middle goes: of a path the beginning and the name tell the most.
    static func shortened(_ text: String, to limit: Int) -> String {
        guard count(text) > limit else { return text }
        guard limit > 1 else { return limit == 1 ? "…" : "" }
        let head = prefix(text, (limit - 1) / 2)
        let tail = String(prefix(String(text.reversed()), limit - 1 - count(head)).reversed())
        return head + "…" + tail
    }

    private static func prefix(_ text: String, _ limit: Int) -> String {
        var used = 0
        return String(
            text.prefix { character in
                used += width(character)
                return used <= limit
            })
    }
}
