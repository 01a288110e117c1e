import Testing
import VarveDatabase

/// Lines as libdb 5.3.28 prints them.
@Suite struct LockerListTests {
    private static let lines = """
        =-=-=-=-=-=-=-=-=-=-=-=-=-=-=-=-=-=-=-=-=-=-=-=-=
        Locks grouped by lockers:
        Locker   Mode      Count Status  ----------------- Object ---------------
              17 dd= 0 locks held 0    write locks 0    pid/thread 4711/140123456789 flags 0    priority 100       \u{20}
              17 READ          1 PENDING btree1.db                 page          0
              18 dd=12 locks held 2    write locks 1    pid/thread 4711/140123456789 flags 10   priority 100       \u{20}
              18 READ          1 HELD    (10c2a 803 5f0 1a2b3c4d 0) handle        0
              18 WRITE         1 HELD    0x2f18 len:   4 data: 01000000
              19 dd= 0 locks held 1    write locks 1    pid/thread 4711/140123456790 flags 0    priority 100       \u{20}
              19 WRITE         1 HELD    btree1.db                 page          7
        8000001a dd= 3 locks held 1    write locks 0    pid/thread 4711/140123456789 flags 0    priority 100       \u{20}
        8000001a READ          1 HELD    btree1.db                 page          7
              1b dd= 3 locks held 1    write locks 0    pid/thread 4711/140123456789 flags 0    priority 100       \u{20}
              1b WRITE         2 WAIT    a name 0x1 len:   4 data: 01000000 page          7
        """

    private func list(_ lines: String) -> LockerList {
        var list = LockerList(process: 4711, thread: 140_123_456_789)
        for line in lines.split(separator: "\n") { list.add(String(line)) }
        return list
    }

    @Test func oneThreadsLockers() {
        let list = list(Self.lines)
        #expect(!list.isDamaged)
        #expect(list.lockers.map(\.id) == [0x17, 0x18, 0x8000_001a, 0x1b])
        let statuses: [[LockerList.Lock.Status]] = [[.pending], [.held, .held], [.held], [.waiting]]
        #expect(list.lockers.map { $0.locks.map(\.status) } == statuses)
        #expect(list.lockers[1].locks.map(\.isEnvironment) == [false, true])
    }

    /// A transaction's are not, nor is writing anything but under the environment's lock.
    @Test func whatOnlyReads() {
        #expect(list(Self.lines).lockers.map(\.onlyReads) == [true, true, false, false])
    }

    @Test(arguments: ["17 READ 1", "17 READ x HELD f page 0", "17 READ 1 FREE f page 0", "17 READ 1 HELD"])
    func anotherFormIsDamage(_ line: String) {
        #expect(list(Self.lines + "\n" + line).isDamaged)
    }

    @Test(arguments: ["", "17", "READ 1 HELD", "99 READ 1", "-17 READ 1 HELD f", "100000000 dd= 0"])
    func linesOfOthersAreSkipped(_ line: String) {
        #expect(list(Self.lines + "\n" + line) == list(Self.lines))
    }
}
