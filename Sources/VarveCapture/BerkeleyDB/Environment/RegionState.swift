import VarveDatabase
import VarveFiles
import VarveFormat

/// What the shared memory of an environment says to somebody who has not joined it: the head of `__db.001`, or of
/// the System V segment that this file names (`DB_SYSTEM_MEM`).
package struct RegionState: Sendable, Hashable {
    /// Where the regions are.
    enum Place: Sendable, Hashable {
        case file
        case memory(SystemVMemory)
        /// In a segment that is not here: the machine was started anew since, or it is another container's.
        case missingMemory(Int64)
    }

    let place: Place
    /// Nil if the memory is not here.
    private let head: RegionHead?

    /// An error in shared memory made libdb give up: every call fails until recovery was run.
    package var isPanicked: Bool { head?.isPanicked ?? false }
    /// Changes when the environment is created anew; 0 if the memory is not here.
    package var envid: UInt32 { head?.envid ?? 0 }
    /// Handles that are open. Not zero while nobody is there: a process ended without closing. Nil where the regions
    /// are of a build whose fields can't be made out, or are not here.
    package var references: UInt32? { head?.fields?.references }
    /// Logging and transactions are initialised, as far as it can be made out.
    package var isTransactional: Bool { head?.fields?.isTransactional ?? true }
    /// Made by another release, or for another word size, than can be joined.
    package var isForeign: Bool { head.map { !$0.isNative } ?? false }
    /// For people: which build of libdb made them.
    package var maker: String { head?.maker ?? "Berkeley DB" }
    /// The memory is not here, so nobody of this machine, or container, can have joined.
    package var isGone: Bool { head == nil }

    /// Processes that have its System V memory attached.
    var attachments: UInt64 {
        if case .memory(let memory) = place { memory.attachments } else { 0 }
    }

    static let name = "__db.001"

    /// Nil if there is no `__db.001`, or it is one that was never finished.
    ///
    /// Throws `.refused` where it names memory that belongs to somebody else than the file.
    package static func read(_ files: EnvironmentFiles) throws(VarveError) -> RegionState? {
        let file: File
        do {
            file = try files.open(reading: Path.join(files.home, name), followLinks: false)
        } catch let error where error.isNoEntry {
            return nil
        }
        return try read(file)
    }

    static func read(_ file: borrowing File) throws(VarveError) -> RegionState? {
        let status = try file.status()
        guard RegionReference.isSize(status.size),
            let reference = RegionReference(try file.readStart(Int(status.size)))
        else {
            guard
                let head = try RegionHead.read({ (offset, buffer) throws(VarveError) in
                    try file.read(into: buffer, at: offset)
                })
            else { return nil }
            return RegionState(place: .file, head: head)
        }
        guard let memory = try SystemVMemory.find(reference.segment) else {
            return RegionState(place: .missingMemory(reference.segment), head: nil)
        }
        guard memory.owner == status.user else {
            throw VarveError(
                .refused,
                "the environment's regions are said to be in shared memory segment \(memory.identifier), which"
                    + " belongs to user \(memory.owner) and not to user \(status.user)", location: file.path,
                hint: "remove \(name) if nobody has the environment open, then run recovery")
        }
        guard
            let head = try RegionHead.read({ (offset, buffer) throws(VarveError) in
                try memory.read(into: buffer, at: offset)
            })
        else { return nil }
        return RegionState(place: .memory(memory), head: head)
    }
}
