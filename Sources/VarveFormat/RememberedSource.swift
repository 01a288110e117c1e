/// `.varve/source` in an environment's home: what its snapshots are called, so that the name outlives that of the host.
///
/// It says which home it was written for: a clone of the environment under another home is another source.
public struct RememberedSource: Codable, Hashable, Sendable {
    public static let fileName = "source"
    public static let maximumLength = 16 << 10

    public var name: String
    public var home: String

    public init(name: String, home: String) {
        self.name = name
        self.home = home
    }

    /// Nil for anything but what `encoded` writes: nobody knows who wrote it.
    public init?(_ bytes: [UInt8]) {
        guard bytes.count <= Self.maximumLength,
            let known = try? JSON.decode(Self.self, from: bytes, what: Self.fileName),
            SourceName.isPossible(known.name)
        else { return nil }
        self = known
    }

    public func encoded() throws -> [UInt8] { try JSON.encode(self, indented: true) + [UInt8(ascii: "\n")] }
}
