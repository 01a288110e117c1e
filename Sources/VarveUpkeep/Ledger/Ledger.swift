import VarveCodec
import VarveFiles
import VarveFormat
import VarveStorage

/// What is known of a copy's readings: of each object the last one (`Documentation/internals/verification.md`).
///
/// A ledger is evidence, not truth: damage costs what lies there, and `losses` says so.
package struct Ledger: Sendable {
    /// The last reading of each subject; several rows if it found more than one bad range.
    package private(set) var last: [LedgerRow.Subject: [LedgerRow]] = [:]
    /// What could not be read of it, one sentence each.
    package private(set) var losses: [String] = []
    /// Readings that claim to be later than now: a clock was wrong then, or is now. Good ones prove nothing; what was bad
    /// is suspect until it is read again.
    private(set) var ahead: [LedgerRow.Subject: [LedgerRow]] = [:]
    private var now: Timestamp?
    /// When the newest round began that is in it, and whether it has ended.
    private var newestRound: (started: Timestamp, hasEnded: Bool)?

    package init() {}

    /// - Parameter now: nil if no time is to count as the future.
    package init(_ rows: some Sequence<LedgerRow>, now: Timestamp? = nil) {
        self.now = now
        for row in rows { add(row) }
    }

    /// Reads all segments of a copy. Damage is no error; that nothing can be read is.
    ///
    /// - Parameter device: what the copy lies on now: that it was read well on another one proves nothing of this one.
    ///   What was bad there is suspect here, too.
    package init(
        of storage: any Storage, repository: RepositoryID, copy: RepositoryID, device: String? = nil,
        now: Timestamp = Clock.now()
    ) throws(VarveError) {
        self.init(
            segments: try Self.segments(of: storage, repository: repository, copy: copy), device: device,
            now: now)
    }

    init(segments: [Segment], device: String? = nil, now: Timestamp) {
        self.now = now
        for segment in segments {
            for row in segment.rows where row.result != .good || !Device.areDifferent(row.device, device) {
                add(row)
            }
            if let damage = segment.damage { losses.append("\(segment.object): \(damage)") }
        }
    }

    /// The newest wins; of several rows of one reading all stay.
    private mutating func add(_ row: LedgerRow) {
        if let now, row.time.isFuture(at: now) { return Self.add(row, to: &ahead) }
        if let round = row.round, now.map({ !round.isFuture(at: $0) }) ?? true {
            noteRound(round, hasEnded: row.kind == .roundEnd)
        }
        Self.add(row, to: &last)
    }

    private static func add(_ row: LedgerRow, to rows: inout [LedgerRow.Subject: [LedgerRow]]) {
        let known = rows[row.subject]
        if let known, let first = known.first {
            if row.time < first.time { return }
            if row.time == first.time {
                if !known.contains(row) { rows[row.subject]?.append(row) }
                return
            }
        }
        rows[row.subject] = [row]
    }

    private mutating func noteRound(_ started: Timestamp, hasEnded: Bool) {
        if let newest = newestRound, newest.started > started { return }
        let ended = newestRound?.started == started && newestRound?.hasEnded == true
        newestRound = (started, ended || hasEnded)
    }

    /// When the newest round began, if it was interrupted.
    package var unfinishedRound: Timestamp? {
        newestRound.flatMap { $0.hasEnded ? nil : $0.started }
    }

    /// The pack was missed when every snapshot was found whole, and was not seen since. That is recorded by two rows of
    /// one time: no clock is trusted for it.
    func isUnneeded(_ pack: ObjectName) -> Bool {
        guard let row = rows(of: pack).first, row.result == .missing else { return false }
        return last[LedgerRow.Subject(kind: .content, hash: row.hash)]?.first?.time == row.time
    }

    /// Everything that the snapshot needs was decoded and found whole.
    package func isProven(_ snapshot: SnapshotReference) -> Bool { lastProof(of: snapshot) != nil }

    /// When that was done last.
    func lastProof(of snapshot: SnapshotReference) -> Timestamp? {
        last[LedgerRow.Subject(kind: .content, hash: snapshot.hash)]?.first?.time
    }

    /// The last reading of an object, all its rows; empty if it was never read.
    package func rows(of object: ObjectName) -> [LedgerRow] {
        guard let subject = object.subject else { return [] }
        let bad = ahead[subject]?.filter { $0.result != .good } ?? []
        return bad.isEmpty ? last[subject] ?? [] : bad
    }

    package func lastReading(of object: ObjectName) -> Timestamp? { rows(of: object).first?.time }

    /// The same for a file that is known: that one that was there before under this name was good, or was missed, says
    /// nothing of it. What was bad before stays suspect.
    func rows(of listed: ListedObject) -> [LedgerRow] {
        let rows = rows(of: listed.object)
        let isOfAnother = rows.first.map { $0.time < listed.changed } ?? false
        return isOfAnother && rows.allSatisfy { $0.result == .good || $0.result == .missing } ? [] : rows
    }

    func lastReading(of listed: ListedObject) -> Timestamp? { rows(of: listed).first?.time }

    /// What the last reading of the object found was not good.
    package func isBad(_ object: ObjectName) -> Bool { rows(of: object).contains { $0.result != .good } }
}

extension Ledger {
    struct Segment {
        var object: ObjectName
        var rows: [LedgerRow]
        var damage: String?
    }

    static func segments(
        of storage: any Storage, repository: RepositoryID, copy: RepositoryID
    ) throws(VarveError) -> [Segment] {
        for _ in 0..<5 {
            if let all = try trySegments(storage, repository, copy) { return all }
        }
        throw VarveError(
            .missing, "the ledger changes faster than it can be read", location: storage.location)
    }

    /// Nil if one went away meanwhile: another process has merged it into one that a new look finds.
    private static func trySegments(
        _ storage: any Storage, _ repository: RepositoryID, _ copy: RepositoryID
    ) throws(VarveError) -> [Segment]? {
        var segments: [Segment] = []
        for name in try storage.list(.ledger) {
            let object = ObjectName(.ledger, name)
            guard object.contentHash != nil else {
                segments.append(Segment(object: object, rows: [], damage: "no segment is called like that"))
                continue
            }
            do {
                segments.append(try segment(object, storage, repository, copy))
            } catch let error where error.code == .missing {
                return nil
            } catch {
                segments.append(Segment(object: object, rows: [], damage: error.message))
            }
        }
        return segments
    }

    private static func segment(
        _ object: ObjectName, _ storage: any Storage, _ repository: RepositoryID, _ copy: RepositoryID
    ) throws(VarveError) -> Segment {
        let bytes = try storage.readAll(object, limit: LedgerSegment.maximumLength)
        return try bytes.withBytes { (bytes) throws(VarveError) in
            let read = try LedgerSegment(salvaging: bytes, repository: repository, copy: copy)
            let isNamed = Hasher.name(of: bytes) == object.contentHash
            return Segment(
                object: object, rows: read.rows,
                damage: read.damage ?? (isNamed ? nil : "its bytes do not match its name"))
        }
    }
}

extension Ledger {
    /// So many segments are left side by side.
    static let segmentLimit = 16

    /// Makes one segment of many. Its inputs go when it is durable; the damaged ones among them to `quarantine/`.
    ///
    /// Several processes may do so at once: each removes only what it has read and what its own segment holds, so a
    /// row may be in two segments for a time, and is never in none.
    ///
    /// - Parameters:
    ///   - read: was read by this run: later than whatever claims to be later than now, which is dropped.
    ///   - isThere: whether the copy still has an object; good readings of one that is gone are dropped.
    static func merge(
        in storage: any Storage, repository: RepositoryID, copy: RepositoryID,
        read: Set<LedgerRow.Subject> = [], now: Timestamp = Clock.now(),
        isThere: (LedgerRow.Subject) -> Bool
    ) throws(VarveError) {
        let inputs = try segments(of: storage, repository: repository, copy: copy)
        let ledger = Ledger(segments: inputs, now: now)
        let ahead = ledger.ahead.filter { !read.contains($0.key) }
        let rows = (Array(ledger.last.values) + Array(ahead.values)).filter { rows in
            guard let first = rows.first, first.result == .good, first.kind != .roundEnd else { return true }
            return first.kind == .content || isThere(first.subject)
        }.joined().sorted {
            ($0.time, $0.hash, $0.bad?.lowerBound ?? 0) < ($1.time, $1.hash, $1.bad?.lowerBound ?? 0)
        }
        let merged = try publish(rows, in: storage, repository: repository, copy: copy)
        for input in inputs where input.object != merged {
            if input.damage == nil {
                try storage.remove(input.object)
            } else if !input.rows.isEmpty || input.object.contentHash != nil {
                try storage.setAside(input.object)
            }
        }
    }

    @discardableResult
    static func publish(
        _ rows: [LedgerRow], in storage: any Storage, repository: RepositoryID, copy: RepositoryID
    ) throws(VarveError) -> ObjectName {
        try LedgerSegment.encode(rows, repository: repository, copy: copy).withBytes {
            (bytes) throws(VarveError) in
            let object = ObjectName(.ledger, Hasher.name(of: bytes))
            try storage.publish(object, [bytes])
            return object
        }
    }
}

extension ObjectName {
    /// What the ledger calls it; nil for what it does not keep.
    var subject: LedgerRow.Subject? {
        let kind: LedgerRow.Kind
        switch self.kind {
        case .pack: kind = .pack
        case .manifest: kind = .manifest
        case .event: kind = .event
        case .index: kind = .index
        case .filter: kind = .filter
        case .summary: kind = .summary
        case .drill: kind = .drill
        case .parity: kind = .parity
        case .ledger: return nil
        }
        return contentHash.map { LedgerRow.Subject(kind: kind, hash: $0) }
    }
}
