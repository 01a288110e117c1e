import VarveFormat
import VarveOperations

/// A manual page in the macros of man(7), made from what `--help` shows.
struct ManualPage {
    var name: String
    var text: String

    /// One for the command and one for each subcommand.
    static func all(date: String) throws -> [ManualPage] {
        let root = try CommandDescription.root()
        return [ManualPage(root, of: root, date)] + pages(beneath: root, root, date)
    }

    private static func pages(
        beneath command: CommandDescription, _ root: CommandDescription, _ date: String
    ) -> [ManualPage] {
        shown(command).flatMap { [ManualPage($0, of: root, date)] + pages(beneath: $0, root, date) }
    }

    private static func shown(_ command: CommandDescription) -> [CommandDescription] {
        (command.subcommands ?? []).filter { $0.shouldDisplay && $0.commandName != "help" }
    }

    private init(_ command: CommandDescription, of root: CommandDescription, _ date: String) {
        let words = (command.superCommands ?? []) + [command.commandName]
        let title = words.joined(separator: "-")
        name = title + ".1"
        var lines = [
            ".\\\" Made by 'varve manual' from what --help shows.",
            ".TH \(Self.quoted(title.uppercased())) 1 \(Self.quoted(date)) \(Self.quoted(Tool.name)) \"User Commands\"",
            ".nh", ".ad l",
            ".SH NAME", "\(Self.escaped(title)) \\- \(Self.escaped(Self.headline(command)))",
            ".SH SYNOPSIS",
        ]
        let arguments = (command.arguments ?? []).filter(\.shouldDisplay)
        lines.append(".B \(Self.escaped(words.joined(separator: " ")))")
        lines += Self.synopsis(arguments, hasCommands: !Self.shown(command).isEmpty)
        lines.append(".SH DESCRIPTION")
        lines += Self.paragraphs(command.abstract ?? "")
        if let discussion = command.discussion, !discussion.isEmpty {
            lines.append(".PP")
            lines += Self.paragraphs(discussion)
        }
        lines += Self.commands(Self.shown(command), title)
        lines += Self.options(arguments)
        lines += Self.exitStatus + Self.environment
        lines += Self.related(command, words, root)
        text = lines.joined(separator: "\n") + "\n"
    }

    // MARK: Sections

    /// Without the full stop that a sentence has.
    private static func headline(_ command: CommandDescription) -> String {
        let abstract = command.abstract ?? ""
        return abstract.hasSuffix(".") ? String(abstract.dropLast()) : abstract
    }

    private static func synopsis(
        _ arguments: [CommandDescription.Argument], hasCommands: Bool
    ) -> [String] {
        if hasCommands { return [".I command", ".RI [ option ...]"] }
        var lines: [String] = []
        if arguments.contains(where: { $0.kind != .positional && $0.isOptional || $0.kind == .flag }) {
            lines.append(".RI [ option ...]")
        }
        for argument in arguments where argument.kind == .option && !argument.isOptional {
            lines.append(".BI \(escaped(spelling(argument))) \" \(escaped(argument.valueName ?? "value"))\"")
        }
        for argument in arguments where argument.kind == .positional {
            let name = escaped(argument.valueName ?? "value")
            let more = argument.isRepeating ? " ..." : ""
            lines.append(argument.isOptional ? ".RI [ \(name)\(more) ]" : ".I \(name)\(more)")
        }
        return lines
    }

    private static func commands(_ commands: [CommandDescription], _ title: String) -> [String] {
        guard !commands.isEmpty else { return [] }
        return [".SH COMMANDS"]
            + commands.flatMap { command in
                [
                    ".TP", ".BR \(escaped(title + "-" + command.commandName)) (1)",
                    escapedLine(command.abstract ?? ""),
                ]
            }
    }

    private static func options(_ arguments: [CommandDescription.Argument]) -> [String] {
        var lines: [String] = []
        let sections = arguments.reduce(into: [String?]()) { found, argument in
            if !found.contains(argument.sectionTitle) { found.append(argument.sectionTitle) }
        }
        for section in sections {
            let members = arguments.filter { $0.sectionTitle == section }
            let positional = members.filter { $0.kind == .positional }
            if !positional.isEmpty {
                lines.append(".SH ARGUMENTS")
                lines += positional.flatMap(entry)
            }
            let named = members.filter { $0.kind != .positional }
            if !named.isEmpty {
                lines.append(".SH \(quoted(section?.uppercased() ?? "OPTIONS"))")
                lines += named.flatMap(entry)
            }
        }
        return lines
    }

    private static func entry(_ argument: CommandDescription.Argument) -> [String] {
        let value = argument.valueName ?? "value"
        var lines = [".TP"]
        switch argument.kind {
        case .positional: lines.append(".I \(escaped(value))")
        case .flag: lines.append(".B \(escaped(spellings(argument)))")
        case .option: lines.append(".BI \(quoted(spellings(argument))) \" \(escaped(value))\"")
        }
        var text = argument.abstract ?? ""
        if let discussion = argument.discussion, !discussion.isEmpty { text += " " + discussion }
        if let value = argument.defaultValue { text += " (default: \(value))" }
        return lines + [escapedLine(text)]
    }

    private static let exitStatus =
        [".SH \"EXIT STATUS\""]
        + ExitStatus.meanings.flatMap { [".TP", ".B \($0.code)", escapedLine($0.meaning)] }

    private static let environment = [
        ".SH ENVIRONMENT", ".TP", ".B VARVE_REPOSITORY", "Directory of the repository, without \\-r.", ".TP",
        ".B VARVE_REPOSITORY_ID", "Id of the repository, without \\-\\-repository\\-id.", ".TP",
        ".B VARVE_CAPTURE_BDB",
        "Path of the helper varve\\-capture\\-bdb, if it is neither beside varve nor in ../libexec/varve.",
    ]

    private static func related(
        _ command: CommandDescription, _ words: [String], _ root: CommandDescription
    ) -> [String] {
        let group = words.count > 2 ? root.subcommands?.first { $0.commandName == words[1] } : root
        let prefix = words.count > 2 ? words.dropLast().joined(separator: "-") : root.commandName
        let siblings = shown(group ?? root).map { prefix + "-" + $0.commandName }
        let names = ([root.commandName] + (words.count > 2 ? [prefix] : []) + siblings).filter {
            $0 != words.joined(separator: "-")
        }
        return [".SH \"SEE ALSO\""]
            + names.enumerated().map { index, name in
                ".BR \(escaped(name)) (1)" + (index == names.count - 1 ? "" : ",")
            }
    }

    // MARK: Text

    /// The long name, or the only one.
    private static func spelling(_ argument: CommandDescription.Argument) -> String {
        let names = argument.names ?? []
        return (names.first { $0.kind == "long" } ?? names.first)?.spelling ?? ""
    }

    private static func spellings(_ argument: CommandDescription.Argument) -> String {
        (argument.names ?? []).map(\.spelling).joined(separator: ", ")
    }

    private static func paragraphs(_ text: String) -> [String] {
        var lines: [String] = []
        for line in text.split(separator: "\n", omittingEmptySubsequences: false) {
            if line.isEmpty {
                if lines.last != ".PP" { lines.append(".PP") }
            } else {
                lines.append(escapedLine(String(line)))
            }
        }
        return lines
    }

    private static func escaped(_ text: String) -> String {
        text.reduce(into: "") { result, character in
            switch character {
            case "\\": result += "\\e"
            case "-": result += "\\-"
            case "'": result += "\\(aq"
            case "\"": result += "\\(dq"
            case "→": result += "\\(->"
            default: result.append(character)
            }
        }
    }

    /// A line of running text: a point at its beginning is no macro.
    private static func escapedLine(_ text: String) -> String {
        text.hasPrefix(".") ? "\\&" + escaped(text) : escaped(text)
    }

    /// One argument of a macro.
    private static func quoted(_ text: String) -> String { "\"\(escaped(text))\"" }
}
