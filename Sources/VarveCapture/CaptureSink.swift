import VarveFiles
import VarveFormat

/// A file as a source announces it, before its bytes.
package struct SourceFile: Sendable, Hashable {
    /// Where it goes beneath a restored home (`Manifest.StoredFile.path`).
    package var path: String
    package var kind: Manifest.StoredFile.Kind
    package var attributes: Manifest.Attributes
    /// Cut the content at multiples of this: the page size, 1 where there are no pages.
    package var unit: UInt32
    /// In bytes, for progress only: the file may grow while it is read.
    package var expectedSize: UInt64
    /// Of a database file: what its copies have in common, whatever they are called (`Manifest.Database.uid`).
    package var uid: String?

    package init(
        path: String, kind: Manifest.StoredFile.Kind, attributes: Manifest.Attributes, unit: UInt32,
        expectedSize: UInt64, uid: String? = nil
    ) {
        self.path = path
        self.kind = kind
        self.attributes = attributes
        self.unit = unit
        self.expectedSize = expectedSize
        self.uid = uid
    }
}

/// What a source learned while it read a file.
package struct SourceFileFacts: Sendable, Hashable {
    /// Final length in bytes; at least the end of the last write, the rest reads as zeros.
    package var size: UInt64
    package var database: Manifest.Database?
    package var log: Manifest.Log?
    /// By which a later backup tells that the file is the same; nil where it can't.
    package var identity: Manifest.StoredFile.FileIdentity?
    /// Why it was read, where it might not have been.
    package var reading: Reading?

    package init(
        size: UInt64, database: Manifest.Database? = nil, log: Manifest.Log? = nil,
        identity: Manifest.StoredFile.FileIdentity? = nil, reading: Reading? = nil
    ) {
        self.size = size
        self.database = database
        self.log = log
        self.identity = identity
        self.reading = reading
    }
}

/// What a source knows of the whole when it is done: the manifest's part of it.
package struct CaptureSummary: Sendable {
    package var environment: Manifest.Environment?
    package var recovery: Manifest.Recovery?
    package var warnings: [Manifest.Warning]
    /// The restored home (".") and the directories beneath it that a restore makes, parents first.
    package var directories: [Manifest.StoredDirectory]
    /// `Manifest.requires`.
    package var requires: [String] = []
    /// Of databases that were delivered and are not there where the logs end, by uid (`Manifest.Database.removed`).
    package var removed: Set<String> = []

    package init(
        environment: Manifest.Environment?, recovery: Manifest.Recovery?, warnings: [Manifest.Warning],
        directories: [Manifest.StoredDirectory] = []
    ) {
        self.environment = environment
        self.recovery = recovery
        self.warnings = warnings
        self.directories = directories
    }
}

/// What a snapshot before says of the databases that there were.
package struct PreviousSnapshot: Sendable {
    /// Files with a uid.
    package var databases: [Manifest.StoredFile]
    package var endOfLog: LSN?

    package init(databases: [Manifest.StoredFile], endOfLog: LSN?) {
        self.databases = databases
        self.endOfLog = endOfLog
    }
}

/// Takes one capture stream: files one after another, each `begin`, writes at ascending offsets, `end`.
///
/// A gap between writes reads as zeros. Bytes are only borrowed for the call. Any method may throw (the
/// repository is full, the user pressed Ctrl-C): the source then cleans up behind itself and rethrows.
package protocol CaptureSink: AnyObject {
    /// How many bytes are about to come, for progress; may be said again when more is known.
    func expect(totalBytes: UInt64)
    func begin(_ file: SourceFile) throws(VarveError)
    func write(_ bytes: UnsafeRawBufferPointer, at offset: UInt64) throws(VarveError)
    func end(_ facts: SourceFileFacts) throws(VarveError)

    /// What the snapshot before, of the same source, says of a file; nil if there is none.
    func previous(_ path: String) -> Manifest.StoredFile?

    /// The snapshot before, of the same source; nil if there is none.
    var previousSnapshot: PreviousSnapshot? { get }

    /// Takes a file over as the snapshot before has it, in place of `begin`, writes and `end`.
    ///
    /// - Returns: false if that can't be done because the repository no longer has all of it: it must be delivered.
    func takeOver(_ file: SourceFile) throws(VarveError) -> Bool
}

/// Something that can be backed up.
package protocol CaptureSource {
    /// Which environment it is, as the manifest will say: its files are stored against those of the newest
    /// snapshot of the same one. Nil for none.
    var home: String? { get }

    /// What the environment's owner's file says that its snapshots are called; nil if there is none.
    func rememberedSource() -> RememberedSource?

    /// Writes that down for the next time; false if it can't be: then the name is told anew each time.
    @discardableResult
    func remember(_ source: RememberedSource) -> Bool

    /// Delivers everything in the order of the contract (databases, then logs ascending), checks what it can,
    /// and throws before the first `begin` if the source must be refused.
    func capture(into sink: any CaptureSink) throws(VarveError) -> CaptureSummary
}

extension CaptureSource {
    package func rememberedSource() -> RememberedSource? { home.flatMap { RememberedSource.read(home: $0) } }

    @discardableResult
    package func remember(_ source: RememberedSource) -> Bool {
        home.map { source.write(home: $0) } ?? false
    }
}

extension CaptureSink {
    package func expect(totalBytes: UInt64) {}
    package func previous(_ path: String) -> Manifest.StoredFile? { nil }
    package var previousSnapshot: PreviousSnapshot? { nil }
    package func takeOver(_ file: SourceFile) throws(VarveError) -> Bool { false }
}
