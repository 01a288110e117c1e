import Glibc
import Synchronization
import VarveFiles
import VarveFormat
import VarveOperations

/// Results go to standard output; everything said to people goes to standard error.
///
/// The one place where text meets a terminal: what came from outside (names of files, labels, hosts, words of libdb) is
/// made visible here instead of being obeyed (`Text.printable`).
enum Terminal {
    private struct State {
        var isQuiet = false
        var isJSON = false
        var isVerbose = false
        /// What is said only if the run does not end with 0.
        var held: [String] = []
        /// What is printed at the end with `--json`.
        var document: DocumentValue?
    }

    private static let state = Mutex(State())

    static let isInteractive = isatty(STDERR_FILENO) == 1

    static func begin(_ options: ReportingOptions) {
        state.withLock {
            $0.isQuiet = options.quiet
            $0.isJSON = options.json
            $0.isVerbose = options.verbose
        }
    }

    // MARK: What a command says

    /// The result of a command that does something, in one line. With `--json` the document is the result.
    ///
    /// What the command did is done, whether or not it can be told: its exit code does not say otherwise.
    static func result(_ text: String) {
        guard state.withLock({ !$0.isQuiet && !$0.isJSON }) else { return }
        do {
            try deliver(Text.printable(text))
        } catch {
            say("warning: the result can't be printed: \(error)")
            say(text)
        }
    }

    /// What a command lists, a line or several. What can't be delivered is an error.
    static func output(_ text: String) throws { try deliver(Text.printable(text, keepsLines: true)) }

    /// Text in one of the terminal's colours, for `output(coloured:)`.
    static func painted(_ text: String, _ colour: String) -> String {
        "\(paintBegin)\(colour)m\(text)\(paintEnd)"
    }

    private static let paintBegin = "\u{1B}["
    private static let paintEnd = "\u{1B}[0m"

    /// As `output`; what `painted` has made is obeyed by the terminal, and nothing else.
    static func output(coloured text: String) throws {
        var rest = text[...]
        var shown = ""
        while let begin = rest.firstRange(of: paintBegin) {
            let sequence = rest[begin.upperBound...].prefix { $0.isASCII && $0.isNumber }
            let after = rest[sequence.endIndex...]
            shown += Text.printable(rest[..<begin.lowerBound], keepsLines: true)
            if after.first == "m", ["0", "31", "32", "33"].contains(String(sequence)) {
                shown += paintBegin + sequence + "m"
                rest = after.dropFirst()
            } else {
                shown += Text.printable(rest[begin])
                rest = rest[begin.upperBound...]
            }
        }
        try deliver(shown + Text.printable(rest, keepsLines: true))
    }

    /// The document of `--json`; without the option nothing happens. It is printed when the command ends, with the
    /// error if there is one.
    static func document(_ value: some Encodable) throws {
        guard state.withLock({ $0.isJSON }) else { return }
        let encoded = try Document.encode(value)
        state.withLock { $0.document = encoded }
    }

    static var isJSON: Bool { state.withLock { $0.isJSON } }
    static var isQuiet: Bool { state.withLock { $0.isQuiet } }

    /// One line that helps, and that nobody has to read.
    static func remark(_ text: String) {
        guard !isQuiet else { return }
        say(text)
    }

    /// One line that a person should read if the run does not end with 0.
    static func warn(_ text: String) {
        let isHeld = state.withLock { state in
            if state.isQuiet { state.held.append(text) }
            return state.isQuiet
        }
        if !isHeld { say(text) }
    }

    /// An error that ended nothing. Remarks are for who asked for them.
    static func notice(_ notice: Notice) {
        guard notice.level == .warning || state.withLock({ $0.isVerbose }) else { return }
        clearLine()
        warn("\(notice.level == .warning ? "warning" : "note"): \(notice.description)")
        if let hint = notice.error.hint { warn("hint: \(hint)") }
    }

    /// Text of the parser: what is wrong with the command line.
    static func complain(_ text: String) { write(Text.printable(text, keepsLines: true) + "\n") }

    // MARK: The end of a run

    /// The end of a run that no error has ended.
    ///
    /// - Returns: the code.
    static func finish(code: Int32) throws -> Int32 {
        if code != 0 { release() }
        if let document = state.withLock({ $0.document }) { try deliver(Document.text(document)) }
        return code
    }

    /// The end of a run by an error.
    ///
    /// - Returns: its exit code.
    static func finish(_ error: VarveError) -> Int32 {
        clearLine()
        release()
        say("varve: \(error)")
        if let hint = error.hint { say("hint: \(hint)") }
        let code = ExitStatus.of(error)
        if isJSON {
            let cause = error.cause.map { ": \($0)" } ?? ""
            deliverFailure(
                code: error.code.rawValue, message: error.message + cause, location: error.location,
                hint: error.hint, exit: code)
        }
        return code
    }

    /// The command's document with an error in it, or a document that has nothing else. Standard output that can't be
    /// written to is what the error is about, or nobody reads it.
    static func deliverFailure(
        code: String, message: String, location: String? = nil, hint: String? = nil, exit: Int32
    ) {
        let failure = DocumentFailure(
            code: code, message: message, location: location, hint: hint, exit: exit)
        let document = state.withLock { $0.document }
        guard let whole = try? Document.adding(failure, to: document) else { return }
        try? deliver(Document.text(whole))
    }

    private static func release() {
        let held = state.withLock { state in
            defer { state.held = [] }
            return state.held
        }
        held.forEach(say)
    }

    // MARK: Streams

    private static func say(_ text: String) { write(Text.printable(text) + "\n") }

    /// Best effort: a terminal that is gone must not stop a backup.
    private static func write(_ text: String) {
        let bytes = Array(text.utf8)
        _ = Glibc.write(STDERR_FILENO, bytes, bytes.count)
    }

    private static func deliver(_ text: String) throws {
        let bytes = Array((text + "\n").utf8)
        var done = 0
        while done < bytes.count {
            done += try bytes[done...].withUnsafeBytes { rest in
                try systemCall("write", "standard output") {
                    Glibc.write(STDOUT_FILENO, rest.baseAddress, rest.count)
                }
            }
        }
    }

    // MARK: The line of progress

    /// In place of what the line shows now.
    static func show(_ text: String) { write("\r\u{1B}[K" + Text.printable(text)) }

    static func clearLine() {
        if isInteractive && !isQuiet { write("\r\u{1B}[K") }
    }

    /// Columns of the terminal that standard error is; 80 where it does not tell.
    static var width: Int {
        var size = winsize()
        guard ioctl(STDERR_FILENO, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0 else { return 80 }
        return Int(size.ws_col)
    }
}
