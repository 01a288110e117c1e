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
package final class LogKeeper: Sendable {
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

    package let logDirectory: String
    package let first: UInt32
    private let files: EnvironmentFiles
    /// The log directory; whoever owns the environment may lead its path elsewhere. To be used as the owner.
    private let root: RootDirectory
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
    /// - Throws: `.system` when a log file can be neither linked nor opened, or no thread can be had; nothing is left behind
    ///   then.
    package init(
        logDirectory: String, first: UInt32, inPlace: Bool = false, _ files: EnvironmentFiles
    ) throws(VarveError) {
        self.logDirectory = logDirectory
        self.first = first
        self.inPlace = inPlace
        self.files = files
        root = try files.perform { () throws(VarveError) in try files.directory(logDirectory) }
        if !inPlace { try Self.removeLinks(root, files) }
        do {
            try poll()
        } catch {
            removeOwnLinks()
            throw error
        }
        if inPlace { return }
        do {
            let watcher = try WorkerThread { [weak self] in Self.watch(files.watch(logDirectory)) { self } }
            thread.withLock { $0 = watcher }
        } catch {
            removeOwnLinks()
            throw error
        }
    }

    private static func watch(_ watch: consuming DirectoryWatch?, _ keeper: () -> LogKeeper?) {
        while let keeper = keeper() {
            if keeper.state.withLock({ $0.isStopping }) { return }
            do {
                try keeper.poll()
            } catch {
                keeper.state.withLock { $0.failure = $0.failure ?? error }
            }
            if watch == nil { usleep(UInt32(pollMilliseconds) * 1000) }
            watch?.wait(milliseconds: pollMilliseconds)
        }
    }

    deinit { removeOwnLinks() }

    /// Takes hold of log files that appeared since. Called between files too, and before the logs are read.
    package func poll() throws(VarveError) {
        for number in try files.perform({ () throws(VarveError) in Self.numbers(try root.names()) })
        where number >= first {
            try state.withLock { (state) throws(VarveError) in
                guard !state.isStopping, !state.linked.contains(number), state.open[number] == nil else {
                    return
                }
                try hold(number, &state)
            }
        }
    }

    private func hold(_ number: UInt32, _ state: inout State) throws(VarveError) {
        let name = EnvironmentFileKind.logName(number)
        let path = Path.join(logDirectory, name)
        // libdb follows it, and a hard link would be one of the symbolic link.
        let status = try files.perform { () throws(VarveError) in try root.status(of: name) }
        let isSymbolic = status?.kind == .symbolicLink
        if inPlace && !isSymbolic {
            state.linked.insert(number)
            return
        }
        if state.reason == nil && !isSymbolic {
            do {
                try files.perform { () throws(VarveError) in
                    try prepareDirectory()
                    try root.link(name, to: Self.linkName(number))
                }
                state.linked.insert(number)
                return
            } catch let error where error.errno == EEXIST {
                state.linked.insert(number)
                return
            } catch let error where error.isNoEntry {
                // Removed between the listing and the link: the range check decides whether it is missed.
                return
            } catch let error where Self.meansNoLinks(error.errno) {
                state.reason = error.message
            }
        }
        guard state.open.count < Self.openLimit else {
            throw VarveError(
                .refused, "more than \(Self.openLimit) log files would have to be kept open",
                location: logDirectory,
                hint:
                    "create the directory \(Path.join(logDirectory, Self.linkDirectory)) as the environment's owner:"
                    + " log files are linked there then, unless they are symbolic links")
        }
        do {
            state.open[number] = HeldFile(try files.open(reading: path))
        } catch let error where error.isNoEntry {
            return
        }
    }

    private static func meansNoLinks(_ code: Int32) -> Bool {
        [EPERM, EACCES, EXDEV, EMLINK, EOPNOTSUPP, ENOSYS, EROFS].contains(code)
    }

    /// As private as the logs may be, and the owner's. What is in its place and is no directory is refused: root would
    /// write wherever the environment's owner has led a symbolic link.
    private func prepareDirectory() throws(VarveError) {
        do {
            try files.makeOwnDirectory(EnvironmentLayout.ownDirectoryName, in: root)
            try files.makeOwnDirectory(Self.linkDirectory, in: root)
        } catch let error where error.errno == EEXIST {
            throw VarveError(
                .refused, "there is something else where varve keeps its links to log files",
                location: Path.join(logDirectory, Self.linkDirectory),
                hint: "remove it: varve makes a directory of its own")
        }
    }

    /// The numbers of the log files that are held, ascending.
    package var held: [UInt32] { state.withLock { ($0.linked.union($0.open.keys)).sorted() } }

    /// The sizes of the held log files, as far as they can be told.
    package var heldBytes: UInt64 {
        held.reduce(0) { sum, number in
            sum + ((try? withFile(number) { (file) throws(VarveError) in try file.status().size }) ?? 0)
        }
    }

    /// Why log files are kept open and not linked, nil while links work.
    package var reasonAgainstLinks: String? { state.withLock { $0.reason } }

    /// Throws what the watching thread could not do.
    package func checkHealth() throws(VarveError) {
        if let failure = state.withLock({ $0.failure }) { throw failure }
    }

    /// Runs `body` with a held log file, open for reading. Nil if it is not held, or somebody removed the link.
    package func withFile<R>(_ number: UInt32, _ body: (borrowing File) throws(VarveError) -> R)
        throws(VarveError) -> R?
    {
        let (isLinked, held) = state.withLock { ($0.linked.contains(number), $0.open[number]) }
        if let held { return try body(held.file) }
        guard isLinked else { return nil }
        let file: File
        do {
            let name = inPlace ? EnvironmentFileKind.logName(number) : Self.linkName(number)
            file = try files.perform { () throws(VarveError) in try root.open(reading: name) }
        } catch let error where error.isNoEntry {
            return nil
        }
        return try body(file)
    }

    /// Lets go of everything and removes the links. May be called twice.
    package func close() {
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
            Notices.attempt(
                .warning, Path.join(root.path, Self.linkDirectory),
                "links of logs can't be removed, and keep their space until the next backup"
            ) { _ = try Self.removeLinks(root, files) }
        }
    }

    private static let linkDirectory = EnvironmentLayout.ownDirectoryName + "/logs"

    private static func linkName(_ number: UInt32) -> String {
        linkDirectory + "/" + EnvironmentFileKind.logName(number)
    }

    /// Removes what a run that was killed left. Only under the environment's lock: a running backup needs
    /// them.
    ///
    /// - Returns: how many links there were.
    @discardableResult
    static func removeLinks(_ root: RootDirectory, _ files: EnvironmentFiles) throws(VarveError) -> Int {
        try files.perform { () throws(VarveError) in
            // A `.varve` that is a link throws: what it leads to is not ours.
            guard try root.status(of: linkDirectory)?.kind == .directory else { return 0 }
            let links = try root.directory(linkDirectory)
            var count = 0
            for name in try links.names() {
                guard case .log = EnvironmentFileKind.classify(name) else { continue }
                try links.unlink(name)
                count += 1
            }
            try root.removeEmpty(linkDirectory)
            // Varve's directory stays if the lock or the journal is in it.
            try? root.removeEmpty(EnvironmentLayout.ownDirectoryName)
            return count
        }
    }

    /// The same by path.
    @discardableResult
    package static func removeLinks(logDirectory: String, _ files: EnvironmentFiles) throws(VarveError) -> Int
    {
        try removeLinks(files.perform { () throws(VarveError) in try files.directory(logDirectory) }, files)
    }

    /// The numbers of the log files in a directory, ascending.
    package static func numbers(in directory: String, _ files: EnvironmentFiles) throws(VarveError)
        -> [UInt32]
    {
        numbers(try files.list(directory))
    }

    private static func numbers(_ names: [String]) -> [UInt32] {
        names.compactMap { name in
            if case .log(let number) = EnvironmentFileKind.classify(name) { return number }
            return nil
        }.sorted()
    }
}
