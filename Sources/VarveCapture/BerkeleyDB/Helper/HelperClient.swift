import Glibc
import VarveFiles
import VarveFormat
import VarveHelperProtocol

/// Drives `varve-capture-bdb`: libdb works in that process, this one never maps a region.
///
/// One thread. Whatever ends it, the environment is left as it was: `close` and a throwing `capture` undo
/// `begin`; when the helper dies, a second one undoes what the first left, before the error is thrown; when this
/// process dies, the helper cleans up by itself; when both die, the journal stays for `unwedge`.
package final class BerkeleyDBHelper {
    /// What `capture` delivers: files one after another, each opened, written at ascending offsets, closed.
    /// Usually one; a queue's extents follow it under libdb's names for them (`./__dbq.name.0`).
    package enum Piece {
        case open(String)
        /// Raw bytes of the open file, whole pages, borrowed for the call. Ranges that never come are holes, or
        /// pages so new that the logs have them.
        case bytes(UnsafeRawBufferPointer, at: UInt64)
        case close(String)
    }

    package struct Statistics: Sendable, Hashable {
        package var bytes: UInt64 = 0
        /// Passes beyond the first: the consumer was too slow, the page writers had to be let go.
        package var interruptions = 0
        /// Dropped by the shifted-page rule; the logs have these pages.
        package var droppedBytes: UInt64 = 0
    }

    package let environment: CaptureEnvironment
    /// What libdb said unasked, newest last, at most 100 lines.
    package private(set) var messages: [String] = []
    package var processIdentifier: Int32 { helper.process }

    private let executable: String
    private let password: [UInt8]?
    private let lock: EnvironmentLock?
    private let slots: Int
    private let limits: HelperLimits
    private let cancellation: Cancellation
    private var helper: HelperProcess
    private var hasJoined = false
    private var hasBegun = false
    private var isGone = false
    /// Whether a second helper undoes what this one leaves; not what that one leaves itself.
    private var mayClearUp = true

    /// Starts the helper process.
    ///
    /// - Parameters:
    ///   - password: of an encrypted environment; handed over in memory, never in an argument.
    ///   - lock: kept by the helper too, so that the environment stays locked until an orphan has cleaned up. Only
    ///     `recover` and `verify` go without.
    ///   - root: for `confine`.
    ///   - slots: of 1 MiB; what the helper may be ahead of the consumer.
    ///   - limits: of its silence; beyond them it counts as stuck, and `.helperStuck` is thrown.
    ///   - cancellation: whether the user wants to stop; then a helper that does not answer is left behind.
    package init(
        _ environment: CaptureEnvironment, password: [UInt8]? = nil, lock: EnvironmentLock?,
        root: RootDirectory? = nil, executable: String? = nil, slots: Int = 16,
        limits: HelperLimits = HelperLimits(), cancellation: Cancellation = Cancellation()
    ) throws(VarveError) {
        precondition(slots > 0)
        self.limits = limits
        self.cancellation = cancellation
        self.environment = environment
        self.password = password
        self.lock = lock
        self.slots = slots
        self.executable = if let executable { executable } else { try HelperProcess.locate() }
        helper = try Self.start(
            self.executable, password, lock, root, slots, cancellation)
    }

    private static func start(
        _ executable: String, _ password: [UInt8]?, _ lock: EnvironmentLock?, _ root: RootDirectory?,
        _ slots: Int, _ cancellation: Cancellation
    ) throws(VarveError) -> HelperProcess {
        let helper = try HelperProcess(
            executable: executable, password: password, lock: lock, root: root, slots: slots,
            cancellation: cancellation)
        guard case .ready(let version, _) = try helper.nextEvent(), version == CaptureProtocol.version else {
            throw VarveError(
                .unsupported, "\(executable) belongs to another version of varve",
                hint: "install varve and varve-capture-bdb together")
        }
        return helper
    }

    /// Joins the live environment. Throws, each with its own code: `.noEnvironment`, `.needsRecovery`,
    /// `.libraryMismatch`, `.wrongKey`, `.notOwner`, `.library`.
    package func join() throws(VarveError) {
        try ask(.join(environment)) { if case .joined = $0 { () } else { nil } }
        hasJoined = true
    }

    /// What must be known before anything is changed or stored. Throws `.notTransactional`, `.needsRecovery`,
    /// `.memoryLogs`, `.wrongLogDirectory`.
    package func preflight() throws(VarveError) -> CapturePreflight {
        try ask(.preflight) { if case .preflight(let value) = $0 { value } else { nil } }
    }

    /// Raises the hot-backup counter and stops automatic log removal, then reads the last checkpoint: its
    /// `checkpointLSN.file` is the first needed log. Nil if the environment has none yet: every log is needed.
    package func begin() throws(VarveError) -> CaptureCheckpoint? {
        hasBegun = true
        return try ask(.begin) { if case .begun(let value) = $0 { .some(value) } else { nil } }
    }

    /// Undoes `begin`; harmless when there is nothing to undo.
    package func end() throws(VarveError) {
        guard hasBegun else { return }
        try ask(.end) { if case .ended = $0 { () } else { nil } }
        hasBegun = false
    }

    /// How far the log is now.
    package func logStatus() throws(VarveError) -> CaptureLogStatus {
        try ask(.logStatus) { if case .logStatus(let value) = $0 { value } else { nil } }
    }

    /// Who has a lock that a copy of this database would wait for in libdb; nil if nobody does.
    ///
    /// - Parameter fileID: the 20 bytes of its identity, from its first page.
    package func holder(of file: String, fileID: [UInt8]) throws(VarveError) -> CaptureLockHolder? {
        try ask(.holder(file: file, fileID: fileID)) {
            if case .holder(let value) = $0 { .some(value) } else { nil }
        }
    }

    /// The names of the files that have pages in libdb's cache, as the application gave them.
    package func cachedFiles() throws(VarveError) -> [String] {
        try ask(.cachedFiles) { if case .cachedFiles(let names) = $0 { names } else { nil } }
    }

    /// Has every changed page in the cache written.
    package func sync() throws(VarveError) { try ask(.sync) { if case .synced = $0 { () } else { nil } } }

    /// Lets go of the page writers of one database, after something was killed while it copied it.
    package func clear(_ file: String) throws(VarveError) {
        try ask(.clear(file: file)) { if case .cleared = $0 { () } else { nil } }
    }

    /// Undoes what the journal of an earlier helper says.
    package func repair() throws(VarveError) -> CaptureRepair {
        try ask(.repair) { if case .repaired(let value) = $0 { value } else { nil } }
    }

    /// Makes the directory that was given as `root` all that the helper can reach, and the helper the owner of `home`.
    ///
    /// - Parameter home: as it is seen in there.
    /// - Throws: `.noIsolation` where the kernel does not allow it.
    package func confine(home: String) throws(VarveError) {
        try ask(.confine(home: home)) { if case .confined = $0 { () } else { nil } }
    }

    /// Catastrophic recovery of a restored environment that nobody has open; leaves no regions.
    package func recover(_ progress: (Int) -> Void = { _ in }) throws(VarveError) {
        try ask(.recover(environment)) {
            if case .progress(let percent) = $0 { progress(Int(percent)) }
            return if case .recovered = $0 { () } else { nil }
        }
    }

    /// `db_verify` of whole files, named as for `capture`; a bad one is an answer, not an error.
    package func verify(
        _ files: [String], _ progress: (CaptureVerification) -> Void = { _ in }
    ) throws(VarveError) -> [CaptureVerification] {
        var results: [CaptureVerification] = []
        try ask(.verify(environment, files: files)) {
            if case .verified(let one) = $0 {
                results.append(one)
                progress(one)
            }
            return if case .verificationDone = $0 { () } else { nil }
        }
        return results
    }

    /// Copies one database, named relative to its data directory (or absolute), and a queue's extents with it.
    ///
    /// The application's page writers wait for nobody but the helper: where `deliver` is slow, the copy is made in
    /// several passes. If `deliver` throws, the copy is ended, `begin` undone, and the error rethrown. A database
    /// that is not there (any more) throws `.missing`, and the next one can be captured.
    @discardableResult
    package func capture(_ file: String, _ deliver: (Piece) throws(VarveError) -> Void) throws(VarveError)
        -> Statistics
    {
        var statistics = Statistics()
        var refusal: VarveError?
        func hand(_ piece: Piece) throws(VarveError) {
            guard refusal == nil else { return }
            do {
                try deliver(piece)
            } catch {
                refusal = error
                try send(.cancel)
            }
        }
        var resume = false
        while true {
            let outcome: CaptureOutcome
            do {
                outcome = try ask(.capture(file: file, resume: resume)) { (event) throws(VarveError) in
                    switch event {
                    case .fileOpened(let name): try hand(.open(name))
                    case .fileClosed(let name): try hand(.close(name))
                    case .filled(let slot, let count, let offset):
                        let bytes = try helper.slot(slot, count: count)
                        try hand(.bytes(bytes, at: offset))
                        if refusal == nil { statistics.bytes += UInt64(count) }
                        try send(.slotFree(slot))
                    case .captured(let outcome): return outcome
                    default: break
                    }
                    return nil
                }
            } catch {
                if refusal != nil && !isGone { try end() }
                throw refusal ?? error
            }
            if let refusal {
                try end()
                throw refusal
            }
            switch outcome {
            case .complete(let dropped):
                statistics.droppedBytes = dropped
                return statistics
            case .interrupted:
                statistics.interruptions += 1
                resume = true
            case .cancelled:
                throw VarveError(.interrupted, "the copy of \(file) was ended")
            }
        }
    }

    /// Undoes `begin`, ends the helper and waits for it.
    package func close() throws(VarveError) {
        guard !isGone else { return }
        try end()
        try send(.quit)
        isGone = true
        guard try helper.ends(within: limits.working) else { throw stuck(.quit) }
        try helper.wait()
    }

    deinit {
        // The helper finds its pipe closed, undoes what is left and goes.
        guard !isGone else { return }
        try? helper.send(.quit)
        if (try? helper.ends(within: limits.working)) == true { _ = try? helper.wait() }
    }

    // MARK: Talking

    /// Sends, then hands every event to `answer` until it gives a value.
    @discardableResult
    private func ask<T>(_ command: CaptureCommand, _ answer: (CaptureEvent) throws(VarveError) -> T?)
        throws(VarveError) -> T
    {
        try send(command)
        while true {
            let event: CaptureEvent
            do {
                event = try helper.nextEvent(silence: limits.silence(during: command))
            } catch let error where error.code == .helperDied {
                throw clearUp(error)
            } catch let error where error.code == .helperStuck {
                throw stuck(command)
            } catch let error where error.code == .interrupted {
                isGone = true
                throw error
            }
            if case .message(let text) = event {
                messages.append(text)
                if messages.count > 100 { messages.removeFirst() }
                continue
            }
            if case .failed(let failure) = event {
                throw VarveError(
                    VarveError.Code(rawValue: failure.code), failure.message, hint: failure.hint,
                    errno: failure.libraryCode)
            }
            if let value = try answer(event) { return value }
        }
    }

    private func send(_ command: CaptureCommand) throws(VarveError) {
        guard !isGone else { throw VarveError(.helperDied, "the helper varve-capture-bdb is gone") }
        do {
            try helper.send(command)
        } catch let error where error.code == .helperDied {
            throw clearUp(error)
        }
    }

    /// libdb keeps the helper: kills it, or leaves it behind. Returns what to throw.
    private func stuck(_ command: CaptureCommand) -> VarveError {
        isGone = true
        let file: String? =
            switch command {
            case .capture(let file, _), .clear(let file): file
            case .repair: lock.flatMap { try? EnvironmentJournal.pending($0.files) }?.file
            default: nil
            }
        let error = limits.error(command, file: file, process: helper.process, home: environment.home)
        if HelperLimits.kills(command) { try? helper.end() }
        return error
    }

    /// The helper died: what it left in shared memory would hang the application's next checkpoint, so a second
    /// one undoes it now. Returns what to throw.
    private func clearUp(_ death: VarveError) -> VarveError {
        isGone = true
        hasBegun = false
        guard hasJoined, mayClearUp else { return death }
        var error = death
        do {
            let second = try BerkeleyDBHelper(
                environment, password: password, lock: lock, executable: executable, slots: 1, limits: limits)
            second.mayClearUp = false
            try second.join()
            let repair = try second.repair()
            try second.close()
            error.message += "; what it left in the environment was undone (\(repair.summary))"
        } catch let stuck where stuck.code == .helperStuck {
            error = stuck
            error.message = "\(death.message); \(stuck.message)"
        } catch {
            return VarveError(
                .helperDied, death.message + "; what it left in the environment could not be undone",
                location: environment.home,
                hint: "run varve unwedge on this environment soon: its next checkpoint may hang", cause: error
            )
        }
        return error
    }
}

extension CaptureRepair {
    /// One line for people.
    package var summary: String {
        var parts: [String] = []
        if !journal { return "nothing to undo" }
        if regionsReplaced { return "the regions were made anew since, nothing to undo" }
        if freedMutexes > 0 { parts.append("a mutex freed that it held") }
        if freedLocks > 0 { parts.append(freedLocks == 1 ? "a lock freed" : "\(freedLocks) locks freed") }
        if remainingLocks > 0 {
            parts.append(
                "\(remainingLocks) of its locks left alone: if the application hangs, stop it and run recovery"
            )
        }
        if let clearedFile { parts.append("page writers of \(clearedFile) let go") }
        if loweredCounter { parts.append("hot-backup counter lowered") }
        if restoredAutoRemove { parts.append("automatic log removal on again") }
        if counterUncertain { parts.append("hot-backup counter left alone, its state is not certain") }
        return parts.isEmpty ? "nothing to undo" : parts.joined(separator: ", ")
    }
}
