import Testing
import VarveDatabase

/// Lines as libdb 5.3.28 prints them.
@Suite struct LockHoldersTests {
    private static let lines = """
        =-=-=-=-=-=-=-=-=-=-=-=-=-=-=-=-=-=-=-=-=-=-=-=-=
        Locks grouped by lockers:
        Locker   Mode      Count Status  ----------------- Object ---------------
               1 dd= 0 locks held 1    write locks 1    pid/thread 25371/139701837686592 flags 10   priority 100       \u{20}
               1 WRITE         1 HELD    a.db                      handle        0
               2 dd= 0 locks held 2    write locks 0    pid/thread 25372/139701837686592 flags 0    priority 100       \u{20}
               2 READ          1 HELD    b.db                      handle        0
               2 WRITE         1 HELD    c.db                      page          7
               2 WRITE         1 WAIT    b.db                      handle        0
        8000001a dd= 3 locks held 1    write locks 1    pid/thread 4711/140123456789 flags 0    priority 100       \u{20}
        8000001a WRITE         1 HELD    sub/many.db:first         page          0
        8000001b dd= 3 locks held 1    write locks 1    pid/thread 4712/140123456789 flags 0    priority 100       \u{20}
        8000001b WRITE         1 HELD    (1020304 5060708 90a0b0c 0 d) handle        0
        """

    private func holder(_ file: String, _ kind: LockHolders.Kind, _ fileID: [UInt8] = []) -> (Bool, Int32?)? {
        var list = LockHolders(file: file, fileID: fileID, kind)
        for line in Self.lines.split(separator: "\n") { list.add(String(line)) }
        return list.holder.map { ($0.isTransaction, $0.process) }
    }

    @Test func theOneThatHoldsItForWriting() throws {
        #expect(try #require(holder("a.db", .handle)) == (false, 25371))
        #expect(try #require(holder("/home/sub/many.db", .page)) == (true, 4711))
        let identity: [UInt8] = [4, 3, 2, 1, 8, 7, 6, 5, 12, 11, 10, 9, 0, 0, 0, 0, 13, 0, 0, 0]
        #expect(try #require(holder("unnamed.db", .handle, identity)) == (true, 4712))
    }

    @Test func nobodyElse() {
        #expect(holder("a.db", .page) == nil)
        // Read, or waited for.
        #expect(holder("b.db", .handle) == nil)
        // Another page.
        #expect(holder("c.db", .page) == nil)
        #expect(holder("db", .handle) == nil)
        #expect(holder("unnamed.db", .handle, [UInt8](repeating: 1, count: 20)) == nil)
    }
}
