import CBerkeleyDB
import Glibc
import VarveFiles
import VarveFormat
import VarveHelperProtocol

/// What the three backup callbacks do: copy into free slots, and nothing that could take longer.
///
/// A database may take several passes: where no slot came free in time, the pass ends and the next one drops
/// what was delivered already. Pages of one copy may well come from different moments, as those of any hot
/// backup do: each is whole, and the logs bring all of them forward.
final class CapturePass {
    /// One thread, one capture; C callbacks have no other way to it.
    nonisolated(unsafe) static var current: CapturePass?

    enum State {
        case running
        case interrupted(file: String, offset: UInt64)
        case cancelled
        case failed(VarveError)
    }

    /// A file of the database: itself or a queue extent.
    private struct Part {
        var name: String
        /// Delivered by earlier passes: everything before this offset.
        var delivered: UInt64
        var rule = ShiftedPageRule(bufferSize: CaptureProtocol.slotSize)
    }

    /// Longer than this a callback never waits: page writers of its 1 MiB are held meanwhile.
    static let patienceMilliseconds: Int64 = 250

    let file: String
    private(set) var state = State.running
    private(set) var droppedBytes: UInt64 = 0
    private let slots: Slots
    private let channel: Channel
    private var part: Part?
    /// The part in which the pass before this one was interrupted.
    private var pending: (name: String, offset: UInt64)?
    private var completed: Set<String> = []

    /// The database's main file was copied, so the database is there.
    var hasCompletedParts: Bool { !completed.isEmpty }

    init(file: String, slots: Slots, channel: Channel) {
        self.file = file
        self.slots = slots
        self.channel = channel
    }

    func startAgain() {
        if case .interrupted(let name, let offset) = state { pending = (name, offset) }
        state = .running
        part = nil
    }

    /// An extent that was interrupted and removed since is never opened again.
    func finish() {
        if let gone = pending { channel.send(.fileClosed(gone.name)) }
        pending = nil
    }

    func open(_ name: String) -> Int32 {
        guard case .running = state else { return ECANCELED }
        if completed.contains(name) {
            part = nil
            return 0
        }
        if let resumed = pending, resumed.name == name {
            part = Part(name: name, delivered: resumed.offset)
            pending = nil
        } else {
            finish()
            part = Part(name: name, delivered: 0)
            channel.send(.fileOpened(name))
        }
        return 0
    }

    func close() {
        guard case .running = state, let closed = part else { return }
        completed.insert(closed.name)
        channel.send(.fileClosed(closed.name))
        part = nil
    }

    func write(_ bytes: UnsafeRawBufferPointer, at offset: UInt64) -> Int32 {
        guard case .running = state else { return ECANCELED }
        guard var current = part else { return 0 }
        let isInPlace = current.rule.accepts(bytes, at: offset)
        part = current
        guard isInPlace else {
            droppedBytes += UInt64(bytes.count)
            return 0
        }
        guard offset + UInt64(bytes.count) > current.delivered else { return 0 }
        let skipped = current.delivered > offset ? Int(current.delivered - offset) : 0
        return deliver(
            UnsafeRawBufferPointer(rebasing: bytes[skipped...]), at: offset + UInt64(skipped),
            in: current.name)
    }

    private func deliver(_ bytes: UnsafeRawBufferPointer, at offset: UInt64, in name: String) -> Int32 {
        guard waitForSlot(offset, name) else {
            LibraryWords.isQuiet = true
            return ECANCELED
        }
        let slot = slots.fill(bytes)
        channel.send(.filled(slot: slot, count: UInt32(bytes.count), offset: offset))
        part?.delivered = offset + UInt64(bytes.count)
        return 0
    }

    /// False if the pass is to end.
    private func waitForSlot(_ offset: UInt64, _ name: String) -> Bool {
        let deadline = Int64(Clock.monotonic() / 1_000_000) + Self.patienceMilliseconds
        do {
            while true {
                while let command = try channel.nextCommand() {
                    switch command {
                    case .slotFree(let slot): try slots.release(slot)
                    case .cancel: state = .cancelled
                    default: throw VarveError(.invalid, "a command came while \(file) is copied")
                    }
                }
                if channel.parentIsGone { state = .cancelled }
                guard case .running = state else { return false }
                if slots.hasFree { return true }
                let left = deadline - Int64(Clock.monotonic() / 1_000_000)
                guard left > 0 else {
                    state = .interrupted(file: name, offset: offset)
                    return false
                }
                channel.wait(milliseconds: Int32(left))
            }
        } catch {
            state = .failed(error as? VarveError ?? VarveError(.invalid, "\(error)"))
            return false
        }
    }
}
