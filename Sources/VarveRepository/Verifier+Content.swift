import Synchronization
import VarveCodec
import VarveFiles
import VarveFormat
import VarveStorage

extension Verifier {
    /// Decodes every blob and checks its id, then follows every manifest to every extent it needs.
    public func verifyContent() throws -> VerificationReport {
        let objects = try listObjects()
        let index = try repository.openIndex()
        // What the packs themselves say, not the tables: those are a cache, and may be the thing that is damaged.
        _ = try index.rebuild()
        let bad = BadBlobs()
        try forEach(objects.filter { $0.object.kind == .pack }) { [self] object, size in
            verifyPack(object, size, index, bad)
        }
        for object in objects where object.object.kind == .index { verifyIndex(object.object) }
        try verifyManifests(index, bad)
        report.withLock { $0.objects = objects.count }
        return result()
    }

    /// Ids whose bytes are lost, as far as this verification has seen.
    private final class BadBlobs: Sendable {
        private let ids = Mutex<Set<ContentID>>([])
        func insert(_ id: ContentID) { ids.withLock { _ = $0.insert(id) } }
        func contains(_ id: ContentID) -> Bool { ids.withLock { $0.contains(id) } }
    }

    private func verifyPack(_ object: ObjectName, _ size: UInt64, _ index: RepositoryIndex, _ bad: BadBlobs) {
        do {
            guard let pack = ContentID(hex: object.name) else { return }
            // Read and not mapped: an unreadable sector must be an error here, not a signal.
            let stored = try repository.storage.readAll(object, limit: Pack.maximumLength)
            try stored.withUnsafeBytes { try verifyPack(object, pack, $0, index, bad) }
            report.withLock { $0.bytes += size }
        } catch {
            note("\(object)", error)
        }
    }

    private func verifyPack(
        _ object: ObjectName, _ pack: ContentID, _ bytes: UnsafeRawBufferPointer, _ index: RepositoryIndex,
        _ bad: BadBlobs
    ) throws {
        do {
            let header = try Pack.Header(UnsafeRawBufferPointer(rebasing: bytes.prefix(Pack.headerLength)))
            if header.repository != repository.id {
                note("\(object)", "it belongs to repository \(header.repository)")
            } else if header != Pack.Header(repository: repository.id) {
                note("\(object)", "its header is that of an encrypted pack, which this varve does not read")
            }
        } catch {
            note("\(object)", error)
        }
        checkDirectory(object, pack, bytes)
        let contents = try PackReader.contents(of: pack, in: repository.storage)
        for range in contents.damaged {
            note(
                "\(object)", "no blob can be read here",
                range: UInt64(range.lowerBound)..<UInt64(range.upperBound))
        }
        let decoder = BlobDecoder()
        let bases = BlobReader(index: index, storage: repository.storage)
        for entry in contents.entries { verifyBlob(object, entry, bytes, decoder, bases, bad) }
        report.withLock { $0.blobs += contents.entries.count }
    }

    /// A pack whose directory is damaged still gives its blobs, but it is damaged.
    private func checkDirectory(_ object: ObjectName, _ pack: ContentID, _ bytes: UnsafeRawBufferPointer) {
        do {
            let directory = try PackReader.directory(of: pack, in: repository.storage)
            let end =
                directory.entries.last.map { Int($0.offset) + $0.header.totalLength } ?? Pack.headerLength
            if directory.encoded(at: end).count + end != bytes.count {
                note("\(object)", "there are bytes between its last blob and its directory")
            }
        } catch {
            note("\(object)", error)
        }
    }

    private func verifyBlob(
        _ object: ObjectName, _ entry: Pack.Entry, _ bytes: UnsafeRawBufferPointer, _ decoder: BlobDecoder,
        _ bases: BlobReader, _ bad: BadBlobs
    ) {
        let start = Int(entry.offset)
        let end = start + entry.header.totalLength
        do {
            guard end <= bytes.count else {
                throw VarveError(.corrupt, "the pack ends in the middle of a blob")
            }
            let blob = UnsafeRawBufferPointer(rebasing: bytes[start..<end])
            guard try Pack.BlobHeader(prefixOf: blob) == entry.header else {
                throw VarveError(.corrupt, "a blob's header is not what the directory says")
            }
            let payload = UnsafeRawBufferPointer(rebasing: blob[entry.header.length...])
            let decoded = BlobBuffer()
            if let base = entry.header.base {
                try bases.readUnchecked(base, entry.header.type, into: decoded)
                try decoder.apply(entry.header, payload: payload, to: decoded)
            } else {
                decoded.resize(to: Int(entry.header.decodedLength))
                try decoder.decode(entry.header, payload: payload, into: decoded.mutableBytes)
            }
            try BlobReader.check(decoded.bytes, entry.header.id, entry.header.type)
        } catch {
            bad.insert(entry.header.id)
            note("\(object)", error, range: UInt64(start)..<UInt64(end))
        }
    }

    /// An index object is a cache: damaged, it is named, and nothing is lost with it.
    private func verifyIndex(_ object: ObjectName) {
        do {
            let stored = try repository.storage.map(object)
            guard Hasher.name(of: stored.bytes) == object.contentHash else {
                throw VarveError(.corrupt, "its bytes are not what its name promises")
            }
            _ = try IndexTable(stored.bytes)
        } catch {
            note("\(object)", error)
        }
    }

    private func verifyManifests(_ index: RepositoryIndex, _ bad: BadBlobs) throws {
        let reader = BlobReader(index: index, storage: repository.storage)
        var goodNodes: Set<ContentID> = []
        for reference in try repository.manifests.list() {
            report.withLock { $0.snapshots += 1 }
            do {
                let manifest = try repository.manifests.read(reference)
                for file in manifest.files {
                    verifyFile(file, reference, reader, index, bad, &goodNodes)
                }
            } catch {
                note("\(ObjectName(.manifest, reference.name))", error)
            }
        }
    }

    private func verifyFile(
        _ file: Manifest.File, _ reference: SnapshotReference, _ reader: BlobReader, _ index: RepositoryIndex,
        _ bad: BadBlobs, _ goodFiles: inout Set<ContentID>
    ) {
        // The same root was followed for an earlier snapshot and everything beneath it was there.
        if let map = file.map.flatMap({ ContentID(hex: $0) }), goodFiles.contains(map) { return }
        var isWhole = true
        do {
            var map = try ExtentMapReader(file, reader: reader)
            while let extent = try map.next() {
                if index.find(extent.id) != nil && !bad.contains(extent.id) { continue }
                isWhole = false
                lose(reference, file, extent.offset..<extent.offset + UInt64(extent.length))
            }
        } catch {
            isWhole = false
            lose(reference, file, nil)
        }
        if isWhole, let map = file.map.flatMap({ ContentID(hex: $0) }) { goodFiles.insert(map) }
    }

    private func lose(_ reference: SnapshotReference, _ file: Manifest.File, _ range: Range<UInt64>?) {
        report.withLock { report in
            if let last = report.losses.last, let range, last.snapshot == reference.description,
                last.path == file.path, last.range?.upperBound == range.lowerBound,
                let start = last.range?.lowerBound
            {
                report.losses[report.losses.count - 1].range = start..<range.upperBound
            } else {
                report.losses.append(Loss(snapshot: reference.description, path: file.path, range: range))
            }
        }
    }
}
