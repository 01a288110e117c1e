import VarveFormat
import VarveStorage
import VarveUpkeep

/// What a verification looks at.
public enum VerificationPart: Hashable, Sendable, CaseIterable {
    /// Every stored byte, read from the medium and not from the page cache, against the name of its object.
    case media
    /// Every blob, decoded and compared with its id; and that each snapshot is complete.
    case content
}

/// What a verification found.
public struct VerificationReport: Sendable {
    /// Something that is not as it should be.
    public struct Finding: Sendable {
        /// What is wrong with it.
        public enum Kind: Sendable {
            /// It should be there, and is not.
            case missing
            /// Its bytes are not what they should be.
            case damaged
            /// It cannot be read now. Nothing is known against its bytes.
            case unreadable
        }

        /// The object, as it lies in the repository: `packs/<name>`.
        public let object: String
        /// What is wrong, in one sentence.
        public let problem: String
        /// What is wrong, for programs.
        public let kind: Kind
    }

    /// A part of a snapshot that this copy cannot give back.
    public struct Loss: Sendable {
        /// The snapshot: its number and the first digits of its hash.
        public let snapshot: String
        /// The file in the snapshot.
        public let path: String
        /// Bytes of the file; nil if the whole file is affected.
        public let range: Range<UInt64>?
    }

    /// Objects that were looked at.
    public let objectCount: Int
    /// Bytes that were looked at.
    public let bytes: UInt64
    /// Everything that is wrong.
    public let findings: [Finding]
    /// What the damage means for snapshots.
    public let losses: [Loss]
    /// Objects under no parity although the copy keeps some: `heal` or the next backup covers them.
    public let uncoveredCount: Int

    /// Nothing is missing, damaged or unreadable.
    public var isGood: Bool { findings.isEmpty && losses.isEmpty }

    init(_ reports: [VarveUpkeep.VerificationReport]) {
        var seen: Set<VarveStorage.Finding> = []
        objectCount = reports.map(\.objects).max() ?? 0
        bytes = reports.map(\.bytes).max() ?? 0
        findings = reports.flatMap(\.findings).filter { seen.insert($0).inserted }.map { finding in
            let kind: Finding.Kind =
                switch finding.kind {
                case .missing: .missing
                case .damaged: .damaged
                case .unreadable: .unreadable
                }
            return Finding(object: finding.text, problem: finding.problem, kind: kind)
        }
        losses = reports.flatMap(\.losses).map { Loss(snapshot: $0.snapshot, path: $0.path, range: $0.range) }
        uncoveredCount = reports.map(\.uncovered.count).max() ?? 0
    }
}

/// What a drill has shown: a snapshot was restored, recovered, verified, and removed again.
public struct DrillReport: Sendable {
    /// The snapshot came back as it was promised.
    public let isGood: Bool
    /// What was not as it was promised, one sentence each.
    public let failures: [String]
    /// Everything that was durable before this moment came back; nil for an environment without logs.
    public let recoveredTo: Moment?
    /// Bytes that were restored.
    public let bytes: UInt64
    /// Databases that were verified.
    public let databaseCount: Int
    /// What a person should know.
    public let notes: [String]

    init(_ evidence: DrillEvidence, notes: [String]) {
        isGood = evidence.isGood
        failures = evidence.failures
        recoveredTo = evidence.isGood ? evidence.recoverableTo.map { Moment($0) } : nil
        bytes = evidence.bytes
        databaseCount = evidence.databases.count
        self.notes = notes
    }
}
