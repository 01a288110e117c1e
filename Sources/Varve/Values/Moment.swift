import VarveFormat

/// A moment in time (UTC), to the nanosecond.
public struct Moment: Hashable, Comparable, Sendable, CustomStringConvertible {
    let timestamp: Timestamp

    init(_ timestamp: Timestamp) { self.timestamp = timestamp }

    /// Whole seconds since 1970-01-01T00:00:00Z.
    public var seconds: Int64 { timestamp.seconds }
    /// Nanoseconds after `seconds`: 0 to 999,999,999.
    public var nanoseconds: UInt32 { timestamp.nanoseconds }
    /// By RFC 3339, as in `2026-11-27T20:14:59.707496182Z`.
    public var description: String { "\(timestamp)" }

    /// Whether one moment is before another.
    public static func < (a: Moment, b: Moment) -> Bool {
        (a.seconds, a.nanoseconds) < (b.seconds, b.nanoseconds)
    }
}
