import VarveFiles
import VarveFormat
import VarveStorage

/// Adds the rows of one run to a copy's ledger: soon after the start, then every 30 s or GiB, and at the end.
///
/// It never throws. Where the ledger can't be written, a read-only disk for instance, the run goes on without, and
/// `failure` says why.
final class LedgerWriter: Sendable {
    /// After kill -9 at most so much is read again.
    private static let longestInterval: UInt64 = 30_000_000_000
    private static let byteLimit: UInt64 = 1 << 30

    private struct State {
        var rows: [LedgerRow] = []
        var bytes: UInt64 = 0
        var lastWrite = Clock.monotonic()
        /// A short run, too, goes on where it was killed; a long one makes few segments.
        var interval: UInt64 = 1_000_000_000
        var isWriting = false
        /// What this run has written.
        var subjects: Set<LedgerRow.Subject> = []
        var failure: VarveError?

        /// Takes what there is, to be written; nothing is begun with nothing.
        mutating func begin() -> [LedgerRow] {
            let rows = self.rows
            isWriting = !rows.isEmpty
            self.rows = []
            bytes = 0
            return rows
        }
    }

    private let storage: any Storage
    private let repository: RepositoryID
    private let copy: RepositoryID
    private let state = Monitor(State())

    init(_ storage: any Storage, repository: RepositoryID, copy: RepositoryID) {
        self.storage = storage
        self.repository = repository
        self.copy = copy
    }

    /// Why the last attempt to write failed; nil if it did not.
    var failure: VarveError? { state.change { $0.failure } }

    func add(_ rows: [LedgerRow], bytes: UInt64) {
        state.change {
            $0.rows += rows
            $0.bytes += bytes
        }
    }

    /// One thread at a time; the others go on meanwhile.
    func writeIfDue() {
        let rows = state.change { state -> [LedgerRow] in
            // Not before: another thread may have written meanwhile, and time does not go back.
            let now = Clock.monotonic()
            let isDue = now - state.lastWrite >= state.interval || state.bytes >= Self.byteLimit
            return isDue && !state.isWriting ? state.begin() : []
        }
        write(rows)
    }

    /// Everything that was added, when it returns; what can't be written is kept for the next time. Waits for a thread
    /// that is writing: what was added since is not in what that one writes.
    func write() { write(state.wait { state in state.isWriting ? nil : state.begin() }) }

    private func write(_ rows: [LedgerRow]) {
        guard !rows.isEmpty else { return }
        let failure: VarveError?
        do {
            try Ledger.publish(rows, in: storage, repository: repository, copy: copy)
            failure = nil
        } catch {
            failure = error
            // At the end it is told by `failure`, if it is so still.
            Notices.note(.remark, storage.location, "its ledger can't be written now", error)
        }
        state.change { state in
            if failure != nil { state.rows = rows + state.rows }
            state.failure = failure
            if failure == nil { state.subjects.formUnion(rows.lazy.map(\.subject)) }
            state.isWriting = false
            state.lastWrite = Clock.monotonic()
            state.interval = min(state.interval * 2, Self.longestInterval)
        }
        // Merging is housekeeping: what it can't do now it does after the next segment.
        guard failure == nil else { return }
        Notices.attempt(.remark, storage.location, "the segments of its ledger can't be merged") {
            try merge()
        }
    }

    private func merge() throws(VarveError) {
        let read = state.change { $0.subjects }
        if try storage.list(.ledger).count <= Ledger.segmentLimit, try !supersedes(read) { return }
        var there: Set<LedgerRow.Subject> = []
        for kind in ObjectKind.allCases {
            for name in try storage.list(kind) {
                if let subject = ObjectName(kind, name).subject { there.insert(subject) }
            }
        }
        try Ledger.merge(in: storage, repository: repository, copy: copy, read: read) { there.contains($0) }
    }

    /// Whether the ledger has readings that claim to be later than now, of what was read just now.
    private func supersedes(_ read: Set<LedgerRow.Subject>) throws(VarveError) -> Bool {
        let ledger = try Ledger(of: storage, repository: repository, copy: copy)
        return ledger.ahead.keys.contains { read.contains($0) }
    }
}
