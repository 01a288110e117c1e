/// One reading of one stored object: when, how, and what came of it.
package struct LedgerRow: Hashable, Sendable {
    /// What was read, by its number on disk.
    package enum Kind: UInt8, Sendable, CaseIterable {
        /// No object: a round has ended, at `time`.
        case roundEnd = 0
        case pack = 1
        case manifest = 2
        case index = 3
        case filter = 4
        case summary = 5
        case drill = 6
        case parity = 7
        case event = 8
        /// Of a manifest: all that the snapshot needs was there and decoded to what its id promises. Of a pack that was
        /// missing then: that held for all snapshots, so none needs it. Good rows only.
        case content = 9
    }

    /// How the bytes came past the page cache.
    package enum Method: UInt8, Sendable, CaseIterable, Codable {
        case direct = 1
        /// Where direct reads are refused: cached pages were dropped before and after.
        case dropBehind = 2

        package init(from decoder: any Decoder) throws {
            let text = try decoder.singleValueContainer().decode(String.self)
            guard let method = Self.allCases.first(where: { $0.name == text }) else {
                throw VarveError(.corrupt, "there is no method of reading called '\(text)'")
            }
            self = method
        }

        package func encode(to encoder: any Encoder) throws {
            var container = encoder.singleValueContainer()
            try container.encode(name)
        }

        /// As documents and messages have it.
        package var name: String { self == .direct ? "direct" : "drop-behind" }
    }

    package enum Verdict: UInt8, Sendable, CaseIterable {
        case good = 1
        /// Other bytes than the name promises.
        case mismatch = 2
        case unreadable = 3
        /// It ended before its size.
        case short = 4
        /// It was listed and not there any more.
        case missing = 5
    }

    package var kind: Kind
    /// The hash that the object's name ends with; zero for `.roundEnd`.
    package var hash: ContentID
    package var method: Method
    package var result: Verdict
    /// When the reading ended.
    package var time: Timestamp
    /// When the round began that the reading belongs to; nil for a run that goes by age or with a budget.
    package var round: Timestamp?
    /// Of the object.
    package var size: UInt64
    /// Bytes of the object that are bad, where that is known. Further ranges are in further rows, alike but for this.
    package var bad: Range<UInt64>?
    /// What it was read from (`LedgerSegment.devices`); nil where that is not known.
    package var device: String?

    package init(
        kind: Kind, hash: ContentID, method: Method, result: Verdict, time: Timestamp, round: Timestamp?,
        size: UInt64, bad: Range<UInt64>? = nil, device: String? = nil
    ) {
        self.kind = kind
        self.hash = hash
        self.method = method
        self.result = result
        self.time = time
        self.round = round
        self.size = size
        self.bad = bad
        self.device = device
    }

    /// What the row is about: rows of one subject follow one another in time.
    package var subject: Subject { Subject(kind: kind, hash: hash) }

    package struct Subject: Hashable, Sendable {
        package var kind: Kind
        package var hash: ContentID

        package init(kind: Kind, hash: ContentID) {
            self.kind = kind
            self.hash = hash
        }
    }
}
