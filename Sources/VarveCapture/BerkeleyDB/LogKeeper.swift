import Glibc
import Synchronization
import VarveDatabase
import VarveFiles
import VarveFormat

/// Holds on to log files that a backup needs while the application may remove them (`DB_LOG_AUTO_REMOVE`,
/// `db_archive -d`).
///
/// Each log file from the first needed one on gets a hard link in `.varve/logs` of the log directory, at the
/// start and, by a thread, as new ones appear. Where links are not possible (another kind of file system, a
/// foreign owner's files) the files are kept open instead, which holds their content just as well until this
/// process ends. The links are removed by `close`; those of a run that was killed by the next run's `init`.
public final class LogKeeper: Sendable {
    private struct State: ~Copyable {
        var linked: Set<UInt32> = []
        var open: [UInt32: HeldFile] = [:]
        var isStopping = false
        /// The links are gone; those that are there now may be another run's.
        var isClosed = false
        /// Why links are not possible, once that is known.
        var reason: String?
        /// What the thread met, to be thrown by the next call.
        var failure: VarveError?
    }

    /// Closed with its last reference.
    private final class HeldFile: @unchecked Sendable {
        // Sendable: positioned reads only, and the descriptor never changes.
        let file: File
        init(_ file: consuming File) { self.file = file }
    }

    public let logDirectory: String
    public let first: UInt32
    private let directory: String
    private let inPlace: Bool
    private let state = Mutex(State())
    private let thread = Mutex<WorkerThread?>(nil)

    /// Where the kernel does not tell of new files: a log file of 10 MiB is full after 50 ms at 200 MiB/s, and it takes a
    /// checkpoint besides to remove it.
    private static let pollMilliseconds: Int32 = 50
    /// Descriptors are dearer than links.
    private static let openLimit = 512

    /// Links every log file from `first` on, and goes on doing so until `close`.
    ///
    /// - Parameter inPlace: for an environment that nobody has open: nothing is linked, nobody removes logs.
    /// - Throws: `.system` when a log file can be neither linked nor opened; nothing is left behind then.
    public init(logDirectory: String, first: UInt32, inPlace: Bool = false) throws {
        self.logDirectory = logDirectory
        self.first = first
        self.inPlace = inPlace
        directory = inPlace ? logDirectory : Self.directory(in: logDirectory)
        if !inPlace { try Self.removeLinks(logDirectory: logDirectory) }
        do {
            try poll()
        } catch {
            removeOwnLinks()
            throw error
        }
        if inPlace { return }
        thread.withLock { $0 = WorkerThread { [weak self] in Self.watch(logDirectory) { self } } }
    }

    private static func watch(_ logDirectory: String, _ keeper: () -> LogKeeper?) {
        let watch = DirectoryWatch(logDirectory)
        while let keeper = keeper() {
            if keeper.state.withLock({ $0.isStopping }) { return }
            do {
                try keeper.poll()
            } catch let error as VarveError {
                keeper.state.withLock { $0.failure = $0.failure ?? error }
            } catch {}
            if watch == nil { usleep(UInt32(pollMilliseconds) * 1000) }
            watch?.wait(milliseconds: pollMilliseconds)
        }
    }

    deinit { removeOwnLinks() }

    /// Takes hold of log files that appeared since. Called between files too, and before the logs are read.
    public func poll() throws {
        for number in try Self.numbers(in: logDirectory) where number >= first {
            try state.withLock { state in
                guard !state.isStopping, !state.linked.contains(number), state.open[number] == nil else {
                    return
                }
                try hold(number, &state)
            }
        }
    }

    private func hold(_ number: UInt32, _ state: inout State) throws {
        let name = EnvironmentFileKind.logName(number)
        let path = Path.join(logDirectory, name)
        // libdb follows it, and a hard link would be one of the symbolic link.
        let isSymbolic = try FileStatus.of(path, followLinks: false)?.kind == .symbolicLink
        if inPlace && !isSymbolic {
            state.linked.insert(number)
            return
        }
        if state.reason == nil && !isSymbolic {
            do {
                try prepareDirectory()
                try systemCall("link", path) { link(path, Path.join(directory, name)) }
                state.linked.insert(number)
                return
            } catch let error as VarveError where error.errno == EEXIST {
                state.linked.insert(number)
                return
            } catch let error as VarveError where error.isNoEntry {
                // Removed between the listing and the link: the range check decides whether it is missed.
                return
            } catch let error as VarveError where Self.meansNoLinks(error.errno) {
                state.reason = error.message
            }
        }
        guard state.open.count < Self.openLimit else {
            throw VarveError(
                .refused, "more than \(Self.openLimit) log files would have to be kept open",
                location: logDirectory,
                hint:
                    "let the backup's user create \(Self.directory(in: logDirectory)), so that log files can be"
                    + " linked; symbolic links can't")
        }
        do {
            state.open[number] = HeldFile(try File.open(reading: path))
        } catch let error as VarveError where error.isNoEntry {
            return
        }
    }

    private static func meansNoLinks(_ code: Int32) -> Bool {
        [EPERM, EACCES, EXDEV, EMLINK, EOPNOTSUPP, ENOSYS, EROFS].contains(code)
    }

    /// As private as the logs may be; of the log directory's owner when root makes it, so that the
    /// application's own user can back up next time.
    private func prepareDirectory() throws {
        guard let owner = try FileStatus.of(logDirectory) else { return }
        for path in [Path.parent(directory), directory] {
            if let there = try FileStatus.of(path, followLinks: false) {
                // Root would write wherever the environment's owner has led a symbolic link.
                guard there.kind == .directory else {
                    throw VarveError(
                        .refused, "\(path) is not a directory", hint: "remove it: varve makes its own")
                }
                continue
            }
            try Directory.create(path)
            if geteuid() == 0 {
                try systemCall("lchown", path) { lchown(path, owner.user, owner.group) }
            }
        }
    }

    /// The numbers of the log files that are held, ascending.
    public var held: [UInt32] { state.withLock { ($0.linked.union($0.open.keys)).sorted() } }

    /// The sizes of the held log files, as far as they can be told.
    public var heldBytes: UInt64 {
        held.reduce(0) { sum, number in
            sum + ((try? withFile(number) { try $0.status().size }) ?? 0)
        }
    }

    /// Why log files are kept open and not linked, nil while links work.
    public var reasonAgainstLinks: String? { state.withLock { $0.reason } }

    /// Throws what the watching thread could not do.
    public func checkHealth() throws {
        if let failure = state.withLock({ $0.failure }) { throw failure }
    }

    /// Runs `body` with a held log file, open for reading. Nil if it is not held, or somebody removed the link.
    public func withFile<R>(_ number: UInt32, _ body: (borrowing File) throws -> R) throws -> R? {
        let (isLinked, held) = state.withLock { ($0.linked.contains(number), $0.open[number]) }
        if let held { return try body(held.file) }
        guard isLinked else { return nil }
        let file: File
        do {
            file = try File.open(
                reading: Path.join(directory, EnvironmentFileKind.logName(number)), followLinks: false)
        } catch let error as VarveError where error.isNoEntry {
            return nil
        }
        return try body(file)
    }

    /// Lets go of everything and removes the links. May be called twice.
    public func close() {
        state.withLock { $0.isStopping = true }
        let running = thread.withLock { thread -> WorkerThread? in
            defer { thread = nil }
            return thread
        }
        running?.join()
        removeOwnLinks()
    }

    private func removeOwnLinks() {
        state.withLock { state in
            state.isStopping = true
            state.open.removeAll()
            state.linked.removeAll()
            if state.isClosed || inPlace { return }
            state.isClosed = true
            // A link that stays costs its file's space until the next run removes it: not worth failing a
            // backup.
            _ = try? Self.removeLinks(logDirectory: logDirectory)
        }
    }

    static func directory(in logDirectory: String) -> String {
        Path.join(Path.join(logDirectory, EnvironmentLayout.ownDirectoryName), "logs")
    }

    /// Removes what a run that was killed left. Only under the environment's lock: a running backup needs
    /// them.
    ///
    /// - Returns: how many links there were.
    @discardableResult
    public static func removeLinks(logDirectory: String) throws -> Int {
        let directory = directory(in: logDirectory)
        guard try FileStatus.of(directory, followLinks: false)?.kind == .directory else { return 0 }
        var count = 0
        for name in try Directory.list(directory) {
            guard case .log = EnvironmentFileKind.classify(name) else { continue }
            try Directory.removeFile(Path.join(directory, name))
            count += 1
        }
        try Directory.removeEmpty(directory)
        // Varve's directory stays if the lock or the journal is in it.
        rmdir(Path.parent(directory))
        return count
    }

    /// The numbers of the log files in a directory, ascending.
    public static func numbers(in directory: String) throws -> [UInt32] {
        try Directory.list(directory).compactMap { name in
            if case .log(let number) = EnvironmentFileKind.classify(name) { return number }
            return nil
        }.sorted()
    }
}
