import Testing
import VarveFormat

@Suite struct TextTests {
    @Test(arguments: [
        ("plain - ünïcödé 漢字", "plain - ünïcödé 漢字"),
        ("\u{1B}[2J", "\\u{1B}[2J"),
        ("a\rvarve: all good", "a\\u{D}varve: all good"),
        ("\u{9B}31m", "\\u{9B}31m"),
        ("a\u{202E}cod", "a\\u{202E}cod"),
        ("\u{2066}x\u{2069}", "\\u{2066}x\\u{2069}"),
        ("\u{200B}", "\\u{200B}"),
        ("\u{2028}", "\\u{2028}"),
        ("\u{7F}\u{0}", "\\u{7F}\\u{0}"),
        ("a\nb", "a\\u{A}b"),
    ])
    func whatATerminalWouldObeyIsShown(_ text: String, _ shown: String) {
        #expect(Text.printable(text) == shown)
    }

    @Test func bytesThatAreNoTextAreShown() {
        #expect(Text.printable(String(decoding: [0x61, 0xff, 0x9b], as: UTF8.self)) == "a\u{FFFD}\u{FFFD}")
    }

    @Test func linesOfOurOwnStay() {
        #expect(Text.printable("a\n\u{1B}b", keepsLines: true) == "a\n\\u{1B}b")
    }
}
