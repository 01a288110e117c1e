import Synchronization
import Testing
import VarveFiles
import VarveFormat

@testable import VarveCapture

@Suite struct CaptureNoticeTests {
    /// Links of logs that can't be removed keep their space: a person hears of it.
    @Test(arguments: [false, true]) func linksThatStay(isBlocked: Bool) throws {
        let scratch = try Scratch()
        let home = try scratch.make("home")
        try scratch.write("home/log.0000000003", "three")
        let heard = Mutex<[Notice]>([])
        try Notices.heard(by: { notice in heard.withLock { $0.append(notice) } }) {
            let keeper = try LogKeeper(logDirectory: home, first: 1)
            // A directory of a log's name can't be unlinked.
            if isBlocked { _ = try scratch.make("home/.varve/logs/log.0000000009") }
            keeper.close()
        }
        let notices = heard.withLock { $0 }
        #expect(notices.map(\.level) == (isBlocked ? [.warning] : []))
        #expect(notices.allSatisfy { $0.place == "\(home)/.varve/logs" && $0.error.errno != 0 })
    }
}
