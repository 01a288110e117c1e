import VarveCopies

/// One copy of a repository, as it is now.
public struct Copy: Sendable, Identifiable {
    /// 32 hexadecimal digits that tell the copy from all others, wherever its disk is.
    public let id: String
    /// Its name for people.
    public let label: String
    /// Where it is, or was last.
    public let path: String
    /// Its disk is there.
    public let isPresent: Bool
    /// Why it is away, or why nothing may be written to it; nil if all is well.
    public let problem: String?
    /// Objects that the named copy has and this one lacks; nil if that is not known.
    public let lacking: Int?

    init(_ copy: RepositoryCopy) {
        id = copy.record.copy
        label = copy.record.label
        path = copy.repository?.path ?? copy.record.path
        isPresent = copy.isThere
        problem = (copy.refusal ?? copy.absence).map { "\($0)" }
        lacking = copy.lacking
    }
}

/// What was brought to a copy.
public struct SyncReport: Sendable {
    /// The name of the copy.
    public let label: String
    /// Objects that were copied.
    public let objectCount: Int
    /// Their sizes in all.
    public let bytes: UInt64
    /// The copy has everything that the copies that are there have.
    public let isComplete: Bool
    /// What could not be copied, and why.
    public let problems: [String]

    init(_ report: VarveCopies.SyncReport) {
        label = report.label
        objectCount = report.objects
        bytes = report.bytes
        isComplete = report.isComplete
        problems = report.findings.map { "\($0.text): \($0.problem)" }
    }
}

/// What was healed in one copy.
public struct HealReport: Sendable {
    /// The name of the copy.
    public let label: String
    /// Objects that are good again.
    public let healed: [String]
    /// Objects that are good nowhere, or could not be read, and why.
    public let problems: [String]
    /// The copy is whole.
    public let isHealthy: Bool

    init(_ report: VarveCopies.HealReport) {
        label = report.label
        healed = report.healed.map { "\($0.place)" }
        problems = (report.lost + report.unreadable).map { "\($0.text): \($0.problem)" }
        isHealthy = report.isHealthy
    }
}
