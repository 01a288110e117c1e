import Glibc
import VarveFiles
import VarveFormat

/// Who has an environment's files open, as far as the kernel tells.
package struct EnvironmentUse: Sendable, Hashable {
    /// Processes that have one of the files open or mapped, other than this one, and an example each.
    package var processes: [Holder]
    /// Processes whose descriptors this user may not see. Mappings alone, which a hardened kernel hides even from
    /// root for some, do not count: who has an environment open has a log or a database open, too.
    /// Nor does process 1 where it is hidden from its own user: that is a hardened init.
    package var hiddenProcesses: Int

    package struct Holder: Sendable, Hashable {
        package var process: Int32
        /// As `/proc/<pid>/comm` says.
        package var command: String
        package var path: String
    }

    private struct Node: Hashable {
        var device: UInt64
        var inode: UInt64
    }

    /// Who has one of the files open that `paths` lists.
    ///
    /// While the processes are looked through, the application may start its next log and close the listed one. Where
    /// nobody is found and the list has changed meanwhile, both are done again, ten times at most.
    package static func find(
        _ files: EnvironmentFiles, listedBy paths: () throws(VarveError) -> [String]
    ) throws(VarveError) -> EnvironmentUse {
        var listed = try paths()
        for _ in 0..<10 {
            let use = try find(listed, files)
            if !use.processes.isEmpty { return use }
            let now = try paths()
            if now == listed { return use }
            listed = now
        }
        return try find(listed, files)
    }

    /// Looks through `/proc` for these files, by device and inode, so that other names of them count too.
    ///
    /// File systems that give files different device numbers in `stat` and in `/proc/<pid>/maps` (btrfs,
    /// overlayfs) hide mappings; the descriptor, which libdb keeps for databases and logs, is still seen.
    package static func find(_ paths: [String], _ files: EnvironmentFiles) throws(VarveError)
        -> EnvironmentUse
    {
        var nodes: [Node: String] = [:]
        for path in paths {
            if let status = try files.status(path) {
                nodes[Node(device: status.device, inode: status.inode)] = path
            }
        }
        var use = EnvironmentUse(processes: [], hiddenProcesses: 0)
        if nodes.isEmpty { return use }
        guard try FileStatus.of("/proc/self/fd") != nil else {
            throw VarveError(
                .refused, "can't find out which processes have the environment open: there is no /proc",
                location: files.home,
                hint: "run 'mount -t proc proc /proc', then run the same command again")
        }
        try forEachProcess { (process) throws(VarveError) in
            do throws(VarveError) {
                if let path = try heldFile(process, nodes) {
                    use.processes.append(Holder(process: process, command: command(process), path: path))
                }
            } catch let error where error.errno == EACCES || error.errno == EPERM {
                if process != 1 || ProcessTable.user(of: process) != geteuid() { use.hiddenProcesses += 1 }
            }
        }
        return use
    }

    /// Files that one of these processes has open and that have no name any more: it was one of `paths`.
    ///
    /// - Parameter users: as found just now; one that this user may not look into any more is left out.
    static func removed(_ paths: Set<String>, by users: [Holder]) throws(VarveError) -> [Holder] {
        var found: [Holder] = []
        let suffix = " (deleted)"
        try forEachProcess(of: users.map(\.process)) { (process) throws(VarveError) in
            let directory = "/proc/\(process)/fd"
            for name in (try? Directory.list(directory)) ?? [] {
                let link = Path.join(directory, name)
                guard let target = try? File.linkTarget(link), target.hasSuffix(suffix),
                    let status = try descriptorStatus(link), status.kind == .regular,
                    status.links == 0
                else { continue }
                let path = String(target.dropLast(suffix.count))
                guard paths.contains(path), !found.contains(where: { $0.path == path }) else { continue }
                found.append(Holder(process: process, command: command(process), path: path))
            }
        }
        return found
    }

    /// One that ends meanwhile is passed over.
    private static func forEachProcess(of known: [Int32]? = nil, _ body: (Int32) throws(VarveError) -> Void)
        throws(VarveError)
    {
        let processes = if let known { known } else { try Directory.list("/proc").compactMap { Int32($0) } }
        for process in processes where process != getpid() {
            do {
                try body(process)
            } catch let error where error.isNoEntry || error.errno == ESRCH {
                continue
            }
        }
    }

    private static func heldFile(_ process: Int32, _ nodes: [Node: String]) throws(VarveError) -> String? {
        if let path = try heldDescriptor(process, nodes) { return path }
        return try visibleMapping(process, nodes)
    }

    private static func heldDescriptor(_ process: Int32, _ nodes: [Node: String]) throws(VarveError)
        -> String?
    {
        let directory = "/proc/\(process)/fd"
        for name in try Directory.list(directory) {
            guard let status = try descriptorStatus(Path.join(directory, name)) else { continue }
            if let path = nodes[Node(device: status.device, inode: status.inode)] { return path }
        }
        return nil
    }

    /// The link is followed to the open file itself, also when that was removed meanwhile. Nil for one whose file system
    /// does not answer any more (a stale NFS handle, a FUSE server that died): that of the environment has just answered.
    private static func descriptorStatus(_ link: String) throws(VarveError) -> FileStatus? {
        do {
            return try FileStatus.of(link)
        } catch let error
            where error.errno == ESTALE || error.errno == ENOTCONN
        {
            return nil
        }
    }

    private static func visibleMapping(_ process: Int32, _ nodes: [Node: String]) throws(VarveError)
        -> String?
    {
        do {
            return try heldMapping(process, nodes)
        } catch let error where error.errno == EACCES || error.errno == EPERM {
            return nil
        }
    }

    private static func heldMapping(_ process: Int32, _ nodes: [Node: String]) throws(VarveError) -> String? {
        let file = try File.open(reading: "/proc/\(process)/maps")
        let text = String(decoding: try file.readToEnd(limit: 64 << 20), as: UTF8.self)
        // address perms offset major:minor inode path
        for line in text.utf8.split(separator: UInt8(ascii: "\n")) {
            let fields = line.split(
                separator: UInt8(ascii: " "), maxSplits: 5, omittingEmptySubsequences: true)
            guard fields.count >= 5, let inode = UInt64(String(decoding: fields[4], as: UTF8.self)),
                inode != 0
            else {
                continue
            }
            let device = fields[3].split(separator: UInt8(ascii: ":"))
            guard device.count == 2,
                let major = UInt32(String(decoding: device[0], as: UTF8.self), radix: 16),
                let minor = UInt32(String(decoding: device[1], as: UTF8.self), radix: 16)
            else { continue }
            if let path = nodes[Node(device: number(major, minor), inode: inode)] { return path }
        }
        return nil
    }

    /// As `stat` gives a device (`makedev(3)`).
    private static func number(_ major: UInt32, _ minor: UInt32) -> UInt64 {
        let (major, minor) = (UInt64(major), UInt64(minor))
        return (major & 0xfff) << 8 | (major & ~0xfff) << 32 | minor & 0xff | (minor & ~0xff) << 12
    }

    private static func command(_ process: Int32) -> String {
        guard let file = try? File.open(reading: "/proc/\(process)/comm"),
            let bytes = try? file.readToEnd(limit: 64)
        else { return "?" }
        return String(decoding: bytes.prefix { $0 != 10 }, as: UTF8.self)
    }
}

/// The processes that registered with an environment (`DB_REGISTER`), from `__db.register`: lines of 25
/// bytes, each with a process id or an X, the first byte of a line locked by a living process
/// (`env_register.c:24`).
package struct EnvironmentRegister: Sendable, Hashable {
    package var living: [Int32]
    /// In the list, but nobody holds the lock: these processes ended without closing, so recovery is due.
    package var dead: [Int32]

    static let name = "__db.register"
    private static let lineLength = 25

    /// Nil if the environment has no register.
    package static func read(_ files: EnvironmentFiles) throws(VarveError) -> EnvironmentRegister? {
        let path = Path.join(files.home, name)
        guard try files.status(path)?.kind == .regular else { return nil }
        // Closing it would drop record locks of this process, which has none: only the helper joins.
        let file = try files.open(reading: path)
        let bytes = try file.readToEnd(limit: 1 << 20)
        var register = EnvironmentRegister(living: [], dead: [])
        var offset = 0
        while offset < bytes.count {
            let line = bytes[offset..<min(offset + lineLength, bytes.count)]
            if line.first != UInt8(ascii: "X") {
                let digits = line.filter { (48...57).contains($0) }
                let process = Int32(String(decoding: digits, as: UTF8.self)) ?? 0
                if try isLocked(file, at: offset) {
                    register.living.append(process)
                } else {
                    register.dead.append(process)
                }
            }
            offset += lineLength
        }
        return register
    }

    private static func isLocked(_ file: borrowing File, at offset: Int) throws(VarveError) -> Bool {
        var lock = flock()
        lock.l_type = Int16(F_WRLCK)
        lock.l_whence = Int16(SEEK_SET)
        lock.l_start = off_t(offset)
        lock.l_len = 1
        let descriptor = file.descriptor
        try systemCall("fcntl", file.path) { fcntl(descriptor, F_GETLK, &lock) }
        return lock.l_type != Int16(F_UNLCK)
    }
}
