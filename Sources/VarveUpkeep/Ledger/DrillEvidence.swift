import VarveBlobs
import VarveCodec
import VarveFiles
import VarveFormat
import VarveRepository
import VarveStorage

/// What a drill has shown: a document that is kept in the copy, `drills/<when>-<hash>`.
package struct DrillEvidence: Codable, Hashable, Sendable {
    package static let currentFormat = 1
    static let maximumLength = 64 << 20

    package struct Database: Codable, Hashable, Sendable {
        package var path: String
        /// `db_verify` passed.
        package var isGood: Bool
        /// libdb's words.
        package var messages: [String]
        /// Bytes of the restored file, and what they make in pages; as promised by the manifest.
        package var pages: UInt64
        package var promisedPages: UInt64
        /// The largest LSN on its pages as they were restored, and as promised; nil where there is none.
        package var largestLSN: LSN?
        package var promisedLSN: LSN?

        package init(
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

    package var format = DrillEvidence.currentFormat
    package var repository: String
    package var copy: String
    /// The manifest's object name.
    package var snapshot: String
    package var tool: String
    package var host: String
    package var started: Timestamp
    package var seconds: Double
    package var isGood: Bool
    /// Why it failed, one sentence each.
    package var failures: [String]
    package var bytes: UInt64 = 0
    /// Recovery ran where the live paths are covered.
    package var isIsolated = false
    /// Paths that were covered.
    package var covered: [String] = []
    /// Where recovery ended, and where the manifest says it must.
    package var endOfLog: LSN?
    package var promisedEndOfLog: LSN?
    package var recoverableTo: Timestamp?
    package var databases: [Database] = []

    package init(
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
    package func record(_ evidence: DrillEvidence) throws(VarveError) -> String {
        let bytes = try JSON.encode(evidence, indented: true) + [UInt8(ascii: "\n")]
        return try bytes.withBytes { (bytes) throws(VarveError) in
            let digits = evidence.started.description.prefix(19).filter(\.isNumber)
            let object = ObjectName(.drill, "\(digits)-\(Hasher.name(of: bytes).hex)")
            try storage.publish(object, [bytes])
            return "\(object)"
        }
    }

    /// Oldest first; what is damaged, or of a newer version, is left out.
    package func drills() throws(VarveError) -> [DrillEvidence] {
        try storage.list(.drill).compactMap { name in
            let object = ObjectName(.drill, name)
            return Notices.attempt(.remark, "\(object)", "it can't be read: the drill is left out") {
                let bytes = try NamedBytes.read(object, in: storage, limit: DrillEvidence.maximumLength)
                let evidence = try JSON.decode(DrillEvidence.self, from: bytes, what: "\(object)")
                guard evidence.format == DrillEvidence.currentFormat else {
                    throw VarveError(.unsupported, "it has format \(evidence.format)")
                }
                return evidence
            }
        }
    }
}
