import VarveFormat

/// Builds a file's extent map bottom-up from ids in order, in memory that grows with the logarithm of the file.
package struct ExtentMapBuilder {
    private let extentSize: UInt32
    /// Nodes being filled, level 0 first.
    private var levels: [[ContentID]] = []
    private var lengths: [UInt64] = []

    package init(extentSize: UInt32) { self.extentSize = extentSize }

    /// The next extent's id, `.zero` for zeros; only the file's last extent may be shorter than `extentSize`.
    ///
    /// - Parameter store: stores a finished node's bytes as a `map` blob and gives its id.
    package mutating func append(
        _ id: ContentID, length: UInt64, store: (ExtentMapNode) throws(VarveError) -> ContentID
    ) throws(VarveError) {
        try append(id, length: length, level: 0, store)
    }

    private mutating func append(
        _ id: ContentID, length: UInt64, level: Int, _ store: (ExtentMapNode) throws(VarveError) -> ContentID
    ) throws(VarveError) {
        if level == levels.count {
            levels.append([])
            lengths.append(0)
        }
        if levels[level].count == ExtentMapNode.fanOut { try close(level, store) }
        levels[level].append(id)
        lengths[level] += length
    }

    /// Stores the node of a level and hands its id to the level above.
    private mutating func close(_ level: Int, _ store: (ExtentMapNode) throws(VarveError) -> ContentID)
        throws(VarveError)
    {
        let children = levels[level]
        let length = lengths[level]
        levels[level] = []
        lengths[level] = 0
        let id =
            children.allSatisfy { $0 == .zero }
            ? ContentID.zero
            : try store(
                ExtentMapNode(level: level, extentSize: extentSize, length: length, children: children))
        try append(id, length: length, level: level + 1, store)
    }

    /// - Returns: the id of the root; nil for an empty file, `.zero` for one of zeros only.
    package mutating func finish(store: (ExtentMapNode) throws(VarveError) -> ContentID) throws(VarveError)
        -> ContentID?
    {
        if levels.isEmpty { return nil }
        var level = 0
        // The top level closes too, unless all it holds is the one root.
        while !(level == levels.count - 1 && level > 0 && levels[level].count == 1) {
            try close(level, store)
            level += 1
        }
        return levels[level][0]
    }
}
