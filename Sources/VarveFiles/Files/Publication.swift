import Glibc
import VarveFormat

/// Makes immutable files appear under their final names all at once, durably, or not at all. All names are beneath an
/// open directory (`RootDirectory`): none leads out of it.
package enum Publication {
    /// Writes an object to `directory` by way of a new file in `temporary`, on the same file system: write, `fsync`,
    /// `rename` without replacing, `fsync` of the directory. Returns only when all four are done; on any error the
    /// temporary file is removed and nothing counts.
    ///
    /// - Parameter write: writes the content and tells the name; called again, for a new file, if the disk lost what
    ///   was written.
    /// - Returns: the name, and false if it was there already; the caller decides whether what is there is good.
    package static func publish(
        in root: RootDirectory, _ directory: String, temporary: String,
        write: (StagedFile) throws(VarveError) -> String
    ) throws(VarveError) -> (name: String, isNew: Bool) {
        let (file, name) = try stage(in: root, temporary, write)
        return (name, try place([Placement(file, at: join(directory, name))], in: root)[0])
    }

    /// A durable file and the name that it gets, beneath the root.
    package struct Placement {
        package var file: StagedFile
        package var name: String
        /// Where a damaged file that has the name goes, on the same file system; nil: it is left as it is.
        package var aside: String?

        package init(_ file: StagedFile, at name: String, aside: String? = nil) {
            self.file = file
            self.name = name
            self.aside = aside
        }
    }

    /// Gives durable files their names; then makes the names durable, each directory once. A damaged file has its name
    /// in quarantine, durably, before a new one takes the old name, and at no moment is there neither (but on a file
    /// system without hard links). On an error some may have their names, and the others are gone.
    ///
    /// - Precondition: `finish()` of each file has returned.
    /// - Returns: false for each whose name was taken.
    package static func place(_ placements: [Placement], in root: RootDirectory) throws(VarveError) -> [Bool]
    {
        var quarantines: Set<String> = []
        for placement in placements {
            guard let aside = placement.aside else { continue }
            if try putAside(placement.name, aside, in: root) { quarantines.insert(parent(aside)) }
        }
        for directory in quarantines.sorted() { try sync(directory, in: root) }
        var areNew: [Bool] = []
        for placement in placements {
            if placement.aside == nil {
                areNew.append(try placement.file.take(placement.name))
            } else {
                try placement.file.takeOver(placement.name)
                areNew.append(true)
            }
        }
        for directory in Set(placements.map { parent($0.name) }).sorted() { try sync(directory, in: root) }
        return areNew
    }

    /// - Returns: false if there is none.
    private static func putAside(_ name: String, _ aside: String, in root: RootDirectory) throws(VarveError)
        -> Bool
    {
        guard let status = try root.status(of: name) else { return false }
        // Whoever empties the quarantine may remove it.
        try root.makeDirectory(forOwner: parent(aside))
        do {
            // What is no file has no second name worth having, and a directory can't be replaced by one.
            guard status.kind == .regular else {
                try root.rename(name, to: aside)
                return true
            }
            try root.link(name, to: aside)
        } catch let error where [EPERM, ENOTSUP, ENOSYS, EMLINK].contains(error.errno) {
            // A file system without hard links.
            try root.rename(name, to: aside)
        }
        return true
    }

    /// A new durable file.
    ///
    /// - Parameters:
    ///   - modified: the time that it gets; nil: now.
    ///   - write: writes the content; called again, for a new file, if the disk lost what was written.
    package static func stage<R>(
        in root: RootDirectory, _ temporary: String, modified: Timestamp? = nil,
        _ write: (StagedFile) throws(VarveError) -> R
    ) throws(VarveError) -> (file: StagedFile, result: R) {
        func attempt() throws(VarveError) -> (StagedFile, R) {
            let file = try StagedFile(in: root, temporary)
            let result = try write(file)
            try file.finish(modified: modified)
            return (file, result)
        }
        do {
            return try attempt()
        } catch let error where error.errno == EIO {
            // A failed write-back loses the pages: write them again, to a new file, once.
            return try attempt()
        }
    }

    /// Whether a file of this name is what a killed `replace` of `path` left beside it.
    package static func isStaged(_ name: String, for path: String) -> Bool {
        name.hasPrefix(Path.name(path) + ".") && name.hasSuffix(".tmp")
    }

    /// Replaces a small mutable file (a state file, never an object): new content or old content, never a mix.
    package static func replace(
        _ name: String, in root: RootDirectory, with bytes: [UInt8], mode: mode_t = 0o600
    ) throws(VarveError) {
        let file = try StagedFile(in: root, at: name + ".\(Path.randomName()).tmp", mode: mode)
        try bytes.withBytes { (bytes) throws(VarveError) in try file.append(bytes) }
        try file.finish()
        try file.takeOver(name)
        try sync(parent(name), in: root)
    }

    /// The same in a directory that the user named.
    package static func replace(_ path: String, with bytes: [UInt8], mode: mode_t = 0o600) throws(VarveError)
    {
        try replace(Path.name(path), in: RootDirectory(Path.parent(path)), with: bytes, mode: mode)
    }

    /// Makes the names in a directory durable.
    package static func sync(_ directory: String, in root: RootDirectory) throws(VarveError) {
        directory == "." ? try root.sync() : try root.directory(directory).sync()
    }

    /// Of names beneath a root, whose own name is ".".
    package static func join(_ directory: String, _ name: String) -> String {
        directory == "." ? name : directory + "/" + name
    }

    package static func parent(_ name: String) -> String {
        name.lastIndex(of: "/").map { String(name[..<$0]) } ?? "."
    }
}
