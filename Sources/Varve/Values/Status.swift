import VarveCopies

/// What must hold for all to be well.
public struct StatusPolicy: Sendable {
    /// The newest verified snapshot of each source may be so many seconds old; nil: any age.
    public var maximumAge: Int64?
    /// Minimum number of verified copies that must have it.
    public var minimumCopies = 1
    /// Seconds within which a copy must have been read from its medium to be verified: 30 days.
    public var readWithin: Int64 = 30 * 86400

    /// Any age, one copy, read within 30 days.
    public init() {}
}

/// What can be restored, to which moment, from which copies; and what is wrong.
public struct Status: Sendable {
    /// One environment, or whatever else is backed up under a name.
    public struct Source: Sendable {
        /// What it is called in the repository.
        public let name: String
        /// Its newest snapshot: the number and the first digits of the hash.
        public let newest: String
        /// The newest snapshot restores to this moment.
        public let restoresTo: Moment
        /// Names of the copies that have the newest snapshot.
        public let copies: [String]
        /// The newest snapshot that enough verified copies have; nil if there is none.
        public let newestVerified: String?
    }

    /// Each source, by name.
    public let sources: [Source]
    /// What is damaged or against the policy, one sentence each.
    public let problems: [String]

    /// Nothing is damaged and nothing is against the policy.
    public var isWell: Bool { problems.isEmpty }

    init(_ status: RepositoryStatus) {
        sources = status.sources.map { source in
            Source(
                name: source.name, newest: source.newest.snapshot,
                restoresTo: Moment(source.newest.restoresTo), copies: source.newest.copies,
                newestVerified: source.newestVerified?.snapshot)
        }
        problems = status.problems
    }
}
