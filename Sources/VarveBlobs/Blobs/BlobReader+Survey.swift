import VarveFormat
import VarveStorage

extension BlobReader {
    /// The ranges of a delta are in front of its bytes: those of nearly all are within this.
    private static let glance = 1024

    /// What decoding a blob would take, without decoding anything: from the headers of its chain, and the lists of
    /// ranges of the deltas.
    ///
    /// - Parameter visit: told of every blob on the way, the asked one first; perhaps twice if the index is at fault.
    package func survey(_ id: ContentID, _ type: BlobType, visit: (Pack.BlobHeader) -> Void)
        throws(VarveError) -> Chain
    {
        try outlivingDamage(to: id, type) { () throws(VarveError) in
            var chain = Chain()
            var seen: Set<ContentID> = [id]
            var next = id
            while true {
                let (header, changed) = try glance(at: next, type)
                visit(header)
                chain.work += changed
                guard let base = header.base else { return chain }
                chain.depth += 1
                guard chain.depth <= Self.maximumChainLength, seen.insert(base).inserted else {
                    throw Self.endless(id)
                }
                next = base
            }
        }
    }

    /// A blob's header, and how many bytes decoding it gives: of a delta, those that changed.
    private func glance(at id: ContentID, _ type: BlobType) throws(VarveError) -> (
        Pack.BlobHeader, decoded: Int
    ) {
        let location = try locate(id)
        do {
            let start = try read(location, count: min(location.readLength, Self.glance))
            let header = try start.withBytes { (bytes) throws(VarveError) in
                try Pack.BlobHeader(prefixOf: bytes)
            }
            try Self.require(header, id, type)
            guard header.encoding == .delta else { return (header, Int(header.decodedLength)) }
            // What was cut off has fewer ranges than it says, so it can't be taken for a whole list.
            if let delta = try? Self.delta(header, start) { return (header, delta.changedLength) }
            let whole = try read(location, count: header.totalLength)
            return (header, try Self.delta(header, whole).changedLength)
        } catch var error where error.code == .corrupt && error.location == nil {
            error.location = location.describe(in: storage)
            throw error
        }
    }

    private static func delta(_ header: Pack.BlobHeader, _ blob: [UInt8]) throws(VarveError) -> DeltaPayload {
        try blob.withBytes { (blob) throws(VarveError) in
            let payload = UnsafeRawBufferPointer(rebasing: blob.dropFirst(header.length))
            return try DeltaPayload(prefixOf: payload, decodedLength: Int(header.decodedLength))
        }
    }
}
