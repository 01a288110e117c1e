/// `.varve/source` in an environment's home: what its snapshots are called, so that the name outlives that of the host.
///
/// It says which home it was written for: a clone of the environment under another home is another source.
package struct RememberedSource: Codable, Hashable, Sendable {
    package static let fileName = "source"
    package static let maximumLength = 16 << 10

    package var name: String
    package var home: String

    package init(name: String, home: String) {
        self.name = name
        self.home = home
    }

    /// Nil for anything but what `encoded` writes: nobody knows who wrote it.
    package init?(_ bytes: [UInt8]) {
        guard bytes.count <= Self.maximumLength,
            let known = try? JSON.decode(Self.self, from: bytes, what: Self.fileName),
            SourceName.isPossible(known.name)
        else { return nil }
        self = known
    }

    package func encoded() throws(VarveError) -> [UInt8] {
        try JSON.encode(self, indented: true) + [UInt8(ascii: "\n")]
    }
}
