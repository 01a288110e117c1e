import VarveCodec
import VarveFiles
import VarveFormat
import VarveStorage

/// An object's way from one copy to another: hashed as it is copied, and not there before its name holds.
enum CopyObjects {
    enum Outcome {
        case copied(bytes: UInt64, from: Repository)
        /// One of this name was there, and was left as it is.
        case wasThere
        case noSourceIsGood
    }

    /// Copies from the first of the sources that has it whole.
    ///
    /// - Parameters:
    ///   - replacing: what the target has under this name is damaged, and set aside when the good one is durable.
    ///   - damaged: hears of each source whose object is not what its name promises or can't be read.
    /// - Throws: what the target throws; nothing of the object is there then.
    static func copy(
        _ object: ObjectName, from sources: [Repository], to target: Repository, replacing: Bool = false,
        damaged: (Repository, VarveError) -> Void
    ) throws -> Outcome {
        for source in sources {
            do {
                return try copy(object, from: source, to: target, replacing)
            } catch let error as SourceDamage {
                if error.cause.code != .missing { damaged(source, error.cause) }
            }
        }
        return .noSourceIsGood
    }

    private static func copy(
        _ object: ObjectName, from source: Repository, to target: Repository, _ replacing: Bool
    ) throws -> Outcome {
        var bytes: UInt64 = 0
        let write: ((UnsafeRawBufferPointer) throws -> Void) throws -> Void = { append in
            bytes = 0
            let opened = BlamedSource(try SourceDamage.blaming { try source.storage.open(object) })
            guard opened.byteCount <= limit(object.kind) else {
                throw SourceDamage(
                    cause: VarveError(
                        .corrupt, "\(object) has \(opened.byteCount) bytes", location: source.path))
            }
            var hasher = Hasher()
            try opened.forEachPiece { piece in
                hasher.update(piece)
                bytes += UInt64(piece.count)
                try append(piece)
            }
            guard hasher.finish() == object.contentHash else {
                throw SourceDamage(
                    cause: VarveError(
                        .corrupt, "\(object) is not what its name promises", location: source.path,
                        hint: "'varve heal' replaces it from a copy that is good"))
            }
        }
        if replacing {
            try target.storage.replace(object, write: write)
            return .copied(bytes: bytes, from: source)
        }
        let isNew = try target.storage.publish(object, write: write)
        return isNew ? .copied(bytes: bytes, from: source) : .wasThere
    }

    private static func limit(_ kind: ObjectKind) -> Int {
        kind == .manifest ? ManifestStore.maximumLength : Pack.maximumLength
    }
}

/// Tells a bad source from a bad target.
private struct SourceDamage: Error {
    var cause: VarveError

    static func blaming<R>(_ body: () throws -> R) throws -> R {
        do {
            return try body()
        } catch let error as VarveError {
            throw SourceDamage(cause: error)
        }
    }
}

private struct BlamedSource: ByteSource {
    let source: any ByteSource
    init(_ source: any ByteSource) { self.source = source }
    var byteCount: Int { source.byteCount }

    func read(at offset: Int, into buffer: UnsafeMutableRawBufferPointer) throws {
        try SourceDamage.blaming { try source.read(at: offset, into: buffer) }
    }
}
