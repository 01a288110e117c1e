import Glibc
import VarveFiles
import VarveFormat

/// Mount points within a restore's target, at directories that the snapshot has: a data or log directory with a file
/// system of its own. Everything is written and recovered on the file system that gets the most bytes; what belongs to
/// the others is copied there at the end.
struct InnerMounts {
    /// Beneath the target, sorted.
    let paths: [String]
    /// They, and the directories that lead to them.
    private let ways: Set<String>
    /// Bytes that go to each file system, by its device; the target's own is among them.
    private let bytes: [UInt64: UInt64]
    private let total: UInt64
    /// The path of each file system's first mount point; "." for the target's own.
    private let places: [UInt64: String]
    /// "." or the mount point on whose file system everything is written first.
    let workplace: String

    /// - Parameters:
    ///   - target: nil if it is not there.
    ///   - directories: of the snapshot.
    init(in target: RootDirectory?, files: [Manifest.StoredFile], directories: [String]) throws(VarveError) {
        var known = Set(directories)
        for file in files {
            var directory = Path.parent(file.path)
            while directory != ".", known.insert(directory).inserted { directory = Path.parent(directory) }
        }
        known.remove(".")
        total = files.bytesToWrite
        // Where a link or a file is in the way, the target is not empty.
        let paths =
            target.map { target in known.filter { (try? target.isMountPoint($0)) ?? false }.sorted() } ?? []
        self.paths = paths
        ways = Set(
            paths.flatMap { path in
                sequence(first: path) { Path.parent($0) == "." ? nil : Path.parent($0) }
            })
        guard let target, !paths.isEmpty else {
            (bytes, places, workplace) = ([:], [:], ".")
            return
        }
        let own = try target.status().device
        var places = [own: "."]
        var devices: [String: UInt64] = [:]
        for path in paths {
            let device = try target.directory(path).status().device
            devices[path] = device
            if places[device] == nil { places[device] = path }
        }
        var bytes = places.mapValues { _ in UInt64(0) }
        for file in files {
            let mount = paths.last { RecoveryLayout.isAt(file.path, $0) }
            bytes[mount.flatMap { devices[$0] } ?? own, default: 0] += [file].bytesToWrite
        }
        self.bytes = bytes
        self.places = places
        let most = bytes.values.max() ?? 0
        workplace = bytes[own] == most ? "." : paths.first { bytes[devices[$0] ?? own] == most } ?? "."
    }

    /// What is in the target and keeps a restore out of it; nil if it is empty but for mount points that are.
    ///
    /// - Parameters:
    ///   - ours: names that Varve has, in the target and in each mount point.
    ///   - moved: paths that an interrupted restore had moved there.
    func obstacle(in target: RootDirectory, ignoring ours: [String], _ moved: Set<String>) throws(VarveError)
        -> String?
    {
        for directory in ["."] + ways.sorted() {
            let isRoot = directory == "." || paths.contains(directory)
            for name in try target.names(in: directory) {
                let path = directory == "." ? name : directory + "/" + name
                if ways.contains(path) || moved.contains(path) { continue }
                if isRoot && (name == "lost+found" || ours.contains(name)) { continue }
                return path
            }
        }
        return nil
    }

    /// What each file system must hold, and has. Where that can't be told, there is none.
    func needs(_ target: RootDirectory) throws(VarveError) -> [(
        path: String, bytes: UInt64, available: UInt64
    )] {
        guard !paths.isEmpty else {
            return target.availableBytes.map { [(path: ".", bytes: total, available: $0)] } ?? []
        }
        let first = try target.directory(workplace).status().device
        var needs: [(path: String, bytes: UInt64, available: UInt64)] = []
        for (device, path) in places.sorted(by: { $0.value < $1.value }) {
            guard let available = try target.directory(path).availableBytes else { continue }
            needs.append((path, device == first ? total : bytes[device] ?? 0, available))
        }
        return needs
    }

    /// What has to move of a restored tree, beneath it: everything but the directories that are there.
    func pieces(of tree: RootDirectory) throws(VarveError) -> [String] { try pieces(of: tree, in: ".") }

    private func pieces(of tree: RootDirectory, in directory: String) throws(VarveError) -> [String] {
        var pieces: [String] = []
        for name in try tree.names(in: directory) {
            let path = directory == "." ? name : directory + "/" + name
            pieces += ways.contains(path) ? try self.pieces(of: tree, in: path) : [path]
        }
        return pieces
    }

    /// Moves the pieces, durably but for the target's own directory, and gives the directories on the way the tree's
    /// attributes.
    func move(
        _ pieces: [String], from tree: RootDirectory, to target: RootDirectory, _ cancellation: Cancellation
    ) throws(VarveError) {
        for piece in pieces {
            do {
                try tree.rename(piece, to: piece, in: target)
            } catch let error where error.errno == EXDEV {
                try copy(piece, from: tree, to: target, cancellation)
            }
        }
        // The inner ones first: what is made in a directory changes its times.
        for way in ways.sorted(by: { $0.utf8.count > $1.utf8.count }) {
            let directory = try target.directory(way)
            if let status = try tree.status(of: way) { try directory.apply(status.attributes) }
            try directory.sync()
        }
    }

    private func copy(
        _ path: String, from tree: RootDirectory, to target: RootDirectory, _ cancellation: Cancellation
    ) throws(VarveError) {
        try cancellation.check()
        guard let status = try tree.status(of: path) else { return }
        guard status.kind == .directory else {
            let file = try tree.copy(path, to: path, in: target)
            try file.apply(status.attributes)
            try file.sync()
            return try tree.unlink(path)
        }
        try target.makeDirectory(path)
        for name in try tree.names(in: path) {
            try copy(path + "/" + name, from: tree, to: target, cancellation)
        }
        let directory = try target.directory(path)
        try directory.apply(status.attributes)
        try directory.sync()
    }
}

extension RootDirectory {
    /// Copies a regular file's content to a new file beneath another directory; not yet durable.
    func copy(_ name: String, to new: String, in target: RootDirectory) throws(VarveError) -> File {
        let file = try open(reading: name)
        let copy = try target.create(new)
        try copy.truncate(to: file.status().size)
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 4096)
        defer { buffer.deallocate() }
        var offset: UInt64 = 0
        while true {
            let count = try file.read(into: buffer, at: offset)
            if count == 0 { break }
            let bytes = UnsafeRawBufferPointer(rebasing: buffer[..<count])
            // What is preallocated stays a hole.
            if bytes.contains(where: { $0 != 0 }) { try copy.write(bytes, at: offset) }
            offset += UInt64(count)
        }
        return copy
    }

    /// Whether something is mounted at the name, or at a directory beneath it.
    func holdsMountPoint(_ name: String) throws(VarveError) -> Bool {
        guard try status(of: name)?.kind == .directory else { return false }
        if try isMountPoint(name) { return true }
        for inner in try names(in: name) {
            if try holdsMountPoint(name + "/" + inner) { return true }
        }
        return false
    }
}
