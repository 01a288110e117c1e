import Synchronization
import VarveFiles
import VarveFormat
import VarveStorage

/// Several copies of a repository as one storage: what is published goes to all of them side by side, and counts when
/// enough of them have it. The first is the one that is read; where it fails, the others are.
///
/// A copy that fails is left out from then on; the others go on. So is one that does not answer in time, when it is written
/// to side by side with the others. Only the one that is read can hold everybody up: there is no thread to leave behind
/// for each read, and `publish(_:write:)` makes its object there.
package final class CopySet: Storage {
    package struct Member: Sendable {
        package var label: String
        package var storage: any Storage
        /// It holds all packs and manifests of the first, so a manifest may go there; others get only packs.
        package var isComplete: Bool
        /// Throws unless the disk is still the one that was opened.
        package var check: @Sendable () throws(VarveError) -> Void

        package init(
            label: String, storage: any Storage, isComplete: Bool,
            check: @escaping @Sendable () throws(VarveError) -> Void
        ) {
            self.label = label
            self.storage = storage
            self.isComplete = isComplete
            self.check = check
        }
    }

    private final class MemberState: Sendable {
        let copy: Member
        let failure = Mutex<VarveError?>(nil)

        init(_ copy: Member) { self.copy = copy }

        var isOnline: Bool { failure.withLock { $0 == nil } }

        /// The first failure is the one to tell.
        func fail(_ error: VarveError) {
            failure.withLock { if $0 == nil { $0 = error } }
        }
    }

    /// Bytes that a thread may still read when nobody waits for it any more.
    private final class Bytes: @unchecked Sendable {
        // Sendable: written in `init` only.
        let bytes: UnsafeRawBufferPointer

        init(_ parts: [UnsafeRawBufferPointer]) {
            let all = UnsafeMutableRawBufferPointer.allocate(
                byteCount: parts.reduce(0) { $0 + $1.count }, alignment: 4096)
            var offset = 0
            for part in parts {
                UnsafeMutableRawBufferPointer(rebasing: all[offset...]).copyMemory(from: part)
                offset += part.count
            }
            bytes = UnsafeRawBufferPointer(all)
        }

        deinit { bytes.deallocate() }
    }

    /// A disk that takes longer for one object (16 MiB as a rule) has failed.
    package static let defaultPatience: Double = 120

    private let members: [MemberState]
    private let required: Int
    private let patience: Double

    /// - Parameters:
    ///   - copies: the first is read.
    ///   - required: so many complete copies must have what counts; else publishing throws `.tooFewCopies`.
    ///   - patience: seconds.
    package init(_ copies: [Member], required: Int = 1, patience: Double = CopySet.defaultPatience) {
        precondition(!copies.isEmpty && required > 0)
        members = copies.map { MemberState($0) }
        self.required = required
        self.patience = patience
    }

    package var location: String { reader.copy.storage.location }

    /// Whether each copy, in the order of `init`, has everything that was published; else why not.
    package func failures() -> [VarveError?] { members.map { member in member.failure.withLock { $0 } } }

    /// That each disk is still the one that was opened. Throws if too few are.
    package func check() throws(VarveError) { try onEach { _ in } }

    private var reader: MemberState { members.first { $0.isOnline && $0.copy.isComplete } ?? members[0] }

    // MARK: Writing

    package func publish(_ object: ObjectName, _ parts: [UnsafeRawBufferPointer]) throws(VarveError) {
        let bytes = Bytes(parts)
        try onEach(of: object.kind) { (storage) throws(VarveError) in
            try storage.publish(object, [bytes.bytes])
        }
    }

    /// Made once, then copied: `write` can't be called by two threads.
    package func publish(
        _ kind: ObjectKind,
        write: (_ append: (UnsafeRawBufferPointer) throws(VarveError) -> Void) throws(VarveError) -> String
    ) throws(VarveError) -> ObjectName {
        while true {
            let first = reader
            let object: ObjectName
            do {
                object = try first.copy.storage.publish(kind, write: write)
            } catch let error where error.code == .system {
                first.fail(error)
                try requireEnough()
                continue
            }
            try onEach(of: kind, but: first) { (storage) throws(VarveError) in
                _ = try storage.publish(kind) { (append) throws(VarveError) in
                    let source = try first.copy.storage.open(object)
                    try source.forEachPiece(append)
                    return object.name
                }
            }
            return object
        }
    }

    package func confirm(_ objects: [ObjectName]) throws(VarveError) {
        // Copies that lack some of them are not complete, and not asked.
        try onEach(of: .manifest) { (storage) throws(VarveError) in try storage.confirm(objects) }
    }

    package func remove(_ object: ObjectName) throws(VarveError) {
        try onEach { (storage) throws(VarveError) in try storage.remove(object) }
    }

    /// Where it was read: what others have under this name may be good.
    package func replace(
        _ object: ObjectName,
        write: (_ append: (UnsafeRawBufferPointer) throws(VarveError) -> Void) throws(VarveError) -> Void
    ) throws(VarveError) { try reader.copy.storage.replace(object, write: write) }

    /// Where it was read: what others have under this name may be good.
    package func setAside(_ object: ObjectName) throws(VarveError) {
        try reader.copy.storage.setAside(object)
    }

    /// - Parameter kind: manifests and their summaries go only to copies that have what they need.
    private func onEach(
        of kind: ObjectKind = .pack, but left: MemberState? = nil,
        _ body: @escaping @Sendable (any Storage) throws(VarveError) -> Void
    ) throws(VarveError) {
        let isForComplete = kind == .manifest || kind == .summary
        let asked = members.filter { $0 !== left && $0.isOnline && ($0.copy.isComplete || !isForComplete) }
        let results = Monitor([Result<Void, VarveError>?](repeating: nil, count: asked.count))
        let threads = asked.enumerated().map { number, member -> WorkerThread? in
            do throws(VarveError) {
                return try WorkerThread {
                    let result = Result { () throws(VarveError) in
                        try member.copy.check()
                        try body(member.copy.storage)
                    }
                    results.change { $0[number] = result }
                }
            } catch {
                results.change { $0[number] = .failure(error) }
                return nil
            }
        }
        let deadline = Clock.monotonic() + UInt64(patience * 1e9)
        _ = results.wait(until: deadline) { $0.contains { $0 == nil } ? nil : true }
        for (number, result) in results.change({ $0 }).enumerated() {
            switch result {
            case .success?: threads[number]?.join()
            case .failure(let error)?:
                threads[number]?.join()
                asked[number].fail(error)
            case nil:
                asked[number].fail(
                    VarveError(
                        .hung, "\(asked[number].copy.label) did not answer for \(Int(patience)) s",
                        location: asked[number].copy.storage.location,
                        hint: "see the kernel log; run 'varve copy sync' when the disk is well again"))
            }
        }
        try requireEnough()
    }

    private func requireEnough() throws(VarveError) {
        let complete = members.filter(\.copy.isComplete)
        let online = complete.count(where: \.isOnline)
        guard online < required else { return }
        let errors = members.compactMap { member in
            member.failure.withLock { $0 }.map { (member.copy.label, $0) }
        }
        if complete.count == 1, let only = complete[0].failure.withLock({ $0 }) { throw only }
        throw VarveError.tooFewCopies(
            "only \(online) writable copies; \(required) required", because: errors,
            hint: "repair or mount the other copies, then run the same command again: stored data is reused")
    }

    // MARK: Reading

    /// From the first that has it; the error is that of the first.
    private func reading<R>(_ body: (any Storage) throws(VarveError) -> R) throws(VarveError) -> R {
        let first = reader
        do {
            return try body(first.copy.storage)
        } catch {
            for other in members where other !== first && other.isOnline {
                let result = Notices.attempt(
                    .remark, other.copy.storage.location, "it can't be read from there either"
                ) { try body(other.copy.storage) }
                if let result { return result }
            }
            throw error
        }
    }

    package func read(
        _ object: ObjectName, at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer
    ) throws(VarveError) -> Int {
        try reading { (storage) throws(VarveError) in try storage.read(object, at: offset, into: buffer) }
    }

    package func willRead(_ object: ObjectName) { reader.copy.storage.willRead(object) }

    package func open(_ object: ObjectName) throws(VarveError) -> any ByteSource {
        try reading { (storage) throws(VarveError) in try storage.open(object) }
    }

    package func size(of object: ObjectName) throws(VarveError) -> UInt64? {
        try reading { (storage) throws(VarveError) in try storage.size(of: object) }
    }

    package func list(_ kind: ObjectKind) throws(VarveError) -> [String] {
        try reading { (storage) throws(VarveError) in try storage.list(kind) }
    }

    package func strangers(_ kind: ObjectKind) throws(VarveError) -> [String] {
        try reading { (storage) throws(VarveError) in try storage.strangers(kind) }
    }

    package func missingDirectories() throws(VarveError) -> [ObjectDirectory] {
        try reading { (storage) throws(VarveError) in try storage.missingDirectories() }
    }

    package func forEachPack(_ body: (ContentID) throws(VarveError) -> Void) throws(VarveError) {
        // Twice for some, if a disk fails in between: whoever collects names does not mind.
        try reading { (storage) throws(VarveError) in try storage.forEachPack(body) }
    }
}

extension VarveError {
    /// The reason of each copy that can't be written to is in the message, what can be done about it in the hint, and
    /// `errno` is that of the first failed call.
    static func tooFewCopies(
        _ message: String, because reasons: [(label: String, error: VarveError)], hint: String
    ) -> VarveError {
        let texts = reasons.map { "\($0.label): \($0.error)" }
        let hints = reasons.compactMap { reason in reason.error.hint.map { "\(reason.label): \($0)" } }
        return VarveError(
            .tooFewCopies, texts.isEmpty ? message : "\(message) (\(texts.joined(separator: "; ")))",
            hint: (hints + [hint]).joined(separator: "; "),
            errno: reasons.lazy.map(\.error.errno).first { $0 != 0 } ?? 0)
    }
}
