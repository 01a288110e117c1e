import Glibc
import VarveFiles
import VarveFormat
import VarveHelperProtocol

/// `.varve/journal` in the home: on disk before the change that it announces.
struct JournalFile {
    /// Beneath the home; a link in its place is refused.
    private static let directory = ".varve"
    private static let name = ".varve/journal"

    private let root: RootDirectory
    private(set) var content: CaptureJournal
    /// The file is there and is ours.
    private(set) var isWritten = false

    init(_ root: RootDirectory, region: CaptureJournal.Region) {
        self.root = root
        content = CaptureJournal(
            process: getpid(), processStart: ProcessTable.ownStartTime, thread: UInt64(pthread_self()),
            region: region)
    }

    /// Durable when it returns; throws before anything was changed.
    mutating func announce(_ change: (inout CaptureJournal) -> Void) throws(VarveError) {
        var next = content
        change(&next)
        if isWritten && next == content { return }
        try root.makeDirectory(Self.directory)
        try write(next)
        content = next
        isWritten = true
    }

    /// Nothing is left to undo. What helpers left that were killed while they wrote goes, too: who holds the
    /// environment's lock is the only one that writes.
    mutating func remove() throws(VarveError) {
        guard try root.status(of: Self.directory) != nil else { return }
        let directory = try root.directory(Self.directory)
        for name in try directory.names() where Publication.isStaged(name, for: Self.name) {
            try directory.unlink(name)
        }
        guard try root.status(of: Self.name) != nil else { return }
        try root.unlink(Self.name)
        try directory.sync()
    }

    /// Leaves what an earlier helper left, on disk, as if this process had left it. It stays so until `adopt` or
    /// `reset`; `end` does not touch it.
    func takeOver(_ earlier: CaptureJournal) throws(VarveError) {
        var ours = earlier
        ours.process = content.process
        ours.processStart = content.processStart
        ours.thread = content.thread
        try write(ours)
    }

    /// For whoever may come next: where the directory is a group's, the file is, too.
    private func write(_ journal: CaptureJournal) throws(VarveError) {
        let isShared = try root.status(of: Self.directory).map { $0.mode & 0o020 != 0 } ?? false
        try root.replace(Self.name, with: journal.encoded, mode: isShared ? 0o660 : 0o600)
    }

    /// Goes on from what an earlier helper had changed.
    mutating func adopt(_ earlier: CaptureJournal) throws(VarveError) {
        try announce {
            $0.counter = earlier.counter
            $0.restoreAutoRemove = false
            $0.file = nil
        }
    }

    /// Removes the file and starts from nothing changed.
    mutating func reset() throws(VarveError) {
        try remove()
        isWritten = false
        content.counter = .untouched
        content.restoreAutoRemove = false
        content.file = nil
    }

    /// What an earlier helper left; nil if it left nothing.
    func earlier() throws(VarveError) -> CaptureJournal? {
        guard let bytes = try root.read(Self.name, limit: CaptureJournal.sizeLimit) else { return nil }
        return try bytes.withBytes { (bytes) throws(VarveError) in try CaptureJournal(bytes) }
    }
}
