import VarveFormat

/// Something a verification found wrong.
package struct Finding: Encodable, Hashable, Sendable {
    package var place: Place
    /// The path of another copy than the one that is asked, where it is in another one.
    package var copy: String?
    package var problem: String
    /// Byte offsets in the object, where they are known.
    package var range: Range<UInt64>?
    package var kind: Kind

    /// What of a copy is meant. Text is made of it where it is printed, and is never read back.
    package enum Place: Hashable, Sendable {
        case object(ObjectName)
        /// A snapshot of which no more than its number is known.
        case number(UInt64)
        case directory(ObjectDirectory)
        /// A file that says what the copy is, such as `varve.json`.
        case document(String)
        /// One that is in no pack.
        case blob(ContentID)
    }

    package enum Kind: String, Encodable, Sendable {
        /// Something there names it, and it is not there.
        case missing
        case damaged
        /// It can't be read now, and nothing is known against it: rights, memory, descriptors.
        case unreadable
    }

    package init(
        _ place: Place, in copy: String? = nil, _ problem: String, range: Range<UInt64>? = nil,
        kind: Kind = .damaged
    ) {
        self.place = place
        self.copy = copy
        self.problem = problem
        self.range = range
        self.kind = kind
    }

    package init(
        _ place: Place, in copy: String? = nil, _ error: any Error, range: Range<UInt64>? = nil
    ) {
        let known = error as? VarveError
        let isUnreadable = known.map { $0.isOfTheMoment } ?? false
        self.init(
            place, in: copy, known?.message ?? "\(error)", range: range,
            kind: isUnreadable ? .unreadable : .damaged)
    }

    /// The object, if it is one.
    package var object: ObjectName? { place.object }

    /// Where it is, for people and documents: `packs/<name>`, behind the path of another copy.
    package var text: String { copy.map { "\($0)/\(place)" } ?? "\(place)" }

    /// What is missing comes first, objects before directories: that is what the rest follows from.
    package var order: (Int, String, UInt64) {
        let rank =
            switch kind {
            case .missing: object == nil ? 1 : 0
            case .damaged: 2
            case .unreadable: 3
            }
        return (rank, text, range?.lowerBound ?? 0)
    }

    private enum CodingKeys: String, CodingKey { case object, problem, range, kind }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(text, forKey: .object)
        try container.encode(problem, forKey: .problem)
        try container.encodeIfPresent(range, forKey: .range)
        try container.encode(kind, forKey: .kind)
    }
}

extension Finding.Place {
    package var object: ObjectName? { if case .object(let object) = self { object } else { nil } }

    /// Of what lies, or should lie, in the kind's directory.
    package var kind: ObjectKind? {
        switch self {
        case .object(let object): object.kind
        case .number: .manifest
        case .directory(let directory): directory.shard == nil ? nil : directory.kind
        case .document, .blob: nil
        }
    }
}

extension Finding.Place: CustomStringConvertible, Comparable, Encodable {
    /// `packs/<name>`, `manifests/<number>`, `packs/3f`, `varve.json`
    package var description: String {
        switch self {
        case .object(let object): object.description
        case .number(let number):
            "\(ObjectKind.manifest.rawValue)/"
                + SnapshotReference(sequence: number, hash: .zero).name.prefix { $0 != "-" }
        case .directory(let directory): directory.description
        case .document(let name): name
        case .blob(let id): "blob \(id.short)"
        }
    }

    package static func < (a: Self, b: Self) -> Bool { a.description < b.description }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(description)
    }
}

/// A directory for objects: a kind's, or one of the shards of packs.
package struct ObjectDirectory: Hashable, Sendable, CustomStringConvertible {
    package var kind: ObjectKind
    package var shard: String?

    package init(_ kind: ObjectKind, shard: String? = nil) {
        self.kind = kind
        self.shard = shard
    }

    /// `manifests`, `packs/3f`
    package var description: String { shard.map { "\(kind.rawValue)/\($0)" } ?? kind.rawValue }
}

extension ObjectName: Comparable, Encodable {
    package static func < (a: ObjectName, b: ObjectName) -> Bool {
        (a.kind.rawValue, a.name) < (b.kind.rawValue, b.name)
    }

    /// As text, `packs/<name>`.
    package func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(description)
    }
}
