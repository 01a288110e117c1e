import VarveFormat

/// Where a reader turns for blobs that its own storage can't give: other copies.
package protocol BlobFallback: Sendable {
    /// For one thread, in the order in which they are asked, each with a number.
    func readers() -> [(number: Int, reader: BlobReader)]

    /// A blob came from the reader of that number, for this error.
    func note(_ number: Int, _ error: VarveError)
}
