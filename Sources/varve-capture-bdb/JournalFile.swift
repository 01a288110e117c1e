import Glibc
import VarveFiles
import VarveFormat

/// `.varve/journal` in the home: on disk before the change that it announces.
struct JournalFile {
    private let path: String
    private(set) var content: CaptureJournal
    /// The file is there and is ours.
    private(set) var isWritten = false

    init(home: String, region: CaptureJournal.Region) {
        path = Path.join(home, ".varve/journal")
        content = CaptureJournal(
            process: getpid(), processStart: ProcessTable.ownStartTime, thread: UInt64(pthread_self()),
            region: region)
    }

    /// Durable when it returns; throws before anything was changed.
    mutating func announce(_ change: (inout CaptureJournal) -> Void) throws {
        var next = content
        change(&next)
        if isWritten && next == content { return }
        try Directory.create(Path.parent(path), mode: 0o700)
        try Publication.replace(path, with: next.encoded)
        content = next
        isWritten = true
    }

    /// Nothing is left to undo. What helpers left that were killed while they wrote goes, too: who holds the
    /// environment's lock is the only one that writes.
    mutating func remove() throws {
        let directory = Path.parent(path)
        if try FileStatus.of(directory) != nil {
            for name in try Directory.list(directory) where Publication.isStaged(name, for: path) {
                try Directory.removeFile(Path.join(directory, name))
            }
        }
        guard try FileStatus.of(path) != nil else { return }
        try Directory.removeFile(path)
        try Directory.sync(Path.parent(path))
    }

    /// Leaves what an earlier helper left, on disk, as if this process had left it. It stays so until `adopt` or
    /// `reset`; `end` does not touch it.
    func takeOver(_ earlier: CaptureJournal) throws {
        var ours = earlier
        ours.process = content.process
        ours.processStart = content.processStart
        ours.thread = content.thread
        try Publication.replace(path, with: ours.encoded)
    }

    /// Goes on from what an earlier helper had changed.
    mutating func adopt(_ earlier: CaptureJournal) throws {
        try announce {
            $0.counter = earlier.counter
            $0.restoreAutoRemove = false
            $0.file = nil
        }
    }

    /// Removes the file and starts from nothing changed.
    mutating func reset() throws {
        try remove()
        isWritten = false
        content.counter = .untouched
        content.restoreAutoRemove = false
        content.file = nil
    }

    /// What an earlier helper left; nil if it left nothing.
    func earlier() throws -> CaptureJournal? {
        guard try FileStatus.of(path) != nil else { return nil }
        let bytes = try File.open(reading: path).readAll(limit: CaptureJournal.sizeLimit)
        return try bytes.withUnsafeBytes { try CaptureJournal($0) }
    }
}
