import VarveFormat

/// The lockers of one thread, and their locks, in what libdb 5.3 prints for `DB_STAT_LOCK_LOCKERS`: a line for each
/// locker (lock_stat.c:536) and for each of its locks (:706). Every locker that a thread made has its process and
/// its `pthread_self` in it (lock_id.c:369).
package struct LockerList: Hashable, Sendable {
    package struct Lock: Hashable, Sendable {
        package enum Status: String, Hashable, Sendable {
            case held = "HELD"
            /// Granted to a waiter that has not come for it yet.
            case pending = "PENDING"
            case waiting = "WAIT"
            /// Taken from a waiter, by the deadlock detector or a time-out.
            case aborted = "ABORT"
            case expired = "EXPIRED"
        }

        /// `READ`, `WRITE`, `IREAD` …
        package var mode: String
        package var status: Status
        /// The environment's own lock, which every opening of a database takes for writing while it looks for the
        /// file (fop_util.c:310): the number 1 in four bytes. Who opens for reading changes nothing under it.
        package var isEnvironment: Bool
    }

    package struct Locker: Hashable, Sendable {
        package var id: UInt32
        package var locks: [Lock] = []

        /// `TXN_MINIMUM` (txn.h:36).
        private var isTransaction: Bool { id >= 0x8000_0000 }

        /// Who has no more than this has changed nothing.
        package var onlyReads: Bool {
            !isTransaction
                && locks.allSatisfy { $0.mode == "READ" || ($0.mode == "WRITE" && $0.isEnvironment) }
        }
    }

    private let owner: String
    package private(set) var lockers: [Locker] = []
    /// A line of one of the lockers could not be read: the list is not complete.
    package private(set) var isDamaged = false

    /// - Parameter thread: its `pthread_self`.
    package init(process: Int32, thread: UInt64) { owner = "\(process)/\(thread)" }

    /// The next line. A locker's own comes before those of its locks.
    ///
    /// The locks' lines are told by the locker that they name, not by the place: other threads' locks change while
    /// libdb prints them.
    package mutating func add(_ line: String) {
        let words = line.split(separator: " ", maxSplits: 64)
        guard words.count >= 2, let id = UInt32(words[0], radix: 16) else { return }
        if words[1].hasPrefix("dd=") {
            guard let place = words.firstIndex(of: "pid/thread"), place + 1 < words.count,
                words[place + 1] == owner
            else { return }
            lockers.append(Locker(id: id))
        } else if let index = lockers.firstIndex(where: { $0.id == id }) {
            guard words.count >= 5, UInt32(words[2]) != nil,
                let status = Lock.Status(rawValue: String(words[3]))
            else {
                isDamaged = true
                return
            }
            let isEnvironment =
                words[4].hasPrefix("0x") && words[5...] == ["len:", "4", "data:", "01000000"]
            lockers[index].locks.append(
                Lock(mode: String(words[1]), status: status, isEnvironment: isEnvironment))
        }
    }
}
