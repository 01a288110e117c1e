import VarveFormat

/// The JSON documents of `--json`: what is the same in all of them (`Documentation/using/json.md`).
///
/// The one place where a value becomes a document: `schema` is added here, keys get their public names, a time gets its
/// Unix seconds beside it, and a snapshot is called what `varve snapshots` calls it.
enum Document {
    /// Changes when a key goes or means something else; a new key is no change.
    static let schema = 1

    static func encode(_ value: some Encodable) throws -> DocumentValue {
        let node = DocumentNode()
        try value.encode(to: DocumentEncoder(node: node, codingPath: []))
        guard case .object(var object) = node.value else {
            preconditionFailure("a document is an object: a list has a key of its own")
        }
        object["schema"] = .integer(Int64(schema))
        return .object(object)
    }

    /// The document, or one that has nothing else, with an error.
    static func adding(_ failure: DocumentFailure, to document: DocumentValue?) throws -> DocumentValue {
        struct Alone: Encodable { var error: DocumentFailure }
        let alone = try encode(Alone(error: failure))
        guard case .object(var object)? = document, case .object(let error) = alone else { return alone }
        object["error"] = error["error"]
        return .object(object)
    }

    static func text(_ document: DocumentValue) throws -> String {
        String(decoding: try JSON.encode(document, indented: true), as: UTF8.self)
    }
}

/// Why a command has failed, for programs.
struct DocumentFailure: Encodable {
    /// A stable word: `VarveError.Code`, or `usage`.
    var code: String
    var message: String
    var location: String?
    var hint: String?
    /// The exit code.
    var exit: Int32
}

/// What JSON can say.
enum DocumentValue: Encodable, Sendable {
    case null
    case flag(Bool)
    case integer(Int64)
    case natural(UInt64)
    case number(Double)
    case text(String)
    case list([DocumentValue])
    case object([String: DocumentValue])

    func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        switch self {
        case .null: try container.encodeNil()
        case .flag(let value): try container.encode(value)
        case .integer(let value): try container.encode(value)
        case .natural(let value): try container.encode(value)
        case .number(let value): try container.encode(value)
        case .text(let value): try container.encode(value)
        case .list(let values): try container.encode(values)
        case .object(let values): try container.encode(values)
        }
    }
}

/// The names of keys: the same name for the same thing, whatever the library's types call it.
enum DocumentNames {
    /// By the key, or by the key of the object or list that it is in and the key.
    private static let names = [
        "recoverableTo": "restoresTo",
        "isAcknowledged": "acknowledged", "isArchived": "archived", "isCached": "cached",
        "isComplete": "complete", "isGood": "good", "isIsolated": "isolated", "isOutside": "outside",
        "hasFailed": "failed",
        "strangers": "unexpected",
        "sources.name": "source", "healed.source": "from", "reading.oldest": "oldestReading",
        "health.uncovered": "uncoveredObjects",
    ]

    static func name(of key: String, in path: [any CodingKey]) -> String {
        let outer = path.last { $0.intValue == nil }?.stringValue
        return outer.flatMap { names["\($0).\(key)"] } ?? names[key] ?? key
    }

    /// Keys whose value is a snapshot: it may be a manifest's name, and is shown as people type it.
    static let snapshots: Set<String> = ["snapshot", "previous", "newestSnapshot", "verifiedSnapshot"]

    /// - Returns: the snapshot as `varve snapshots` prints it, and its number; nil if it is no name of one.
    static func snapshot(_ text: String) -> (name: String, sequence: UInt64)? {
        if let reference = SnapshotReference(name: text) {
            return (reference.description, reference.sequence)
        }
        let parts = text.split(separator: "-", omittingEmptySubsequences: false)
        guard parts.count == 2, parts[1].count == 8, let sequence = UInt64(parts[0]) else { return nil }
        return (text, sequence)
    }
}
