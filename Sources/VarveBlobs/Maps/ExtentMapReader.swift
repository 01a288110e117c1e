import VarveFiles
import VarveFormat

/// An extent of a file, as its map lists it.
package struct MappedExtent: Hashable, Sendable {
    /// In the file, bytes.
    package var offset: UInt64
    package var length: Int
    package var id: ContentID
}

/// Walks a file's extent map in file order, holding one node of each level.
package struct ExtentMapReader {
    private let reader: BlobReader
    private var path: [(node: ExtentMapNode, next: Int, offset: UInt64)] = []
    private let size: UInt64

    /// - Throws: `.corrupt` if the root does not cover exactly `size` bytes.
    package init(_ file: Manifest.StoredFile, reader: BlobReader) throws(VarveError) {
        self.reader = reader
        size = file.size
        guard let map = file.map else {
            guard file.size == 0 else {
                throw VarveError(.corrupt, "\(file.path) has \(file.size) bytes and no map")
            }
            return
        }
        guard let root = ContentID(hex: map) else {
            throw VarveError(.corrupt, "\(file.path) has a map that is no id")
        }
        // Nothing but zeros: there is nothing to walk.
        if root == .zero { return }
        let node = try load(root)
        guard node.length == file.size else {
            throw VarveError(.corrupt, "the map of \(file.path) covers \(node.length) bytes of \(file.size)")
        }
        path = [(node, 0, 0)]
    }

    private func load(_ id: ContentID) throws(VarveError) -> ExtentMapNode {
        try reader.read(id, .map).withBytes { (bytes) throws(VarveError) in try ExtentMapNode(bytes) }
    }

    /// The next extent that is not all zeros; nil at the end.
    ///
    /// - Parameter visit: told of each node's id before it is read.
    package mutating func next(visit: (ContentID) throws(VarveError) -> Void = { _ in }) throws(VarveError)
        -> MappedExtent?
    {
        while let top = path.last {
            guard top.next < top.node.children.count else {
                path.removeLast()
                continue
            }
            path[path.count - 1].next += 1
            let id = top.node.children[top.next]
            let offset = top.offset + UInt64(top.next) * top.node.childSpan
            let length = top.node.childLength(top.next)
            if id == .zero { continue }
            if top.node.level == 0 { return MappedExtent(offset: offset, length: Int(length), id: id) }
            try visit(id)
            let child = try load(id)
            guard child.level == top.node.level - 1, child.length == length,
                child.extentSize == top.node.extentSize
            else {
                throw VarveError(.corrupt, "extent map \(id.short) does not fit where it is referred to")
            }
            path.append((child, 0, offset))
        }
        return nil
    }
}
