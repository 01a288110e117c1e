import Synchronization
import VarveBlobs
import VarveCodec
import VarveFiles
import VarveFormat
import VarveStorage

extension Verifier {
    /// Decodes every blob and checks its id, then follows every manifest to every extent it needs.
    package func verifyContent() throws(VarveError) -> VerificationReport {
        let ledger = readLedger()
        let inventory = try begin(ledger)
        let objects = inventory.objects
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
        try follow(objects.snapshots, walk(blobs))
        noteNeededAgain(inventory)
        judgeBaseless(blobs)
        let isAnythingUnread = report.withLock { report in
            report.objects = objects.count
            return report.findings.contains { $0.kind == .unreadable }
        }
        if !isAnythingUnread { conclude(inventory, ledger) }
        return result()
    }

    /// Whether all that snapshots need is there, without decoding anything but maps.
    package func verifyCompleteness() throws(VarveError) -> VerificationReport {
        let inventory = try begin(readLedger())
        let index = try repository.openIndex()
        try follow(
            inventory.objects.snapshots, SnapshotWalk(index, repository, cancellation: cancellation))
        return result()
    }

    private func readLedger() -> Ledger {
        Notices.attempt(
            .warning, repository.path, "its ledger can't be read: what was found before is not known"
        ) {
            try repository.ledger()
        } ?? Ledger()
    }

    /// A snapshot that came since may need a pack that none needed when it was missed.
    private func noteNeededAgain(_ inventory: Inventory) {
        guard report.withLock({ !$0.losses.isEmpty }) else { return }
        for pack in inventory.forgiven {
            note(Finding(.object(pack), "it is missing: it was missed before", kind: .missing))
        }
    }

    /// An extent is as long as the map says, and decodes.
    private func walk(_ blobs: BlobVerification) -> SnapshotWalk {
        let ordinary = repository.description.parameters.extentSize
        let reader = BlobReader(index: blobs.index, storage: repository.storage)
        return SnapshotWalk(reader, cancellation: cancellation) { id, length in
            blobs.index.find(id) != nil && !blobs.isBad(id)
                && blobs.isData(id, length: length, ordinary: ordinary)
        }
    }

    /// When no snapshot lacks anything, a pack that is gone is nobody's loss; that goes on record, as does which
    /// snapshots are whole though their backups met damage, or although there is damage now.
    private func conclude(_ inventory: Inventory, _ ledger: Ledger) {
        let gone = inventory.missing.compactMap { $0.object }.filter { $0.kind == .pack }
        // Not before what is known of them: of two rows the later one counts.
        let now = gone.compactMap { ledger.rows(of: $0).first?.time }.reduce(Clock.now(), max)
        func row(_ kind: LedgerRow.Kind, _ hash: ContentID, _ result: LedgerRow.Verdict) -> LedgerRow {
            LedgerRow(
                kind: kind, hash: hash, method: .dropBehind, result: result, time: now, round: nil, size: 0)
        }
        let isKnownBad = inventory.objects.contains { $0.object.kind == .pack && ledger.isBad($0.object) }
        let isDamaged =
            isKnownBad
            || report.withLock { report in
                report.findings.contains { $0.place.kind == .pack || $0.kind == .missing }
            }
        // Which snapshots do without what is damaged, nothing else can tell (`newestVerified`).
        var rows = wholeSnapshots.withLock { $0 }.filter { whole in
            isDamaged || whole.wasTainted && !ledger.isProven(whole.reference)
        }.map { row(.content, $0.reference.hash, .good) }
        let packs = Set(gone.map { Finding.Place.object($0) })
        report.withLock { report in
            guard report.losses.isEmpty,
                !report.findings.contains(where: { $0.place.kind == .manifest })
            else { return }
            let unneeded = report.findings.filter { $0.kind == .missing && packs.contains($0.place) }
            guard !unneeded.isEmpty else { return }
            report.findings.removeAll { $0.kind == .missing && packs.contains($0.place) }
            report.unneeded = unneeded.compactMap(\.object)
            for hash in gone.compactMap(\.contentHash) {
                rows += [row(.pack, hash, .missing), row(.content, hash, .good)]
            }
        }
        guard !rows.isEmpty else { return }
        let writer = LedgerWriter(repository.storage, repository: repository.id, copy: repository.copyID)
        writer.add(rows, bytes: 0)
        // Where the ledger can't be written, the next verification finds the same.
        writer.write()
    }

    private func verifyPack(_ object: ObjectName, _ size: UInt64, _ blobs: BlobVerification) {
        do {
            guard let pack = ContentID(hex: object.name) else { return }
            // Read and not mapped: an unreadable sector must be an error here, not a signal.
            let stored = try repository.storage.readAll(object, limit: Pack.maximumLength)
            try stored.withBytes { (bytes) throws(VarveError) in try verifyPack(object, pack, bytes, blobs) }
            report.withLock { $0.bytes += size }
        } catch {
            note(object, error)
        }
    }

    private func verifyPack(
        _ object: ObjectName, _ pack: ContentID, _ bytes: UnsafeRawBufferPointer, _ blobs: BlobVerification
    ) throws(VarveError) {
        checkHeader(object, bytes)
        checkDirectory(object, pack, bytes)
        let contents = try PackReader.contents(of: pack, in: repository.storage)
        for range in contents.damaged {
            note(
                object, "no blob can be read here",
                range: UInt64(range.lowerBound)..<UInt64(range.upperBound))
        }
        // Of what is stored twice, only one place is looked at when deltas are decoded.
        if contents.entries.contains(where: { blobs.index.isStoredTwice($0.header.id) }),
            Hasher.name(of: bytes) != pack
        {
            note(object, "its bytes do not match its name")
        }
        let decoder = BlobDecoder()
        let checker = IdentityChecker()
        for entry in contents.entries where !cancellation.isRequested {
            verifyBlob(object, entry, bytes, decoder, checker, blobs)
        }
        checker.flush()
        report.withLock { $0.blobs += contents.entries.count }
    }

    private func checkHeader(_ object: ObjectName, _ bytes: UnsafeRawBufferPointer) {
        do {
            let header = try Pack.Header(UnsafeRawBufferPointer(rebasing: bytes.prefix(Pack.headerLength)))
            if header.repository != repository.id {
                note(object, "it belongs to repository \(header.repository)")
            } else if header != Pack.Header(repository: repository.id) {
                note(object, "its header is that of an encrypted pack, which this varve does not read")
            }
        } catch {
            note(object, error)
        }
    }

    /// A pack whose directory is damaged still gives its blobs, but it is damaged.
    private func checkDirectory(_ object: ObjectName, _ pack: ContentID, _ bytes: UnsafeRawBufferPointer) {
        do {
            let directory = try PackReader.directory(of: pack, in: repository.storage)
            let end =
                directory.entries.last.map { Int($0.offset) + $0.header.totalLength } ?? Pack.headerLength
            if directory.encoded(at: end).count + end != bytes.count {
                note(object, "there are bytes between its last blob and its directory")
            }
        } catch {
            note(object, error)
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
            note(object, error, range: UInt64(start)..<UInt64(end))
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
        } catch let error where error.code == .missing {
            // A backup that is at work has merged it into another.
        } catch {
            note(object, error)
        }
    }

    private func hash(_ object: ObjectName) throws(VarveError) -> UInt64 {
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
            throw VarveError(.corrupt, "its bytes do not match its name (\(ByteCount(offset)) read)")
        }
        return offset
    }
}

extension [ListedObject] {
    /// Oldest first.
    var snapshots: [SnapshotReference] {
        filter { $0.object.kind == .manifest }.compactMap { SnapshotReference(name: $0.object.name) }.sorted()
    }
}
