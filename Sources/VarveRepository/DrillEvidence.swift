import VarveCodec
import VarveFormat
import VarveStorage

/// What a drill has shown: a document that is kept in the copy, `drills/<when>-<hash>`.
public struct DrillEvidence: Codable, Hashable, Sendable {
    public static let currentFormat = 1
    static let maximumLength = 64 << 20

    public struct Database: Codable, Hashable, Sendable {
        public var path: String
        /// `db_verify` passed.
        public var isGood: Bool
        /// libdb's words.
        public var messages: [String]
        /// Bytes of the restored file, and what they make in pages; as promised by the manifest.
        public var pages: UInt64
        public var promisedPages: UInt64
        /// The largest LSN on its pages as they were restored, and as promised; nil where there is none.
        public var largestLSN: LSN?
        public var promisedLSN: LSN?

        public init(
            path: String, isGood: Bool, messages: [String], pages: UInt64, promisedPages: UInt64,
            largestLSN: LSN?, promisedLSN: LSN?
        ) {
            self.path = path
            self.isGood = isGood
            self.messages = messages
            self.pages = pages
            self.promisedPages = promisedPages
            self.largestLSN = largestLSN
            self.promisedLSN = promisedLSN
        }
    }

    public var format = DrillEvidence.currentFormat
    public var repository: String
    public var copy: String
    /// The manifest's object name.
    public var snapshot: String
    public var tool: String
    public var host: String
    public var started: Timestamp
    public var seconds: Double
    public var isGood: Bool
    /// Why it failed, one sentence each.
    public var failures: [String]
    public var bytes: UInt64 = 0
    /// Recovery ran where the live paths are covered.
    public var isIsolated = false
    /// Paths that were covered.
    public var covered: [String] = []
    /// Where recovery ended, and where the manifest says it must.
    public var endOfLog: LSN?
    public var promisedEndOfLog: LSN?
    public var recoverableTo: Timestamp?
    public var databases: [Database] = []

    public init(
        repository: String, copy: String, snapshot: String, tool: String, host: String, started: Timestamp
    ) {
        self.repository = repository
        self.copy = copy
        self.snapshot = snapshot
        self.tool = tool
        self.host = host
        self.started = started
        seconds = 0
        isGood = false
        failures = []
    }
}

extension Repository {
    /// Durable when it returns.
    ///
    /// - Returns: the object's name.
    @discardableResult
    public func record(_ evidence: DrillEvidence) throws -> String {
        let bytes = try JSON.encode(evidence, indented: true) + [UInt8(ascii: "\n")]
        return try bytes.withUnsafeBytes { bytes in
            let digits = evidence.started.description.prefix(19).filter(\.isNumber)
            let object = ObjectName(.drill, "\(digits)-\(Hasher.name(of: bytes).hex)")
            try storage.publish(object, [bytes])
            return "\(object)"
        }
    }

    /// Oldest first; what is damaged, or of a newer version, is left out.
    public func drills() throws -> [DrillEvidence] {
        try storage.list(.drill).compactMap { name in
            let object = ObjectName(.drill, name)
            guard
                let bytes = try? storage.readAll(object, limit: DrillEvidence.maximumLength),
                bytes.withUnsafeBytes({ Hasher.name(of: $0) }) == object.contentHash,
                let evidence = try? JSON.decode(DrillEvidence.self, from: bytes, what: "\(object)"),
                evidence.format == DrillEvidence.currentFormat
            else { return nil }
            return evidence
        }
    }
}
