import Glibc
import VarveFiles
import VarveFormat

/// A helper whose parent is dead, and which keeps the environment's lock because it waits in libdb.
enum OrphanedHelper {
    /// As the kernel cuts the name of `varve-capture-bdb` (`TASK_COMM_LEN`).
    private static let command = "varve-capture-b"

    /// Ends the one that has the lock, if nobody can come any more for whom it waits: no other process has the regions
    /// mapped in which it is; they are not this environment's any more, or every process could be looked into.
    ///
    /// Never one whose regions are alive: page writers that it holds would wait for ever.
    /// - Returns: its process, nil if none was ended.
    static func end(lock: String, _ files: EnvironmentFiles) throws(VarveError) -> Int32? {
        let holders = try EnvironmentUse.find([lock], files).processes.filter { $0.command == command }
        for holder in holders {
            let start = ProcessTable.startTime(of: holder.process)
            guard start != nil, ProcessTable.user(of: holder.process) == files.rights.user,
                try isLost(holder.process, files),
                ProcessTable.startTime(of: holder.process) == start
            else { continue }
            // One of another user, or one that has gone by now, is not ours to end.
            if kill(holder.process, SIGKILL) == 0 { return holder.process }
        }
        return nil
    }

    private static func isLost(_ process: Int32, _ files: EnvironmentFiles) throws(VarveError) -> Bool {
        let (mappings, hidden) = try MappedFile.find(named: RegionState.name) { path in
            Path.parent(path) == files.home || Path.name(path).hasPrefix("log.")
        }
        let own = mappings.filter { $0.process == process }
        guard !own.isEmpty else { return false }
        let inodes = Set(own.map(\.inode))
        guard !mappings.contains(where: { $0.process != process && inodes.contains($0.inode) }) else {
            return false
        }
        // A file that is mapped keeps its number, so an equal one is the same file.
        let current = try files.status(Path.join(files.home, RegionState.name), followLinks: false)?.inode
        let areReplaced = own.allSatisfy { $0.isDeleted || $0.inode != current }
        return areReplaced || hidden == 0
    }
}
