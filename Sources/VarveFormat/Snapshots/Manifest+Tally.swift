extension Manifest {
    /// What became of a file when it was backed up: each of its bytes counts once, in one of the parts.
    package struct Tally: Codable, Hashable, Sendable {
        /// Extents, or nodes of a map. Written as `[count, bytes, stored]`.
        package struct Part: Hashable, Sendable {
            package var count: UInt64
            /// Before compression.
            package var bytes: UInt64
            /// In packs, blob headers included.
            package var stored: UInt64

            package init(count: UInt64 = 0, bytes: UInt64 = 0, stored: UInt64 = 0) {
                self.count = count
                self.bytes = bytes
                self.stored = stored
            }
        }

        /// Not read, because the file can't have changed since the snapshot before.
        package var unread = Part()
        /// All zeros: nothing stands for them in the repository.
        package var zeros = Part()
        /// As in the version it was compared with, at the same place.
        package var unchanged = Part()
        /// In the repository already, from another place or file, or from further back.
        package var deduplicated = Part()
        /// New, stored against the version that the snapshot before has at the same place.
        package var deltas = Part()
        /// New, standing alone.
        package var whole = Part()
        /// The new nodes of the file's extent map; not bytes of the file.
        package var maps = Part()

        package init() {}
    }
}

extension Manifest.Tally {
    package static func + (a: Self, b: Self) -> Self {
        var sum = a
        for part in parts { sum[keyPath: part.path] = a[keyPath: part.path] + b[keyPath: part.path] }
        return sum
    }

    /// New to the repository: extents, not maps.
    package var new: Part { deltas + whole }

    /// Everything that was new, maps included.
    package var added: Part { new + maps }

    private static var parts: [(key: CodingKeys, path: WritableKeyPath<Self, Part>)] {
        [
            (.unread, \.unread), (.zeros, \.zeros), (.unchanged, \.unchanged),
            (.deduplicated, \.deduplicated),
            (.deltas, \.deltas), (.whole, \.whole), (.maps, \.maps),
        ]
    }

    private enum CodingKeys: String, CodingKey {
        case unread, zeros, unchanged, deduplicated, deltas, whole, maps
    }

    package init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        for part in Self.parts {
            self[keyPath: part.path] = try container.decodeIfPresent(Part.self, forKey: part.key) ?? Part()
        }
    }

    /// Empty parts are left out: most files have two or three.
    package func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        for part in Self.parts where self[keyPath: part.path] != Part() {
            try container.encode(self[keyPath: part.path], forKey: part.key)
        }
    }
}

extension Manifest.Tally.Part: Codable {
    /// As much as can be told where hostile numbers add up to more.
    package static func + (a: Self, b: Self) -> Self {
        func sum(_ a: UInt64, _ b: UInt64) -> UInt64 {
            let (sum, overflow) = a.addingReportingOverflow(b)
            return overflow ? .max : sum
        }
        return Self(
            count: sum(a.count, b.count), bytes: sum(a.bytes, b.bytes), stored: sum(a.stored, b.stored))
    }

    /// One more; for what is counted in this process.
    package mutating func add(bytes: UInt64, stored: UInt64 = 0) {
        count += 1
        self.bytes += bytes
        self.stored += stored
    }

    package init(from decoder: any Decoder) throws {
        var container = try decoder.unkeyedContainer()
        self.init(
            count: try container.decode(UInt64.self), bytes: try container.decode(UInt64.self),
            stored: try container.decode(UInt64.self))
        guard container.isAtEnd else {
            throw DecodingError.dataCorruptedError(
                in: container, debugDescription: "a part of a tally is three numbers")
        }
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.unkeyedContainer()
        for number in [count, bytes, stored] { try container.encode(number) }
    }
}
