import VarveBlobs
import VarveCodec
import VarveFiles
import VarveFormat
import VarveRepository
import VarveStorage
import VarveUpkeep

// What is whole in no other copy.

extension Healer {
    /// From this copy's own parity.
    ///
    /// - Returns: those that it does not give back.
    func heal(
        _ objects: [ObjectName], by parity: ParityHealer, _ report: inout HealReport
    ) throws(VarveError) -> [ObjectName] {
        guard !objects.isEmpty else { return [] }
        let outcomes = try parity.heal(Set(objects))
        let results = Dictionary(uniqueKeysWithValues: outcomes.map { ($0.object, $0) })
        return objects.filter { object in
            guard let outcome = results[object] else { return true }
            switch outcome.result {
            case .whole: return false
            case .healed:
                report.healed.append(.init(place: .object(object), source: .parity))
                return false
            case .beyond:
                report.beyondParity.append(outcome)
                return true
            case .uncovered: return true
            }
        }
    }

    /// Puts each together from what is good in several copies; else saves its readable blobs in new packs, and sets it
    /// aside if it is proved that nothing more can be had of it.
    func heal(
        packs: [ObjectName], in target: RepositoryCopy, _ report: inout HealReport
    ) throws(VarveError) {
        guard !packs.isEmpty else { return }
        let repository = try target.there()
        let all = [repository] + copies.online.compactMap(\.repository).filter { $0 !== repository }
        var readers: [BlobReader] = []
        for each in all {
            readers.append(BlobReader(index: try each.openIndex(), storage: each.storage))
        }
        var unhealed: [ObjectName] = []
        for object in packs {
            try cancellation.check()
            if report.unreadElsewhere.contains(object) {
                report.unreadable.append(
                    Finding(
                        .object(object), "another copy may have it whole, and can't be read now",
                        kind: .unreadable))
                continue
            }
            guard let bytes = try PackAssembler(object, all.map(\.storage)).assemble() else {
                unhealed.append(object)
                continue
            }
            try repository.storage.replace(object) { (append) throws(VarveError) in
                try bytes.withBytes(append)
            }
            report.healed.append(.init(place: .object(object), source: .parts))
        }
        try salvage(unhealed, all, readers, &report)
    }

    private func salvage(
        _ packs: [ObjectName], _ all: [Repository], _ readers: [BlobReader], _ report: inout HealReport
    ) throws(VarveError) {
        guard !packs.isEmpty, let repository = all.first else { return }
        let parameters = repository.description.parameters
        let largest = max(Int(parameters.extentSize), ExtentMapNode.maximumLength)
        let writer = try PackWriter(
            storage: repository.storage, repository: repository.id, packSize: Int(parameters.packSize),
            largestBlob: BlobEncoder.bound(largest))
        defer { writer.close() }
        let encoder = BlobEncoder(level: parameters.compressionLevel)
        var buffer = [UInt8](repeating: 0, count: BlobEncoder.bound(largest))
        var saved: Set<ContentID> = []
        let standings = try packs.map { (pack) throws(VarveError) in
            try Standing(pack, in: repository.storage)
        }
        for (object, standing) in zip(packs, standings) where standing.mayBeSetAside {
            for (id, type) in try blobs(of: object, in: all) where !saved.contains(id) {
                guard let bytes = try read(id, type, readers) else { continue }
                saved.insert(id)
                try bytes.withBytes { (bytes) throws(VarveError) in
                    try buffer.withMutableBytes { (buffer) throws(VarveError) in
                        let header = try encoder.encode(bytes, id: id, type: type, into: buffer)
                        try writer.append(
                            header,
                            UnsafeRawBufferPointer(
                                rebasing: UnsafeRawBufferPointer(buffer)[..<header.totalLength]))
                    }
                }
            }
        }
        // Durable before what they come from is out of the way.
        _ = try writer.finish()
        report.salvagedBlobs += saved.count
        // Each may come back when another of its group is whole again.
        let entangled = Set(report.beyondParity.count > 1 ? report.beyondParity.map(\.object) : [])
        for (object, standing) in zip(packs, standings) {
            switch standing {
            case .whole: break
            case .unread(let error):
                report.unreadable.append(
                    Finding(.object(object), error.message, kind: .unreadable))
            case .bad where entangled.contains(object):
                report.lost.append(
                    Finding(
                        .object(object),
                        "no copy that is there has it whole; it was not moved, because parity may repair it "
                            + "when other objects of its parity group are whole again"))
            case .absent, .bad:
                try repository.storage.setAside(object)
                report.lost.append(
                    Finding(
                        .object(object),
                        "no copy that is there has it whole; its readable blobs were saved"))
            }
        }
    }

    /// From the first that can give it. A reader that fails for another reason than damage fails the whole: what is not
    /// saved now would be set aside with the pack.
    private func read(_ id: ContentID, _ type: BlobType, _ readers: [BlobReader]) throws(VarveError)
        -> [UInt8]?
    {
        for reader in readers {
            for _ in 0..<2 {
                do {
                    return try reader.read(id, type)
                } catch let error where error.isOfMedium {
                    continue
                } catch let error where error.isOfTheMoment {
                    throw error
                } catch {
                    break
                }
            }
        }
        return nil
    }

    /// Every blob that any copy of the pack still tells of.
    private func blobs(of object: ObjectName, in all: [Repository]) throws(VarveError) -> [(
        ContentID, BlobType
    )] {
        guard let pack = ContentID(hex: object.name) else { return [] }
        var seen: Set<ContentID> = []
        var found: [(ContentID, BlobType)] = []
        for repository in all {
            let contents: PackContents
            do {
                contents = try PackReader.contents(of: pack, in: repository.storage)
            } catch let error where error.isOfTheMoment {
                throw error
            } catch {
                continue
            }
            for entry in contents.entries where seen.insert(entry.header.id).inserted {
                found.append((entry.header.id, entry.header.type))
            }
        }
        return found
    }
}

/// What is known of a pack that was found bad and that nothing good can take the place of, after a further look.
private enum Standing {
    case absent
    case whole
    /// Its bytes are not what its name promises, or the disk can't read some of them, time and again.
    case bad
    /// Whether it is bad is not known: nothing of it can be read, or not for the disk's fault.
    case unread(VarveError)

    private static let attempts = 3
    private static let block = 4096

    /// Nothing more can be had of it.
    var mayBeSetAside: Bool {
        switch self {
        case .absent, .bad: true
        case .whole, .unread: false
        }
    }

    init(_ object: ObjectName, in storage: any CopyStorage) throws(VarveError) {
        guard let size = try storage.size(of: object) else {
            self = .absent
            return
        }
        guard size <= UInt64(Pack.maximumLength) else {
            self = .bad
            return
        }
        var standing = Standing.bad
        for attempt in 0..<Self.attempts {
            // A disk that comes to itself again, or a limit that another process had used up.
            if attempt > 0 { Clock.sleep(milliseconds: 100) }
            standing = Self.look(object, Int(size), storage)
            guard case .bad = standing else { break }
        }
        self = standing
    }

    private static func look(
        _ object: ObjectName, _ size: Int, _ storage: any CopyStorage
    ) -> Standing {
        var hasher = Hasher()
        var unreadable = 0
        var failure: VarveError?
        var other: VarveError?
        let piece = UnsafeMutableRawBufferPointer.allocate(byteCount: block, alignment: 4096)
        defer { piece.deallocate() }
        for start in stride(from: 0, to: size, by: block) {
            let room = UnsafeMutableRawBufferPointer(rebasing: piece[..<min(block, size - start)])
            do {
                let count = try storage.read(object, at: UInt64(start), into: room)
                hasher.update(UnsafeRawBufferPointer(rebasing: room[..<count]))
            } catch {
                if error.isOfTheMoment { other = error } else { failure = error }
                unreadable += 1
            }
        }
        if let other { return .unread(other) }
        if let failure, unreadable == (size + block - 1) / block, !failure.isOfAnotherKind {
            return .unread(failure)
        }
        return unreadable == 0 && hasher.finish() == object.contentHash ? .whole : .bad
    }
}

/// Puts a pack together from copies none of which is whole, blob by blob. The result is the pack, or nothing: its hash is
/// its name.
struct PackAssembler {
    /// Choices that are tried where a blob alone can't tell which of two versions is right.
    private static let trialLimit = 64

    private let name: ContentID?
    private let object: ObjectName
    private let storages: [any CopyStorage]

    init(_ object: ObjectName, _ storages: [any CopyStorage]) {
        self.object = object
        self.storages = storages
        name = ContentID(hex: object.name)
    }

    func assemble() throws(VarveError) -> [UInt8]? {
        guard let name else { return nil }
        let versions = storages.compactMap { Self.read(object, $0) }
        guard versions.count > 1 else { return nil }
        // The directory at the end of any copy says where each blob lies and how long the pack is.
        for (version, storage) in zip(versions, storages) {
            guard let directory = try? PackReader.directory(of: name, in: storage) else { continue }
            let pieces = Self.pieces(directory, version.count)
            let usable = versions.filter { $0.count == version.count }
            if let bytes = Self.combine(pieces, usable, name) { return bytes }
        }
        return nil
    }

    /// Pieces that can't be read are zeros: they lose against any other version.
    private static func read(_ object: ObjectName, _ storage: any CopyStorage) -> [UInt8]? {
        guard let size = try? storage.size(of: object), size <= UInt64(Pack.maximumLength) else { return nil }
        var bytes = [UInt8](repeating: 0, count: Int(size))
        bytes.withUnsafeMutableBytes { all in
            for start in stride(from: 0, to: all.count, by: 4096) {
                let piece = UnsafeMutableRawBufferPointer(rebasing: all[start..<min(start + 4096, all.count)])
                _ = try? storage.read(object, at: UInt64(start), into: piece)
            }
        }
        return bytes
    }

    /// Header, blobs, and what follows them.
    private static func pieces(_ directory: PackDirectory, _ length: Int) -> [(Range<Int>, Pack.Entry?)] {
        var pieces: [(Range<Int>, Pack.Entry?)] = [(0..<Pack.headerLength, nil)]
        var end = Pack.headerLength
        for entry in directory.entries {
            let start = Int(entry.offset)
            pieces.append((start..<start + entry.header.totalLength, entry))
            end = start + entry.header.totalLength
        }
        if end < length { pieces.append((end..<length, nil)) }
        return pieces
    }

    private static func combine(
        _ pieces: [(Range<Int>, Pack.Entry?)], _ versions: [[UInt8]], _ name: ContentID
    ) -> [UInt8]? {
        guard var bytes = versions.first else { return nil }
        var open: [(range: Range<Int>, choices: [ArraySlice<UInt8>])] = []
        for (range, entry) in pieces {
            var choices: [ArraySlice<UInt8>] = []
            for version in versions where !choices.contains(version[range]) { choices.append(version[range]) }
            if choices.count > 1, let entry {
                let sound = choices.filter { isSound($0, entry) }
                if !sound.isEmpty { choices = sound }
            }
            if choices.count > 1 { open.append((range, choices)) }
            bytes.replaceSubrange(range, with: choices[0])
        }
        let trials = open.reduce(1) { min($0 * $1.choices.count, trialLimit + 1) }
        guard trials <= trialLimit else { return nil }
        for trial in 0..<trials {
            var number = trial
            for (range, choices) in open {
                bytes.replaceSubrange(range, with: choices[number % choices.count])
                number /= choices.count
            }
            if bytes.withUnsafeBytes({ Hasher.name(of: $0) }) == name { return bytes }
        }
        return nil
    }

    /// A blob that stands alone shows whether it is right; of a delta only the header does.
    private static func isSound(_ bytes: ArraySlice<UInt8>, _ entry: Pack.Entry) -> Bool {
        bytes.withUnsafeBytes { bytes in
            guard let header = try? Pack.BlobHeader(prefixOf: bytes), header == entry.header else {
                return false
            }
            guard header.base == nil else { return true }
            let payload = UnsafeRawBufferPointer(rebasing: bytes[header.length..<header.totalLength])
            var decoded = [UInt8](repeating: 0, count: Int(header.decodedLength))
            return decoded.withUnsafeMutableBytes { decoded in
                guard (try? BlobDecoder().decode(header, payload: payload, into: decoded)) != nil else {
                    return false
                }
                return Hasher.id(of: UnsafeRawBufferPointer(decoded), header.type) == header.id
            }
        }
    }
}
