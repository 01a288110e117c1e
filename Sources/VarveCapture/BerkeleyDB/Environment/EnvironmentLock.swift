import Glibc
import VarveFiles
import VarveFormat

/// One backup per environment: libdb does not exclude a second one of the same file.
///
/// The lock goes with the open file description, and the helper inherits it: when a parent dies, the environment
/// stays locked until its helper has cleaned up and gone.
package final class EnvironmentLock {
    let descriptor: Int32
    let files: EnvironmentFiles
    /// The helper of a backup that died, which was ended so that the lock could be had.
    package private(set) var endedHelper: Int32?
    private let file: File

    /// A helper that waits in regions which nobody but it has, or that are not the environment's any more, is ended: it
    /// would wait for ever.
    ///
    /// - Parameter patience: how long to wait for the helper of a backup that died itself; a live backup is an
    ///   error at once (`.locked`, naming its process and since when).
    package convenience init(home: String, patience: Duration = .seconds(60)) throws(VarveError) {
        try self.init(EnvironmentFiles(home: home), patience: patience)
    }

    init(_ files: EnvironmentFiles, patience: Duration = .seconds(60)) throws(VarveError) {
        let home = files.home
        let name = ".varve/lock"
        let path = Path.join(home, name)
        // As the owner, whose helper must be able to write here.
        let file = try files.perform { () throws(VarveError) in
            if try files.makeOwnDirectory(EnvironmentLayout.ownDirectoryName, in: files.root) {
                try files.root.sync()
            }
            let file = try files.root.open(updating: name)
            try files.rights.share(file.descriptor, path, mode: 0o660)
            return file
        }
        try files.requireOwn(file)
        let deadline = ContinuousClock.now + patience
        var ended: Int32?
        var turns = 0
        while try !Self.tryLock(file) {
            let holder = (try? file.readAll(limit: 256)).map { String(decoding: $0, as: UTF8.self) } ?? ""
            let words = holder.split(whereSeparator: \.isWhitespace).map(String.init)
            let process = words.first.flatMap { Int32($0) }
            let start = words.count > 1 ? UInt64(words[1]) : nil
            let isAlive = process.flatMap { ProcessTable.startTime(of: $0) } == start && start != nil
            if isAlive || ContinuousClock.now >= deadline {
                let since = words.count > 2 ? " since \(words[2])" : ""
                let who = isAlive ? "process \(words[0])" : "the helper of a backup that died"
                throw VarveError(
                    .locked, "another backup of \(home) is running: \(who)\(since)", location: path,
                    hint: "wait for it to end")
            }
            // Once a second; first when it had the time to go by itself.
            turns += 1
            if turns % 20 == 0, ended == nil { ended = try OrphanedHelper.end(lock: path, files) }
            usleep(50_000)
        }
        endedHelper = ended
        let text = "\(getpid()) \(ProcessTable.ownStartTime) \(Clock.now())\n"
        try file.truncate(to: 0)
        try Array(text.utf8).withBytes { (bytes) throws(VarveError) in try file.write(bytes, at: 0) }
        descriptor = file.descriptor
        self.files = files
        self.file = file
    }

    /// For people.
    static func describe(_ endedHelper: Int32) -> String {
        "the helper (process \(endedHelper)) of a backup that died waited for an application that is gone, and was ended"
    }

    private static func tryLock(_ file: borrowing File) throws(VarveError) -> Bool {
        do {
            try systemCall("flock", file.path) { flock(file.descriptor, LOCK_EX | LOCK_NB) }
            return true
        } catch let error where error.errno == EWOULDBLOCK {
            return false
        }
    }
}
