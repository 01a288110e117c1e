import VarveFormat

/// A value of a document while it is encoded.
final class DocumentNode {
    private enum Content {
        case nothing
        case value(DocumentValue)
        case list([DocumentNode])
        case object([String: DocumentNode])
    }

    private var content = Content.nothing

    var value: DocumentValue {
        switch content {
        case .nothing: .object([:])
        case .value(let value): value
        case .list(let nodes): .list(nodes.map(\.value))
        case .object(let nodes): .object(nodes.mapValues(\.value))
        }
    }

    func set(_ value: DocumentValue) { content = .value(value) }

    func makeList() { if case .list = content {} else { content = .list([]) } }

    func makeObject() { if case .object = content {} else { content = .object([:]) } }

    var count: Int { if case .list(let nodes) = content { nodes.count } else { 0 } }

    /// A new last element.
    func append() -> DocumentNode {
        let node = DocumentNode()
        guard case .list(var nodes) = content else { preconditionFailure("not a list") }
        content = .nothing
        nodes.append(node)
        content = .list(nodes)
        return node
    }

    func has(_ key: String) -> Bool {
        if case .object(let nodes) = content { nodes[key] != nil } else { false }
    }

    func member(_ key: String) -> DocumentNode {
        let node = DocumentNode()
        guard case .object(var nodes) = content else { preconditionFailure("not an object") }
        content = .nothing
        nodes[key] = node
        content = .object(nodes)
        return node
    }
}

/// Encodes into a `DocumentNode`, by the rules of `Document`.
struct DocumentEncoder: Encoder {
    let node: DocumentNode
    let codingPath: [any CodingKey]
    var userInfo: [CodingUserInfoKey: Any] { [:] }

    func container<Key: CodingKey>(keyedBy type: Key.Type) -> KeyedEncodingContainer<Key> {
        node.makeObject()
        return KeyedEncodingContainer(DocumentObject(node: node, codingPath: codingPath))
    }

    func unkeyedContainer() -> any UnkeyedEncodingContainer {
        node.makeList()
        return DocumentList(node: node, codingPath: codingPath)
    }

    func singleValueContainer() -> any SingleValueEncodingContainer {
        DocumentSingle(node: node, codingPath: codingPath)
    }
}

private struct DocumentObject<Key: CodingKey>: KeyedEncodingContainerProtocol {
    let node: DocumentNode
    let codingPath: [any CodingKey]

    private func name(_ key: Key) -> String { DocumentNames.name(of: key.stringValue, in: codingPath) }

    func encodeNil(forKey key: Key) { node.member(name(key)).set(.null) }

    func encode<T: Encodable>(_ value: T, forKey key: Key) throws {
        let name = name(key)
        try value.encode(to: DocumentEncoder(node: node.member(name), codingPath: codingPath + [key]))
        if let time = value as? Timestamp { node.member(name + "Unix").set(.integer(time.seconds)) }
    }

    func encode(_ value: String, forKey key: Key) {
        let name = name(key)
        guard DocumentNames.snapshots.contains(name), let found = DocumentNames.snapshot(value) else {
            return node.member(name).set(.text(value))
        }
        node.member(name).set(.text(found.name))
        if name == "snapshot", !node.has("sequence") { node.member("sequence").set(.natural(found.sequence)) }
    }

    func nestedContainer<Nested: CodingKey>(keyedBy type: Nested.Type, forKey key: Key)
        -> KeyedEncodingContainer<Nested>
    {
        superEncoder(forKey: key).container(keyedBy: type)
    }

    func nestedUnkeyedContainer(forKey key: Key) -> any UnkeyedEncodingContainer {
        superEncoder(forKey: key).unkeyedContainer()
    }

    func superEncoder() -> any Encoder { DocumentEncoder(node: node.member("super"), codingPath: codingPath) }

    func superEncoder(forKey key: Key) -> any Encoder {
        DocumentEncoder(node: node.member(name(key)), codingPath: codingPath + [key])
    }

    func encode(_ value: Bool, forKey key: Key) { node.member(name(key)).set(.flag(value)) }
    func encode(_ value: Double, forKey key: Key) { node.member(name(key)).set(.number(value)) }
    func encode(_ value: Float, forKey key: Key) { node.member(name(key)).set(.number(Double(value))) }
    func encode(_ value: Int, forKey key: Key) { node.member(name(key)).set(.integer(Int64(value))) }
    func encode(_ value: Int8, forKey key: Key) { node.member(name(key)).set(.integer(Int64(value))) }
    func encode(_ value: Int16, forKey key: Key) { node.member(name(key)).set(.integer(Int64(value))) }
    func encode(_ value: Int32, forKey key: Key) { node.member(name(key)).set(.integer(Int64(value))) }
    func encode(_ value: Int64, forKey key: Key) { node.member(name(key)).set(.integer(Int64(value))) }
    func encode(_ value: UInt, forKey key: Key) { node.member(name(key)).set(.natural(UInt64(value))) }
    func encode(_ value: UInt8, forKey key: Key) { node.member(name(key)).set(.natural(UInt64(value))) }
    func encode(_ value: UInt16, forKey key: Key) { node.member(name(key)).set(.natural(UInt64(value))) }
    func encode(_ value: UInt32, forKey key: Key) { node.member(name(key)).set(.natural(UInt64(value))) }
    func encode(_ value: UInt64, forKey key: Key) { node.member(name(key)).set(.natural(UInt64(value))) }
}

private struct DocumentList: UnkeyedEncodingContainer {
    struct Position: CodingKey {
        let intValue: Int?
        var stringValue: String { "\(intValue ?? 0)" }
        init(intValue: Int) { self.intValue = intValue }
        init?(stringValue: String) { nil }
    }

    let node: DocumentNode
    let codingPath: [any CodingKey]
    var count: Int { node.count }

    func encodeNil() { node.append().set(.null) }

    func encode<T: Encodable>(_ value: T) throws { try value.encode(to: superEncoder()) }

    func nestedContainer<Nested: CodingKey>(keyedBy type: Nested.Type) -> KeyedEncodingContainer<Nested> {
        superEncoder().container(keyedBy: type)
    }

    func nestedUnkeyedContainer() -> any UnkeyedEncodingContainer { superEncoder().unkeyedContainer() }

    func superEncoder() -> any Encoder {
        let path = codingPath + [Position(intValue: node.count)]
        return DocumentEncoder(node: node.append(), codingPath: path)
    }

    func encode(_ value: Bool) { node.append().set(.flag(value)) }
    func encode(_ value: String) { node.append().set(.text(value)) }
    func encode(_ value: Double) { node.append().set(.number(value)) }
    func encode(_ value: Float) { node.append().set(.number(Double(value))) }
    func encode(_ value: Int) { node.append().set(.integer(Int64(value))) }
    func encode(_ value: Int8) { node.append().set(.integer(Int64(value))) }
    func encode(_ value: Int16) { node.append().set(.integer(Int64(value))) }
    func encode(_ value: Int32) { node.append().set(.integer(Int64(value))) }
    func encode(_ value: Int64) { node.append().set(.integer(Int64(value))) }
    func encode(_ value: UInt) { node.append().set(.natural(UInt64(value))) }
    func encode(_ value: UInt8) { node.append().set(.natural(UInt64(value))) }
    func encode(_ value: UInt16) { node.append().set(.natural(UInt64(value))) }
    func encode(_ value: UInt32) { node.append().set(.natural(UInt64(value))) }
    func encode(_ value: UInt64) { node.append().set(.natural(UInt64(value))) }
}

private struct DocumentSingle: SingleValueEncodingContainer {
    let node: DocumentNode
    let codingPath: [any CodingKey]

    func encodeNil() { node.set(.null) }

    func encode<T: Encodable>(_ value: T) throws {
        try value.encode(to: DocumentEncoder(node: node, codingPath: codingPath))
    }

    func encode(_ value: Bool) { node.set(.flag(value)) }
    func encode(_ value: String) { node.set(.text(value)) }
    func encode(_ value: Double) { node.set(.number(value)) }
    func encode(_ value: Float) { node.set(.number(Double(value))) }
    func encode(_ value: Int) { node.set(.integer(Int64(value))) }
    func encode(_ value: Int8) { node.set(.integer(Int64(value))) }
    func encode(_ value: Int16) { node.set(.integer(Int64(value))) }
    func encode(_ value: Int32) { node.set(.integer(Int64(value))) }
    func encode(_ value: Int64) { node.set(.integer(Int64(value))) }
    func encode(_ value: UInt) { node.set(.natural(UInt64(value))) }
    func encode(_ value: UInt8) { node.set(.natural(UInt64(value))) }
    func encode(_ value: UInt16) { node.set(.natural(UInt64(value))) }
    func encode(_ value: UInt32) { node.set(.natural(UInt64(value))) }
    func encode(_ value: UInt64) { node.set(.natural(UInt64(value))) }
}
