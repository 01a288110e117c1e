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
        _ = try index.lookElsewhere()
        let blobs = BlobVerification(index: index, storage: repository.storage)
        let packs = objects.filter { $0.object.kind == .pack }
        try forEach(packs) { [self] object, size in verifyPack(object, size, blobs) }
        blobs.forgiveWhatIsWholeElsewhere()
        try verifyDeltas(packs, blobs)
        for object in objects where object.object.kind.isCache { verifyCache(object.object) }
        try verifyManifests(objects.map(\.object), blobs)
        judgeBaseless(blobs)
        report.withLock { $0.objects = objects.count }
        return result()
    }

    private func verifyPack(_ object: ObjectName, _ size: UInt64, _ blobs: BlobVerification) {
        do {
            guard let pack = ContentID(hex: object.name) else { return }
            // Read and not mapped: an unreadable sector must be an error here, not a signal.
            let stored = try repository.storage.readAll(object, limit: Pack.maximumLength)
            try stored.withUnsafeBytes { try verifyPack(object, pack, $0, blobs) }
            report.withLock { $0.bytes += size }
        } catch {
            note("\(object)", error)
        }
    }

    private func verifyPack(
        _ object: ObjectName, _ pack: ContentID, _ bytes: UnsafeRawBufferPointer, _ blobs: BlobVerification
    ) throws {
        checkHeader(object, bytes)
        checkDirectory(object, pack, bytes)
        let contents = try PackReader.contents(of: pack, in: repository.storage)
        for range in contents.damaged {
            note(
                "\(object)", "no blob can be read here",
                range: UInt64(range.lowerBound)..<UInt64(range.upperBound))
        }
        // Of what is stored twice, only one place is looked at when deltas are decoded.
        if contents.entries.contains(where: { blobs.index.isStoredTwice($0.header.id) }),
            Hasher.name(of: bytes) != pack
        {
            note("\(object)", "its bytes are not what its name promises")
        }
        let decoder = BlobDecoder()
        let checker = IdentityChecker()
        for entry in contents.entries { verifyBlob(object, entry, bytes, decoder, checker, blobs) }
        checker.flush()
        report.withLock { $0.blobs += contents.entries.count }
    }

    private func checkHeader(_ object: ObjectName, _ bytes: UnsafeRawBufferPointer) {
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

    /// A blob that stands alone is decoded and checked here; a delta has its turn in `verifyDeltas`.
    private func verifyBlob(
        _ object: ObjectName, _ entry: Pack.Entry, _ bytes: UnsafeRawBufferPointer, _ decoder: BlobDecoder,
        _ checker: IdentityChecker, _ blobs: BlobVerification
    ) {
        let start = Int(entry.offset)
        let end = start + entry.header.totalLength
        let (id, type) = (entry.header.id, entry.header.type)
        let fail = { [self] (error: any Error) in
            _ = blobs.markBad(id, type)
            note("\(object)", error, range: UInt64(start)..<UInt64(end))
        }
        do {
            guard end <= bytes.count else {
                throw VarveError(.corrupt, "the pack ends in the middle of a blob")
            }
            let blob = UnsafeRawBufferPointer(rebasing: bytes[start..<end])
            guard try Pack.BlobHeader(prefixOf: blob) == entry.header else {
                throw VarveError(.corrupt, "a blob's header is not what the directory says")
            }
            blobs.noteShape(entry.header, ordinary: repository.description.parameters.extentSize)
            if let base = entry.header.base { return blobs.noteDelta(id, base: base) }
            let slot = checker.slot(type)
            slot.resize(to: Int(entry.header.decodedLength))
            let payload = UnsafeRawBufferPointer(rebasing: blob[entry.header.length...])
            try decoder.decode(entry.header, payload: payload, into: slot.mutableBytes)
            checker.add(id) { fail(BlobReader.mismatch(id)) }
        } catch {
            fail(error)
        }
    }

    /// Damaged, it is named, and nothing is lost with it.
    private func verifyCache(_ object: ObjectName) {
        do {
            _ = try hash(object)
            switch object.kind {
            case .index: _ = try IndexTable(try repository.storage.open(object))
            case .filter: _ = try IndexFilter(try repository.storage.open(object))
            case .parity: _ = try ParityGroup(object.name, in: repository.storage, of: repository.id)
            case .pack, .manifest, .event, .summary, .ledger, .drill: break
            }
        } catch let error as VarveError where error.code == .missing {
            // A backup that is at work has merged it into another.
        } catch {
            note("\(object)", error)
        }
    }

    private func hash(_ object: ObjectName) throws -> UInt64 {
        var hasher = Hasher()
        var offset: UInt64 = 0
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 4096)
        defer { buffer.deallocate() }
        while true {
            let count = try repository.storage.read(object, at: offset, into: buffer)
            hasher.update(UnsafeRawBufferPointer(rebasing: buffer[..<count]))
            offset += UInt64(count)
            if count < buffer.count { break }
        }
        guard hasher.finish() == object.contentHash else {
            throw VarveError(.corrupt, "its bytes are not what its name promises (\(ByteCount(offset)) read)")
        }
        return offset
    }

    private func verifyManifests(_ objects: [ObjectName], _ blobs: BlobVerification) throws {
        let reader = BlobReader(index: blobs.index, storage: repository.storage)
        var goodFiles: Set<ContentID> = []
        let references = objects.filter { $0.kind == .manifest }.compactMap {
            SnapshotReference(name: $0.name)
        }.sorted()
        let names = Set(references.map(\.name))
        for reference in references {
            report.withLock { $0.snapshots += 1 }
            do {
                let manifest = try repository.manifests.read(reference)
                if let previous = manifest.previous, !names.contains(previous) {
                    note(
                        "\(ObjectName(.manifest, previous))",
                        "it is missing: snapshot \(reference) says that it comes after it")
                }
                for file in manifest.files { verifyFile(file, reference, reader, blobs, &goodFiles) }
            } catch {
                note("\(ObjectName(.manifest, reference.name))", error)
            }
        }
    }

    private func verifyFile(
        _ file: Manifest.File, _ reference: SnapshotReference, _ reader: BlobReader,
        _ blobs: BlobVerification, _ goodFiles: inout Set<ContentID>
    ) {
        // The same root was followed for an earlier snapshot and everything beneath it was there.
        if let map = file.map.flatMap({ ContentID(hex: $0) }), goodFiles.contains(map) { return }
        var isWhole = true
        do {
            var map = try ExtentMapReader(file, reader: reader)
            while let extent = try map.next() {
                if blobs.index.find(extent.id) != nil, !blobs.isBad(extent.id),
                    blobs.isData(
                        extent.id, length: extent.length,
                        ordinary: repository.description.parameters.extentSize)
                {
                    continue
                }
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
