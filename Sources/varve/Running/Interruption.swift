import Glibc
import VarveFiles
import VarveOperations

/// Turns Ctrl-C, `kill` and a closed terminal into a request: the work stops between two steps and cleans up.
enum Interruption {
    static let cancellation = Cancellation()

    static func install() {
        // Before the first handler: making it allocates, and a signal in the middle would wait for itself.
        _ = cancellation.isRequested
        for number in [SIGINT, SIGTERM, SIGHUP] {
            var action = sigaction()
            action.__sigaction_handler.sa_handler = { _ in Interruption.cancellation.request() }
            action.sa_flags = SA_RESTART
            sigaction(number, &action, nil)
        }
        signal(SIGPIPE, SIG_IGN)
    }
}
