import CLinux
import Glibc
import VarveFormat

/// Makes immutable files appear under their final names all at once, durably, or not at all.
public enum Publication {
    /// Writes an object to `directory` by way of a new file in `temporary`, on the same file system: write, `fsync`,
    /// `rename` without replacing, `fsync` of the directory. Returns only when all four are done; on any error the
    /// temporary file is removed and nothing counts.
    ///
    /// - Parameter write: writes the content and tells the name; called again, for a new file, if the disk lost what
    ///   was written.
    /// - Returns: the name, and false if it was there already; the caller decides whether what is there is good.
    public static func publish(
        in directory: String, temporary: String, write: (StagedFile) throws -> String
    ) throws -> (name: String, isNew: Bool) {
        let (file, name) = try stage(in: temporary, write)
        return (name, try place([Placement(file, at: Path.join(directory, name))])[0])
    }

    /// A durable file and the name that it gets.
    public struct Placement {
        public var file: StagedFile
        public var path: String
        /// Where a damaged file that has the name goes, on the same file system; nil: it is left as it is.
        public var aside: String?

        public init(_ file: StagedFile, at path: String, aside: String? = nil) {
            self.file = file
            self.path = path
            self.aside = aside
        }
    }

    /// Gives durable files their names; then makes the names durable, each directory once. A damaged file has its name
    /// in quarantine, durably, before a new one takes the old name, and at no moment is there neither (but on a file
    /// system without hard links). On an error some may have their names, and the others are gone.
    ///
    /// - Precondition: `finish()` of each file has returned.
    /// - Returns: false for each whose name was taken.
    public static func place(_ placements: [Placement]) throws -> [Bool] {
        var quarantines: Set<String> = []
        for placement in placements {
            guard let aside = placement.aside else { continue }
            if try putAside(placement.path, aside) { quarantines.insert(Path.parent(aside)) }
        }
        for directory in quarantines.sorted() { try Directory.sync(directory) }
        var areNew: [Bool] = []
        for placement in placements {
            if placement.aside == nil {
                areNew.append(try placement.file.name(placement.path))
            } else {
                try placement.file.takeOver(placement.path)
                areNew.append(true)
            }
        }
        for directory in Set(placements.map { Path.parent($0.path) }).sorted() {
            try Directory.sync(directory)
        }
        return areNew
    }

    /// - Returns: false if there is none.
    private static func putAside(_ path: String, _ aside: String) throws -> Bool {
        guard try FileStatus.of(path, followLinks: false) != nil else { return false }
        // Whoever empties the quarantine may remove it.
        try Directory.create(forOwner: Path.parent(aside))
        do {
            try systemCall("link", aside) { link(path, aside) }
        } catch let error as VarveError where [EPERM, ENOTSUP, ENOSYS, EMLINK].contains(error.errno) {
            // A file system without hard links.
            try Directory.rename(path, to: aside)
        }
        return true
    }

    /// A new durable file.
    ///
    /// - Parameters:
    ///   - modified: the time that it gets; nil: now.
    ///   - write: writes the content; called again, for a new file, if the disk lost what was written.
    public static func stage<R>(
        in temporary: String, modified: Timestamp? = nil, _ write: (StagedFile) throws -> R
    ) throws -> (file: StagedFile, result: R) {
        func attempt() throws -> (StagedFile, R) {
            let file = try StagedFile(in: temporary)
            let result = try write(file)
            try file.finish(modified: modified)
            return (file, result)
        }
        do {
            return try attempt()
        } catch let error as VarveError where error.errno == EIO {
            // A failed write-back loses the pages: write them again, to a new file, once.
            return try attempt()
        }
    }

    /// `renameat2(RENAME_NOREPLACE)`; where the file system has no such thing, link and unlink; where it has no links
    /// either (exFAT), a look and `rename`: one writer at a time holds the lock, so nobody comes in between.
    static func renameWithoutReplacing(_ from: String, to: String) throws -> Bool {
        do {
            try systemCall("renameat2", to) {
                varve_renameat2(AT_FDCWD, from, AT_FDCWD, to, UInt32(VARVE_RENAME_NOREPLACE))
            }
            return true
        } catch let error as VarveError where error.errno == EEXIST {
            return false
        } catch let error as VarveError where error.errno == EINVAL || error.errno == ENOSYS {
            do {
                try systemCall("link", to) { link(from, to) }
            } catch let error as VarveError where error.errno == EEXIST {
                return false
            } catch let error as VarveError where [EPERM, EOPNOTSUPP, ENOSYS].contains(error.errno) {
                if try FileStatus.of(to, followLinks: false) != nil { return false }
                try Directory.rename(from, to: to)
                return true
            }
            try Directory.removeFile(from)
            return true
        }
    }

    /// Whether a file of this name is what a killed `replace` of `path` left beside it.
    public static func isStaged(_ name: String, for path: String) -> Bool {
        name.hasPrefix(Path.name(path) + ".") && name.hasSuffix(".tmp")
    }

    /// Replaces a small mutable file (a state file, never an object): new content or old content, never a mix.
    public static func replace(_ path: String, with bytes: [UInt8], mode: mode_t = 0o600) throws {
        let file = try StagedFile(at: path + ".\(Path.randomName()).tmp", mode: mode)
        try bytes.withUnsafeBytes { try file.append($0) }
        try file.finish()
        try file.takeOver(path)
        try Directory.sync(Path.parent(path))
    }
}
