import Glibc
import Synchronization
import Testing
import Varve
import VarveTestSupport

/// As an embedding program hears of them.
@Suite struct FacadeNoticeTests {
    @Test func aProgramHearsWhatEndedNothing() async throws {
        let directory = try TemporaryDirectory()
        let path = directory.join("repository")
        let heard = Mutex<[Notice]>([])
        let handler = NoticeHandler { notice in heard.withLock { $0.append(notice) } }
        let made = try await Repository.create(at: path, notices: handler)
        _ = try await made.snapshots()
        #expect(heard.withLock { $0.isEmpty }, "the control")
        let name = String(repeating: "0", count: 64)
        try Bytes.write([1, 2, 3], to: "\(path)/summaries/\(name)")
        _ = try await made.snapshots()
        let notices = heard.withLock { $0 }
        #expect(notices.map(\.place) == ["summaries/\(name)"] && notices[0].level == .remark)
        #expect(notices[0].error.code == .corrupt && notices[0].description.contains("manifests are read"))
        // Another value of the same repository has a handler of its own.
        _ = try await Repository.open(path).snapshots()
        #expect(heard.withLock { $0.count } == 1)
    }
}
