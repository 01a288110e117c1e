import Glibc
import VarveDatabase
import VarveFiles
import VarveFormat

/// Every file of an environment, told apart by name and first page.
///
/// All directories are searched with their subdirectories, because libdb takes names with directories in
/// them. Symbolic links are followed, to files and to directories, because libdb follows them: what they lead
/// to is stored as a plain file in the link's place. A file that is reached twice is stored once, under the
/// name without a link.
///
/// Stored: databases, queue extents, partitions, placeholders of unfinished renames, and small configuration
/// (`configurationNames`). Not stored: regions, logs (a source stores them after the databases), sockets,
/// libdb's temporary files (`BDB…`, `__db_tmp_open`, `env_name.c:233`), files that are no database, and homes of other
/// environments: `passedOver`.
package struct EnvironmentListing: Sendable {
    /// Databases, extents, placeholders; sorted by restored path, a queue's extents behind it.
    package internal(set) var databases: [EnvironmentFile] = []
    package internal(set) var configurations: [EnvironmentFile] = []
    /// Absolute paths of the region files and `__db.register`.
    package internal(set) var regions: [String] = []
    /// Absolute paths of libdb's temporary files that look like databases.
    package internal(set) var temporary: [String] = []
    /// Absolute paths that lead to a file that is stored under another name: (this path, the other).
    package internal(set) var aliases: [(path: String, stored: String)] = []
    /// Absolute paths of directories in the home that are homes of other environments: nothing of them is listed.
    package internal(set) var innerHomes: [String] = []
    /// What is not stored, sorted; see `Manifest.Omissions`.
    var passedOver: [PassedOver.Entry] = []
    var uncountedOthers = 0
    /// Absolute paths of files and directories that the environment's owner may not read.
    package internal(set) var unreadable: [String] = []
    /// Databases of Java Edition (`*.jdb`).
    package internal(set) var javaLogs = 0

    /// Beside `DB_CONFIG`: what Subversion and 389 Directory Server keep beside their databases.
    package static let configurationNames: Set<String> = ["DB_CONFIG", "DBVERSION", "format", "fs-type"]
    static let configurationLimit: UInt64 = 64 << 10
    /// So many directory entries are looked at: a symbolic link may lead anywhere.
    static let entryLimit = 1_000_000
}

extension EnvironmentLayout {
    /// Looks into every directory of the environment. Files that vanish meanwhile are left out.
    ///
    /// Throws `.refused` for two database files with the same uid (they would share pages in libdb's cache),
    /// and `.corrupt` for a file with a database's magic number whose meta page makes no sense.
    package func list() throws(VarveError) -> EnvironmentListing {
        var search = try FileSearch(layout: self)
        for place in dataDirectories {
            try search.visit(root: place.path, restored: place.directory.restored)
        }
        try search.visit(root: home, restored: ".")
        return try search.finish()
    }
}

private struct FileSearch {
    private struct Node: Hashable {
        var device: UInt64
        var inode: UInt64
        init(_ status: FileStatus) { (device, inode) = (status.device, status.inode) }
    }

    private struct Entry {
        var path: String
        var name: String
        var restored: String
        var isLink: Bool
    }

    private struct Part {
        var file: EnvironmentFile
        var queue: String
        var number: UInt32
    }

    private let layout: EnvironmentLayout
    private let hasLogs: Bool
    private var listing = EnvironmentListing()
    private var passedOver = PassedOver()
    private var directories: Set<Node> = []
    private var files: [Node: (index: Int, isLink: Bool)] = [:]
    private var found: [EnvironmentFile] = []
    private var extents: [Part] = []
    private var names: Set<String> = []
    private var entries = 0

    init(layout: EnvironmentLayout) throws(VarveError) {
        self.layout = layout
        hasLogs = try !LogKeeper.numbers(in: layout.logDirectory.path, layout.files).isEmpty
        for path in layout.dataDirectories.map(\.path) + [layout.home] {
            if let status = try layout.files.status(path) { directories.insert(Node(status)) }
        }
    }

    mutating func visit(root: String, restored: String) throws(VarveError) {
        var waiting = [(path: root, name: "", restored: restored)]
        while let directory = waiting.popLast() {
            let list: [String]
            do {
                list = try layout.files.list(directory.path)
            } catch let error where error.isNoEntry && directory.path != root {
                continue
            } catch let error where error.errno == EACCES && directory.path != root {
                noteUnreadable(directory.path)
                continue
            }
            if directory.path != root {
                if EnvironmentListing.isHome(list, logsSuffice: !hasLogs), !isLogDirectory(directory.path) {
                    listing.innerHomes.append(directory.path)
                    passedOver.add(directory.path, directory.restored, .environment)
                    continue
                }
                passedOver.enter(directory.path, directory.restored)
            }
            for name in list where name != EnvironmentLayout.ownDirectoryName {
                entries += 1
                guard entries <= EnvironmentListing.entryLimit else {
                    throw VarveError(
                        .refused, "more than \(EnvironmentListing.entryLimit) files in the environment",
                        location: directory.path,
                        hint: "look for a symbolic link in the home that leads to a foreign directory")
                }
                let entry = Entry(
                    path: Path.join(directory.path, name),
                    name: directory.name.isEmpty ? name : directory.name + "/" + name,
                    restored: directory.restored == "." ? name : directory.restored + "/" + name,
                    isLink: false)
                if let inner = try visit(entry, last: name) {
                    waiting.append((inner.path, inner.name, inner.restored))
                }
            }
        }
    }

    /// - Returns: the entry if it is a directory to look into.
    private mutating func visit(_ entry: Entry, last name: String) throws(VarveError) -> Entry? {
        var entry = entry
        guard var status = try layout.files.status(entry.path, followLinks: false) else {
            // Not gone, but not to be named: leaving it out silently could leave out a database.
            guard !name.unicodeScalars.contains("\u{FFFD}") else {
                throw VarveError(
                    .refused, "a file's name is not text in UTF-8: \(name)", location: entry.path,
                    hint: "rename it, or move it out of the environment")
            }
            return nil
        }
        if status.kind == .symbolicLink {
            entry.isLink = true
            do {
                guard let target = try layout.files.status(entry.path) else {
                    passedOver.add(entry.path, entry.restored, .link)
                    return nil
                }
                status = target
            } catch let error where error.errno == EACCES {
                noteUnreadable(entry.path)
                return nil
            }
        }
        switch status.kind {
        case .directory:
            if entry.isLink, leadsUpwards(entry.path) {
                passedOver.add(entry.path, entry.restored, .link)
                return nil
            }
            return directories.insert(Node(status)).inserted ? entry : nil
        case .regular:
            try add(entry, name: name, status)
            return nil
        case .symbolicLink, .other:
            passedOver.add(entry.path, entry.restored, entry.isLink ? .link : .special)
            return nil
        }
    }

    private func isLogDirectory(_ path: String) -> Bool {
        (try? layout.files.resolve(path)) == layout.logDirectory.path
    }

    /// What the owner can't read his application can't read either, or it has another user: then databases are missed.
    private mutating func noteUnreadable(_ path: String) {
        // At the root of every ext4, and root's.
        if Path.name(path) == "lost+found" { return }
        listing.unreadable.append(path)
    }

    /// A link to a directory that the home lies in would bring in everything beside the environment.
    private func leadsUpwards(_ path: String) -> Bool {
        guard let target = try? layout.files.resolve(path) else { return true }
        return Placer.lies(layout.home, in: target)
    }

    private mutating func add(_ entry: Entry, name: String, _ status: FileStatus) throws(VarveError) {
        let kind = EnvironmentFileKind.classify(name)
        switch kind {
        case .region:
            listing.regions.append(entry.path)
            return
        case .log:
            // Of another environment, or of none.
            if !isLogDirectory(Path.parent(entry.path)) { passedOver.add(entry.path, entry.restored, .file) }
            return
        case .queueExtent(let queue, let number):
            let directory = Path.parent(entry.restored)
            extents.append(
                Part(
                    file: file(entry, .placeholder, status),
                    queue: Path.join(directory == "." ? "" : directory, queue),
                    number: number))
            return
        case .partition, .configuration, .other:
            break
        }
        // Before its name: a database may be called `format` too.
        let probed: EnvironmentFile.Role?
        do {
            probed = try EnvironmentListing.probe(entry.path, layout.files)
        } catch let error where error.errno == EACCES {
            noteUnreadable(entry.path)
            return
        }
        guard let role = probed else {
            if EnvironmentListing.configurationNames.contains(name),
                status.size <= EnvironmentListing.configurationLimit
            {
                listing.configurations.append(file(entry, .configuration, status))
                return
            }
            if name.hasSuffix(".jdb") { listing.javaLogs += 1 }
            passedOver.add(entry.path, entry.restored, entry.isLink ? .link : .file)
            return
        }
        if isTemporary(name) {
            listing.temporary.append(entry.path)
        } else {
            addDatabase(file(entry, role, status), isLink: entry.isLink)
        }
    }

    private mutating func addDatabase(_ file: EnvironmentFile, isLink: Bool) {
        var file = file
        if !names.insert(file.name).inserted { file.name = file.path }
        let node = Node(file.status)
        guard let known = files[node] else {
            files[node] = (found.count, isLink)
            found.append(file)
            return
        }
        if known.isLink && !isLink {
            listing.aliases.append((found[known.index].path, file.path))
            found[known.index] = file
            files[node] = (known.index, false)
        } else {
            listing.aliases.append((file.path, found[known.index].path))
        }
    }

    private func file(_ entry: Entry, _ role: EnvironmentFile.Role, _ status: FileStatus) -> EnvironmentFile {
        EnvironmentFile(
            role: role, path: entry.path, name: entry.name, restored: entry.restored, status: status,
            owner: nil)
    }

}

extension EnvironmentListing {
    /// Nil for a file that is no database.
    static func probe(_ path: String, _ files: EnvironmentFiles) throws(VarveError) -> EnvironmentFile.Role? {
        do {
            let file = try files.open(reading: path)
            return try withUnsafeTemporaryAllocation(byteCount: DatabaseHeader.byteCount, alignment: 8) {
                (buffer) throws(VarveError) in
                let count = try file.read(into: buffer, at: 0)
                let bytes = UnsafeRawBufferPointer(rebasing: buffer[..<count])
                if let header = try DatabaseHeader.probe(bytes) { return .database(header) }
                return DatabaseHeader.isRenamed(bytes) ? .placeholder : nil
            }
        } catch var error {
            if error.isNoEntry { return nil }
            error.location = error.location ?? path
            throw error
        }
    }

}

extension FileSearch {
    /// `BDB` and the last five digits of a process id, of which letters take the place, from the front, in the names
    /// of further files of the process (`__db_tmp_open`). Two letters are enough for 702 of them; with more it could be
    /// anybody's `BDBdata1`.
    private func isTemporary(_ name: String) -> Bool {
        guard name.utf8.count == 8, name.hasPrefix("BDB") else { return false }
        let rest = name.utf8.dropFirst(3).drop { (97...122).contains($0) }
        return rest.count >= 3 && rest.allSatisfy { (48...57).contains($0) }
    }

    consuming func finish() throws(VarveError) -> EnvironmentListing {
        var owners: [String: DatabaseHeader] = [:]
        for file in found {
            if case .database(let header) = file.role { owners[file.restored] = header }
        }
        for index in found.indices {
            guard
                case .partition(let database, _) = EnvironmentFileKind.classify(Path.name(found[index].path))
            else { continue }
            let directory = Path.parent(found[index].restored)
            let owner = directory == "." ? database : directory + "/" + database
            // Partitions may be spread over data directories (`DB->set_partition_dirs`): then the name
            // decides.
            found[index].owner =
                owners[owner] != nil
                ? owner : owners.first { $0.value.partitions > 0 && Path.name($0.key) == database }?.key
        }
        for part in extents {
            // Left from a removed queue, beside no database, another one, or a queue without extents: nothing reads it.
            // What layout an encrypted queue has is ciphertext.
            guard let header = owners[part.queue], header.method == .queue,
                header.queue?.pagesPerExtent != 0
            else {
                passedOver.add(part.file.path, part.file.restored, .file)
                continue
            }
            var file = part.file
            file.role = .queueExtent(part.number, header)
            file.owner = part.queue
            found.append(file)
        }
        listing.databases = found.sorted { Self.key($0) < Self.key($1) }
        let stored = (listing.databases + listing.configurations).map(\.restored)
        let places = (layout.dataDirectories + [layout.logDirectory]).map(\.directory.restored)
        listing.passedOver = passedOver.settled(stored: stored + places)
        listing.uncountedOthers = passedOver.uncounted
        try refuseCopies()
        try refuseEqualPaths()
        return listing
    }

    private static func key(_ file: EnvironmentFile) -> (String, UInt32, String) {
        if case .queueExtent(let number, _) = file.role {
            return (file.owner ?? "", number + 1, file.restored)
        }
        return (file.restored, 0, file.restored)
    }

    /// Each file has a place of its own: names that differ only in how their accents are composed are two to Linux
    /// and one to Swift's strings, and the second one would count as delivered.
    private func refuseEqualPaths() throws(VarveError) {
        var known: [String: EnvironmentFile] = [:]
        for file in listing.databases + listing.configurations {
            guard let other = known.updateValue(file, forKey: file.restored) else { continue }
            throw VarveError(
                .refused, "two files would be restored as \(file.restored): \(other.path) and \(file.path)",
                location: file.path, hint: "rename one of them")
        }
    }

    /// Two files with one uid are one file to libdb: its cache would give pages of one for the other.
    private func refuseCopies() throws(VarveError) {
        var known: [String: EnvironmentFile] = [:]
        for file in listing.databases {
            guard case .database(let header) = file.role else { continue }
            if let other = known.updateValue(file, forKey: header.fileID) {
                throw VarveError(
                    .refused,
                    "two database files have the same uid \(header.fileID): \(other.path) and \(file.path)",
                    location: file.path,
                    hint:
                        "one is a copy of the other, and libdb mixes their pages up. Move the copy out of the"
                        + " environment. If it has to be there, give it a uid of its own first: run 'db5.3_load -r"
                        + " fileid FILE' while it lies in an empty directory, and the environment is closed"
                )
            }
        }
    }
}
