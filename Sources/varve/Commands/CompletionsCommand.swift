import ArgumentParser

struct CompletionsCommand: ReportingCommand {
    static let configuration = CommandConfiguration(
        commandName: "completions", abstract: "Print the completions of this command for a shell.",
        discussion: "For bash: varve completions bash > ~/.local/share/bash-completion/completions/varve")

    enum Shell: String, CaseIterable, ExpressibleByArgument { case bash, zsh, fish }

    @Argument(help: "Shell: bash, zsh or fish.")
    var shell: Shell

    @OptionGroup var reporting: ReportingOptions

    /// What `--json` prints.
    private struct Output: Encodable {
        var shell: String
        var script: String
    }

    func run() throws {
        let script =
            switch shell {
            case .bash: VarveCommand.completionScript(for: .bash)
            case .zsh: VarveCommand.completionScript(for: .zsh)
            case .fish: VarveCommand.completionScript(for: .fish)
            }
        try Terminal.document(Output(shell: shell.rawValue, script: script))
        if !Terminal.isJSON { try Terminal.output(script) }
    }
}
