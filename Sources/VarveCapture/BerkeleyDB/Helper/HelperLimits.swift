import VarveFormat
import VarveHelperProtocol

/// How long a helper may say nothing before it counts as stuck in libdb: a process that was killed may hold a mutex
/// or a lock that libdb waits for without end.
///
/// While it copies or clears a file, the helper says something every second; all else takes it moments, unless the
/// application keeps it waiting.
package struct HelperLimits: Sendable, Hashable {
    /// While it undoes what another one left. Then it is killed, or it would hold the environment's lock for ever.
    package var undoing: Duration
    /// While it does anything else. Then it is left behind, and undoes what it did as soon as libdb lets it.
    package var working: Duration

    package static let undoing: Duration = .seconds(30)
    package static let working: Duration = .seconds(300)

    package init(undoing: Duration = Self.undoing, working: Duration = Self.working) {
        self.undoing = undoing
        self.working = working
    }

    /// Nil: none. What recovery and verification work on is nobody else's, and they may take hours.
    func silence(during command: CaptureCommand) -> Duration? {
        switch command {
        case .repair, .clear: undoing
        case .recover, .verify: nil
        default: working
        }
    }

    /// Whether a helper that is stuck in this is killed.
    static func kills(_ command: CaptureCommand) -> Bool {
        switch command {
        case .repair, .clear: true
        default: false
        }
    }

    /// - Parameters:
    ///   - file: that the command is about, where the caller knows it.
    ///   - process: the helper's.
    func error(_ command: CaptureCommand, file: String?, process: Int32, home: String) -> VarveError {
        let seconds = (silence(during: command) ?? working).components.seconds
        let what =
            switch command {
            case .repair, .clear: "letting go of the page writers of \(file ?? "the environment")"
            case .capture: "copying \(file ?? "a database")"
            case .join: "joining the environment"
            case .end, .quit: "undoing what the backup changed"
            default: "asking for the environment's state"
            }
        let fate =
            Self.kills(command)
            ? "the helper was stopped"
            : "the helper (process \(process)) keeps running, and undoes its changes as soon as libdb returns"
        return VarveError(
            .helperStuck,
            "\(what): libdb has not come back for \(seconds) s, as if a process that died held a mutex; \(fate)",
            location: home,
            hint:
                "if the application hangs as well, stop it and run 'db5.3_recover -h \(home)', or start it with"
                + " DB_RECOVER; otherwise run 'varve unwedge --bdb \(home)'"
        )
    }
}
