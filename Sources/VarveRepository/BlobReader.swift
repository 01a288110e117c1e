import VarveFormat
import VarveStorage

/// Fetches blobs by id: finds, reads, decodes, checks. One per thread; its buffers are reused.
public final class BlobReader {
    /// Deltas against deltas beyond this are damage or malice: a writer bounds the work of a restore far below.
    static let maximumChainLength = 4096

    private let index: RepositoryIndex
    private let storage: any Storage
    private let decoder = BlobDecoder()
    private var stored: [UInt8] = []

    public init(index: RepositoryIndex, storage: any Storage) {
        self.index = index
        self.storage = storage
    }

    /// The decoded bytes of a blob, checked against its id.
    public func read(_ id: ContentID, _ type: BlobType) throws -> [UInt8] {
        do {
            return try read(id, type, depth: 0)
        } catch let error as VarveError where error.code == .corrupt || error.code == .missing {
            // The table may be at fault and not the pack.
            guard try index.rebuild() else { throw error }
            return try read(id, type, depth: 0)
        }
    }

    private func read(_ id: ContentID, _ type: BlobType, depth: Int) throws -> [UInt8] {
        guard depth <= Self.maximumChainLength else {
            throw VarveError(.corrupt, "blob \(id.short) is at the end of an endless chain of deltas")
        }
        guard let location = index.find(id) else {
            throw VarveError(
                .missing, "blob \(id.short) is in no pack", location: storage.location,
                hint: "run 'varve verify --content' to see which snapshots need it")
        }
        do {
            let header = try load(location)
            guard header.id == id, header.type == type else {
                throw VarveError(.corrupt, "another blob is where \(id.short) should be")
            }
            let base = try header.base.map { base -> [UInt8] in
                // The recursion reuses `stored`: keep this payload.
                let payload = stored
                defer { stored = payload }
                return try read(base, type, depth: depth + 1)
            }
            return try decode(header, base: base)
        } catch var error as VarveError where error.code == .corrupt && error.location == nil {
            error.location =
                "\(storage.location)/\(ObjectName(.pack, location.pack)), offset \(location.offset)"
            throw error
        }
    }

    /// Reads header and payload into `stored`.
    private func load(_ location: IndexTable.Location) throws -> Pack.BlobHeader {
        try load(location, count: location.readLength)
        let header = try stored.withUnsafeBytes { try Pack.BlobHeader(prefixOf: $0) }
        if header.totalLength > stored.count { try load(location, count: header.totalLength) }
        guard header.totalLength <= stored.count else {
            throw VarveError(.corrupt, "the pack ends in the middle of blob \(header.id.short)")
        }
        return header
    }

    private func load(_ location: IndexTable.Location, count: Int) throws {
        stored = try [UInt8](unsafeUninitializedCapacity: count) { buffer, read in
            let room = UnsafeMutableRawBufferPointer(start: buffer.baseAddress, count: count)
            read = try storage.read(ObjectName(.pack, location.pack), at: UInt64(location.offset), into: room)
        }
    }

    private func decode(_ header: Pack.BlobHeader, base: [UInt8]?) throws -> [UInt8] {
        let length = Int(header.decodedLength)
        return try [UInt8](unsafeUninitializedCapacity: length) { buffer, count in
            let target = UnsafeMutableRawBufferPointer(start: buffer.baseAddress, count: length)
            try stored.withUnsafeBytes { stored in
                let payload = UnsafeRawBufferPointer(rebasing: stored[header.length..<header.totalLength])
                if let base {
                    try base.withUnsafeBytes {
                        try decoder.decode(header, payload: payload, base: $0, into: target)
                    }
                } else {
                    try decoder.decode(header, payload: payload, into: target)
                }
            }
            count = length
        }
    }
}
