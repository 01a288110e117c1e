import VarveFiles
import VarveFormat

/// An object's file, for as long as a reference is kept.
final class OpenObject: ByteSource {
    private let file: File
    let byteCount: Int

    init(_ file: consuming File) throws(VarveError) {
        byteCount = Int(try file.status().size)
        self.file = file
    }

    func read(at offset: Int, into buffer: UnsafeMutableRawBufferPointer) throws(VarveError) {
        guard try file.read(into: buffer, at: UInt64(offset)) == buffer.count else {
            throw VarveError(
                .corrupt, "it ends before byte \(offset + buffer.count)", location: file.path)
        }
    }
}

/// A descriptor shared by readers; closed when the last one lets go.
final class OpenFile: Sendable {
    let file: File
    init(_ file: consuming File) { self.file = file }
}

/// The files read last: a restore reads neighbouring extents from few packs.
struct OpenFiles {
    private static let limit = 32
    private var files: [(object: ObjectName, file: OpenFile)] = []

    mutating func find(_ object: ObjectName) -> OpenFile? {
        guard let index = files.lastIndex(where: { $0.object == object }) else { return nil }
        let found = files.remove(at: index)
        files.append(found)
        return found.file
    }

    mutating func keep(_ file: OpenFile, for object: ObjectName) {
        if files.count == Self.limit { files.removeFirst() }
        files.append((object, file))
    }

    mutating func forget(_ object: ObjectName) { files.removeAll { $0.object == object } }
}
