import CBlake2
import VarveFormat

/// BLAKE2b-256 (RFC 7693), the only hash on disk.
package struct Hasher {
    private(set) var state = blake2b_state()

    /// Unkeyed and without personalisation: the name of a stored object, as `b2sum -l 256` prints it.
    package init() {
        blake2b_init(&state, ContentID.byteCount)
    }

    /// A hash bound to a purpose: equal bytes of two blob types have different ids, so a data blob can never
    /// be taken for a map (`person=` of Python's `hashlib.blake2b`).
    package init(_ type: BlobType) {
        var parameters = blake2b_param()
        parameters.digest_length = UInt8(ContentID.byteCount)
        parameters.fanout = 1
        parameters.depth = 1
        withUnsafeMutableBytes(of: &parameters.personal) { $0.copyBytes(from: type.personalization.utf8) }
        blake2b_init_param(&state, &parameters)
    }

    /// An unkeyed hash that goes on where another implementation stopped, after whole blocks.
    ///
    /// - Precondition: `words` are the eight of the state; what was hashed was not all.
    init(resuming words: [UInt64], hashed: UInt64) {
        self.init()
        withUnsafeMutableBytes(of: &state.h) { $0.copyBytes(from: words.withUnsafeBytes(Array.init)) }
        state.t.0 = hashed
    }

    package mutating func update(_ bytes: UnsafeRawBufferPointer) {
        blake2b_update(&state, bytes.baseAddress?.assumingMemoryBound(to: UInt8.self), bytes.count)
    }

    /// Call once.
    package mutating func finish() -> ContentID {
        withUnsafeTemporaryAllocation(byteCount: ContentID.byteCount, alignment: 8) { out in
            blake2b_final(&state, out.baseAddress!.assumingMemoryBound(to: UInt8.self), out.count)
            return ContentID(UnsafeRawBufferPointer(out))
        }
    }

    /// The name of an immutable object: the hash of its stored bytes.
    package static func name(of parts: UnsafeRawBufferPointer...) -> ContentID {
        var hasher = Hasher()
        for part in parts { hasher.update(part) }
        return hasher.finish()
    }

    /// The id of a blob: the hash of its decoded bytes, bound to its type.
    package static func id(of bytes: UnsafeRawBufferPointer, _ type: BlobType) -> ContentID {
        var hasher = Hasher(type)
        hasher.update(bytes)
        return hasher.finish()
    }
}
