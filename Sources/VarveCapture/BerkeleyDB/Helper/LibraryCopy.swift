import VarveDatabase
import VarveFiles
import VarveFormat

/// One database on its way from libdb to a sink, with a queue's extents behind it.
///
/// libdb opens a file by its name, a moment after we have looked: the first page tells which database it is.
final class LibraryCopy {
    /// libdb has found the file.
    private(set) var isOpened = false
    private var file: EnvironmentFile
    private let listing: EnvironmentListing
    private let files: EnvironmentFiles
    private let deliveredIDs: [String: String]
    private let deliveredPaths: Set<String>
    private let sink: any CaptureSink
    /// The file that comes just now; nil for one that is not wanted.
    private var part: EnvironmentFile?
    private var stream: DatabaseStream?

    init(
        _ file: EnvironmentFile, among listing: EnvironmentListing, _ files: EnvironmentFiles,
        _ deliveredIDs: [String: String],
        _ deliveredPaths: Set<String>, _ sink: any CaptureSink
    ) {
        (self.file, self.listing, self.files, self.sink) = (file, listing, files, sink)
        (self.deliveredIDs, self.deliveredPaths) = (deliveredIDs, deliveredPaths)
    }

    /// - Returns: at a file's end what its pages tell, and which file it was.
    func take(
        _ piece: BerkeleyDBHelper.Piece, _ warnings: CaptureWarnings
    ) throws(VarveError) -> (DatabaseStream.Facts, EnvironmentFile)? {
        switch piece {
        case .open(let name):
            isOpened = true
            part = part(name)
        case .bytes(let bytes, let offset):
            if stream == nil, let part {
                if offset == 0, part.uid != nil { self.part = try identified(bytes, part) }
                stream = try self.part.map { (part) throws(VarveError) in try DatabaseStream(part, into: sink)
                }
            }
            try stream?.take(bytes, at: offset)
        case .close:
            guard let part else { return nil }
            let ended = if let stream { stream } else { try DatabaseStream(part, into: sink) }
            stream = nil
            self.part = nil
            return (try ended.finish(warnings), part)
        }
        return nil
    }

    /// The database that the first page is of; nil if it is not wanted, or is under way from one name to another: the
    /// next listing has it then.
    ///
    /// libdb finds a file in its cache by uid, and then opens it under the name that the first process gave it
    /// (`mp_fopen.c:351`): with other data directories than that process has, this may be another file. That one
    /// is there all the time, a file that was replaced is not.
    private func identified(
        _ bytes: UnsafeRawBufferPointer, _ part: EnvironmentFile
    ) throws(VarveError) -> EnvironmentFile? {
        guard let header = try DatabaseHeader.probe(bytes) else { return nil }
        if header.fileID == part.uid { return part }
        guard case .database(let now)? = try EnvironmentListing.probe(part.path, files) else { return nil }
        guard now.fileID != part.uid else {
            throw VarveError(
                .refused, "libdb copied another file instead of \(part.name)", location: part.path,
                hint: "the application has other data directories than this backup was told: name them with"
                    + " --data-dir, in its order; if the file was just replaced, back up again")
        }
        guard now.fileID == header.fileID, deliveredIDs[header.fileID] == nil else { return nil }
        var replaced = part
        replaced.role = .database(header)
        replaced.restored = part.place ?? part.restored
        replaced.place = nil
        replaced.giveWay(to: deliveredPaths)
        file = replaced
        return replaced
    }

    /// The file that libdb means: the database itself, or an extent of it under a name such as
    /// `./__dbq.name.0`.
    private func part(_ name: String) -> EnvironmentFile? {
        guard case .queueExtent(_, let number) = EnvironmentFileKind.classify(Path.name(name)),
            let header = file.header, name != file.name
        else { return file }
        let restored = Path.join(Path.parent(file.place ?? file.restored), Path.name(name))
        let clean = Placer.normalized(restored) ?? restored
        if let listed = listing.databases.first(where: { $0.restored == clean }) {
            return listed.following(file)
        }
        var extent = file
        extent.role = .queueExtent(number, header)
        extent.path = Path.join(Path.parent(file.path), Path.name(name))
        extent.restored = clean
        extent.place = nil
        extent.owner = file.restored
        return extent.following(file)
    }
}

extension EnvironmentFile {
    /// Takes another path beneath the restored home if a file was delivered for its own: the one that had its name
    /// before. Recovery puts it where it belongs (`Manifest.Database.place`).
    mutating func giveWay(to delivered: Set<String>) {
        guard let uid, delivered.contains(restored) else { return }
        place = restored
        let directory = Path.parent(restored)
        restored = Path.join(directory == "." ? "" : directory, "__varve.\(uid)")
    }

    /// An extent beside its queue, should that have given way.
    func following(_ queue: EnvironmentFile) -> EnvironmentFile {
        guard queue.place != nil, case .queueExtent(let number, _) = role else { return self }
        var extent = self
        extent.owner = queue.restored
        extent.restored = Path.join(
            Path.parent(queue.restored), "__dbq.\(Path.name(queue.restored)).\(number)")
        extent.restored = Placer.normalized(extent.restored) ?? extent.restored
        return extent
    }
}

extension EnvironmentListing {
    /// Databases by their uids.
    var byUID: [String: EnvironmentFile] {
        Dictionary(
            databases.compactMap { file in file.uid.map { ($0, file) } }, uniquingKeysWith: { a, _ in a })
    }
}
