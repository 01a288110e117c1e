import VarveFormat
import VarveStorage

/// What a reading of the media is asked to do.
package struct MediaOptions: Sendable {
    /// Through the page cache: fast, proves nothing of the medium, and leaves no record.
    package var isCached = false
    /// Bytes a second, of all threads together.
    package var rate: UInt64?
    package var maximumBytes: UInt64?
    /// Seconds; an object that was begun is read to its end.
    package var maximumDuration: Double?
    /// Seconds: what was read since is left out.
    package var olderThan: Double?
    /// A new round, whatever an interrupted one has left.
    package var restarts = false
    /// Only what was bad when it was read last.
    package var onlyBad = false

    package init() {}

    /// By age, as far as the budget goes, and not in rounds.
    var isPartial: Bool { maximumBytes != nil || maximumDuration != nil || olderThan != nil || onlyBad }
}

/// Which objects a run reads, in which order: decided before anything is read.
///
/// A run without a budget is a *round*: it reads everything, or goes on with what an interrupted round has not read. A
/// run with a budget, or by age, belongs to no round. Both read what was bad first, then what was never read, then the
/// oldest; within one run nothing is read twice.
struct MediaPlan {
    var objects: [ListedObject]
    /// When the round began; nil for a run that is none.
    var round: Timestamp?
    /// Beyond the budget.
    var left: [ListedObject]
    /// Read already in the round that this run goes on with.
    var before: [ListedObject] = []

    init(_ all: [ListedObject], ledger: Ledger, options: MediaOptions, now: Timestamp) {
        let ages = all.map { (object: $0, last: ledger.lastReading(of: $0)) }
        var wanted = ages
        if options.onlyBad {
            wanted = ages.filter { ledger.isBad($0.object.object) }
        } else if let age = options.olderThan {
            let limit = Timestamp(seconds: now.seconds - Int64(min(age, 1e12)), nanoseconds: now.nanoseconds)
            wanted = ages.filter { Self.isDue($0.last, limit, now) || ledger.isBad($0.object.object) }
        } else if !options.isPartial {
            let started = options.restarts || options.isCached ? now : ledger.unfinishedRound ?? now
            round = started
            wanted = ages.filter { Self.isDue($0.last, started, now) || ledger.isBad($0.object.object) }
            let names = Set(wanted.map(\.object.object))
            before = all.filter { !names.contains($0.object) }
        }
        let ordered = wanted.map { (rank: Self.rank($0, ledger), object: $0.object) }.sorted {
            $0.rank < $1.rank
        }.map(\.object)
        let affordable =
            if let budget = options.maximumBytes { Self.prefix(of: ordered, bytes: budget) } else { ordered }
        objects = affordable
        left = Array(ordered.dropFirst(affordable.count))
    }

    /// A reading in the future is none: the clock was wrong, and would keep the object from being read for ever.
    private static func isDue(_ last: Timestamp?, _ limit: Timestamp, _ now: Timestamp) -> Bool {
        guard let last else { return true }
        return last < limit || last > now
    }

    private typealias Rank = (Int, Timestamp, ObjectName.Order)

    private static func rank(_ a: (object: ListedObject, last: Timestamp?), _ ledger: Ledger) -> Rank {
        let name = ObjectName.Order(a.object.object)
        guard let last = a.last else { return (1, Timestamp(seconds: 0), name) }
        return (ledger.isBad(a.object.object) ? 0 : 2, last, name)
    }

    /// At least one: a budget smaller than an object would read nothing, again and again.
    private static func prefix(of objects: [ListedObject], bytes: UInt64) -> [ListedObject] {
        var left = bytes
        var count = 0
        for object in objects {
            if count > 0, object.size > left { break }
            left -= min(left, object.size)
            count += 1
        }
        return Array(objects.prefix(count))
    }
}

extension ObjectName {
    /// Manifests first, as small as they are.
    struct Order: Comparable {
        private let kind: Int
        private let name: String

        init(_ object: ObjectName) {
            kind = object.kind == .manifest ? 0 : object.kind == .pack ? 1 : 2
            name = object.name
        }

        static func < (a: Order, b: Order) -> Bool { (a.kind, a.name) < (b.kind, b.name) }
    }
}
