import Glibc
import Varve

/// Turns Ctrl-C, `kill` and a closed terminal into a request: the work stops between two steps and cleans up.
enum Interruption {
    static let cancellation = Cancellation()

    static func install() {
        for number in [SIGINT, SIGTERM, SIGHUP] {
            var action = sigaction()
            action.__sigaction_handler.sa_handler = { _ in Interruption.cancellation.request() }
            action.sa_flags = SA_RESTART
            sigaction(number, &action, nil)
        }
        signal(SIGPIPE, SIG_IGN)
        // The handler must not be the first to touch it: making it allocates.
        _ = cancellation.isRequested
    }
}
