import VarveCodec
import VarveFiles
import VarveFormat
import VarveStorage

/// Fetches blobs by id: finds, reads, decodes, checks. One per thread; its buffers are reused.
package final class BlobReader {
    /// Deltas against deltas beyond this are damage or malice: a writer bounds the work of a restore far below.
    static let maximumChainLength = 4096

    /// What it took to decode a blob.
    package struct Chain: Hashable, Sendable {
        /// Deltas applied; 0 for a blob that stands alone.
        package var depth = 0
        /// Bytes decoded, of the whole blob at the bottom and of every delta on it.
        package var work = 0
    }

    let index: RepositoryIndex
    let storage: any Storage
    private let decoder = BlobDecoder()
    private let buffer = BlobBuffer()
    private let others: (any BlobFallback)?
    private lazy var otherReaders = others?.readers() ?? []

    /// - Parameter others: are asked for what is damaged or missing here; nil for a writer, which stores it again.
    package init(index: RepositoryIndex, storage: any Storage, others: (any BlobFallback)? = nil) {
        self.index = index
        self.storage = storage
        self.others = others
    }

    /// The decoded bytes of a blob, checked against its id.
    package func read(_ id: ContentID, _ type: BlobType) throws(VarveError) -> [UInt8] {
        try preferringOthers(to: id, type, { $0 }) { () throws(VarveError) in
            try outlivingDamage(to: id, type) { () throws(VarveError) in try readHere(id, type) }
        } hastily: { () throws(VarveError) in
            try readHere(id, type)
        }
    }

    private func readHere(_ id: ContentID, _ type: BlobType) throws(VarveError) -> [UInt8] {
        try decode(id, type, into: buffer)
        try Self.check(buffer.bytes, id, type)
        return Array(buffer.bytes)
    }

    /// Like `read`, but the caller checks the id, together with others: hashing several at once is much faster.
    @discardableResult
    package func readUnchecked(_ id: ContentID, _ type: BlobType, into buffer: BlobBuffer) throws(VarveError)
        -> Chain
    {
        try preferringOthers(
            to: id, type,
            { bytes in
                bytes.withUnsafeBytes { buffer.replace(with: $0) }
                return Chain()
            }
        ) { () throws(VarveError) in
            try outlivingDamage(to: id, type) { () throws(VarveError) in try decode(id, type, into: buffer) }
        } hastily: { () throws(VarveError) in
            try decode(id, type, into: buffer)
        }
    }

    /// What is damaged here is read from another copy, before every pack of this one is asked for it.
    private func preferringOthers<R>(
        to id: ContentID, _ type: BlobType, _ take: ([UInt8]) -> R, _ thoroughly: () throws(VarveError) -> R,
        hastily: () throws(VarveError) -> R
    ) throws(VarveError) -> R {
        guard let others else { return try thoroughly() }
        do {
            return try hastily()
        } catch let error where Self.isDamage(error) {
            for (number, reader) in otherReaders {
                guard
                    let bytes = Notices.attempt(
                        .remark, reader.storage.location, "blob \(id.short) can't be read from there",
                        { try reader.read(id, type) })
                else { continue }
                others.note(number, error)
                return take(bytes)
            }
            return try thoroughly()
        }
    }

    /// Whether the index knows the blob; it is not looked at.
    package func contains(_ id: ContentID) -> Bool { index.contains(id) }

    /// Every version on the way to a blob, the one that stands alone first, none of them checked.
    package func readVersions(
        of id: ContentID, _ type: BlobType,
        visit: (ContentID, UnsafeRawBufferPointer) throws(VarveError) -> Void
    ) throws(VarveError) {
        try decode(id, type, into: buffer, visit: visit)
    }

    /// The ids on the way to a blob, its own first, from the blob headers alone.
    package func chain(of id: ContentID, _ type: BlobType) throws(VarveError) -> [ContentID] {
        try links(of: id, type).map(\.header.id)
    }

    static func check(_ bytes: UnsafeRawBufferPointer, _ id: ContentID, _ type: BlobType) throws(VarveError) {
        if Hasher.id(of: bytes, type) != id { throw mismatch(id) }
    }

    private static let advice = "run 'varve verify --content' to see which snapshots need it"

    private static func advised(_ error: VarveError) -> VarveError {
        guard error.code == .corrupt, error.hint == nil else { return error }
        var error = error
        error.hint = advice
        return error
    }

    /// What to throw where bytes are not what their id promises.
    package static func mismatch(_ id: ContentID) -> VarveError {
        VarveError(.corrupt, "blob \(id.short) is damaged: its decoded bytes do not match its id")
    }

    static func require(_ header: Pack.BlobHeader, _ id: ContentID, _ type: BlobType) throws(VarveError) {
        guard header.id == id, header.type == type else {
            throw VarveError(.corrupt, "expected blob \(id.short), found another blob")
        }
    }

    /// What is damaged may lie at another place as well; where it does not, a writer stores it again from now on. And
    /// the tables may be at fault: then the packs themselves are asked, once.
    func outlivingDamage<R>(to id: ContentID, _ type: BlobType, _ body: () throws(VarveError) -> R)
        throws(VarveError) -> R
    {
        do {
            return try body()
        } catch let error where Self.isDamage(error) {
            while try mayLieElsewhere(id, type) {
                if let result = try? body() { return result }
            }
            // The first one: those after it only say that nothing else is there.
            throw Self.advised(error)
        }
    }

    private func mayLieElsewhere(_ id: ContentID, _ type: BlobType) throws(VarveError) -> Bool {
        if distrustDamage(to: id, type) { return true }
        if try index.lookElsewhere() { return true }
        return try index.rebuild()
    }

    /// `EIO`: what a disk can't read any more is as good as lost. And so is what is no file at all.
    private static func isDamage(_ error: VarveError) -> Bool {
        error.code == .corrupt || error.code == .missing || error.isOfMedium || error.isOfAnotherKind
    }

    /// Finds the version on the way to a blob that is not what its id promises, or whose base is nowhere, and distrusts
    /// its place, with the places of those between it and the blob.
    ///
    /// - Returns: false if there is none that was not known.
    private func distrustDamage(to id: ContentID, _ type: BlobType) -> Bool {
        var chain: [(id: ContentID, location: IndexTable.Location)] = []
        var seen: Set<ContentID> = []
        var sound = 0
        do {
            var next: ContentID? = id
            while let version = next, let location = index.find(version),
                chain.count < Self.maximumChainLength, seen.insert(version).inserted
            {
                chain.append((version, location))
                next = try load(version, type).header.base
            }
            if next == nil {
                try decode(id, type, into: buffer) { (version, bytes) throws(VarveError) in
                    try Self.check(bytes, version, type)
                    sound += 1
                }
                return false
            }
        } catch let error where Self.isDamage(error) {
        } catch {
            return false
        }
        guard sound < chain.count else { return false }
        var isNew = false
        for version in chain.reversed().dropFirst(sound) {
            isNew = index.distrust(version.id, at: version.location) || isNew
            // What is above it can be had all the same.
            if index.contains(version.id) { break }
        }
        return isNew
    }

    /// Down to the blob that stands alone, then up again, delta by delta, in the one buffer.
    @discardableResult
    private func decode(
        _ id: ContentID, _ type: BlobType, into buffer: BlobBuffer,
        visit: (ContentID, UnsafeRawBufferPointer) throws(VarveError) -> Void = { _, _ in }
    ) throws(VarveError) -> Chain {
        var links = try self.links(of: id, type)
        let whole = links.removeLast()
        let length = Int(whole.header.decodedLength)
        buffer.resize(to: length)
        var chain = Chain(depth: links.count, work: length)
        try whole.locatingErrors { () throws(VarveError) in
            try whole.withPayload { (payload) throws(VarveError) in
                try decoder.decode(whole.header, payload: payload, into: buffer.mutableBytes)
            }
        }
        try visit(whole.header.id, buffer.bytes)
        for link in links.reversed() {
            chain.work += try link.locatingErrors { () throws(VarveError) in
                try link.withPayload { (payload) throws(VarveError) in
                    try decoder.apply(link.header, payload: payload, to: buffer)
                }
            }
            try visit(link.header.id, buffer.bytes)
        }
        return chain
    }

    /// The stored blobs from this one down to the one that stands alone.
    private func links(of id: ContentID, _ type: BlobType) throws(VarveError) -> [Stored] {
        var links = [try load(id, type)]
        var seen: Set<ContentID> = [id]
        while let base = links[links.count - 1].header.base {
            guard links.count <= Self.maximumChainLength, seen.insert(base).inserted else {
                throw Self.endless(id)
            }
            links.append(try load(base, type))
        }
        return links
    }

    static func endless(_ id: ContentID) -> VarveError {
        VarveError(.corrupt, "blob \(id.short) is at the end of an endless chain of deltas")
    }

    /// A stored blob as it was read, header first.
    private struct Stored {
        var header: Pack.BlobHeader
        var bytes: [UInt8]
        var location: IndexTable.Location
        var storage: any Storage

        func withPayload<R>(_ body: (UnsafeRawBufferPointer) throws(VarveError) -> R) throws(VarveError) -> R
        {
            try bytes.withBytes { (bytes) throws(VarveError) in
                try body(UnsafeRawBufferPointer(rebasing: bytes[header.length..<header.totalLength]))
            }
        }

        func locatingErrors<R>(_ body: () throws(VarveError) -> R) throws(VarveError) -> R {
            do {
                return try body()
            } catch var error where error.code == .corrupt && error.location == nil {
                error.location = location.describe(in: storage)
                throw error
            }
        }
    }

    func locate(_ id: ContentID) throws(VarveError) -> IndexTable.Location {
        if let location = index.find(id) { return location }
        throw VarveError(
            .missing, "blob \(id.short) is in no pack", location: storage.location,
            hint: Self.advice)
    }

    private func load(_ id: ContentID, _ type: BlobType) throws(VarveError) -> Stored {
        let location = try locate(id)
        do throws(VarveError) {
            var bytes = try read(location, count: location.readLength)
            let header = try bytes.withBytes { (bytes) throws(VarveError) in
                try Pack.BlobHeader(prefixOf: bytes)
            }
            if header.totalLength > bytes.count { bytes = try read(location, count: header.totalLength) }
            guard header.totalLength <= bytes.count else {
                throw VarveError(.corrupt, "the pack ends in the middle of blob \(id.short)")
            }
            try Self.require(header, id, type)
            return Stored(header: header, bytes: bytes, location: location, storage: storage)
        } catch var error where error.code == .corrupt && error.location == nil {
            error.location = location.describe(in: storage)
            throw error
        }
    }

    func read(_ location: IndexTable.Location, count: Int) throws(VarveError) -> [UInt8] {
        try [UInt8](unsafeUninitializedCapacity: count) { (buffer, read) throws(VarveError) in
            let room = UnsafeMutableRawBufferPointer(start: buffer.baseAddress, count: count)
            read = try storage.read(ObjectName(.pack, location.pack), at: UInt64(location.offset), into: room)
        }
    }
}

extension IndexTable.Location {
    /// For messages.
    func describe(in storage: any Storage) -> String {
        "\(storage.location)/\(ObjectName(.pack, pack)), offset \(offset)"
    }
}
