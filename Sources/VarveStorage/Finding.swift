import VarveFormat

/// Something a verification found wrong.
package struct Finding: Codable, Hashable, Sendable {
    /// `packs/<name>`, `manifests/<name>`, …, as it lies in the repository.
    package var object: String
    package var problem: String
    /// Byte offsets in the object, where they are known.
    package var range: Range<UInt64>?
    package var kind: Kind

    package enum Kind: String, Codable, Sendable {
        /// Something there names it, and it is not there.
        case missing
        case damaged
        /// It can't be read now, and nothing is known against it: rights, memory, descriptors.
        case unreadable
    }

    package init(object: String, problem: String, range: Range<UInt64>? = nil, kind: Kind = .damaged) {
        self.object = object
        self.problem = problem
        self.range = range
        self.kind = kind
    }

    package init(of object: String, _ error: any Error, range: Range<UInt64>? = nil) {
        let known = error as? VarveError
        let isUnreadable = known.map { $0.isOfTheMoment } ?? false
        self.init(
            object: object, problem: known?.message ?? "\(error)", range: range,
            kind: isUnreadable ? .unreadable : .damaged)
    }

    /// What is missing comes first, objects before directories: that is what the rest follows from.
    package var order: (Int, String, UInt64) {
        let rank =
            switch kind {
            case .missing: object.utf8.count < ContentID.byteCount ? 1 : 0
            case .damaged: 2
            case .unreadable: 3
            }
        return (rank, object, range?.lowerBound ?? 0)
    }
}
