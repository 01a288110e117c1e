import Glibc
import VarveFormat

/// A new file on the way to its name (`Publication.place`). Let go of before, it is removed.
///
/// It lies beneath an open directory, and is named from there only: whoever can exchange directories on the way can
/// lead it nowhere else.
package final class StagedFile {
    let root: RootDirectory
    /// Beneath the root.
    let name: String
    private var file: File?
    private var count = 0
    private var isNamed = false

    package var path: String { Path.join(root.path, name) }

    /// In a directory beneath the root, on the file system where it will get its name.
    package convenience init(in root: RootDirectory, _ temporary: String) throws(VarveError) {
        try self.init(in: root, at: Publication.join(temporary, Path.randomName()), mode: 0o400)
    }

    init(in root: RootDirectory, at name: String, mode: mode_t) throws(VarveError) {
        self.root = root
        self.name = name
        file = try root.create(forOwner: name, mode: mode)
    }

    deinit {
        if isNamed { return }
        Notices.cleanUp(.remark, path) { try root.unlink(name) }
    }

    package func append(_ bytes: UnsafeRawBufferPointer) throws(VarveError) {
        try file?.write(bytes)
        count += bytes.count
    }

    /// What nobody reads again soon: past the page cache, where that can be.
    package func appendDirect(_ bytes: UnsafeRawBufferPointer) throws(VarveError) {
        try file?.writeDirect(bytes)
        count += bytes.count
    }

    /// The disk begins with the last `byteCount` bytes that were appended; nobody waits for it.
    package func startWriting(last byteCount: Int) {
        file?.startWriting(at: UInt64(count - byteCount), count: byteCount)
    }

    /// Makes the bytes durable, and closes. After an error the file is of no use: what failed is to be written again,
    /// to a new one.
    ///
    /// - Parameter modified: the time that the file gets, of what it is a copy of; nil: now.
    package func finish(modified: Timestamp? = nil) throws(VarveError) {
        guard let file = file.take() else { return }
        if let modified { try file.setModified(modified) }
        try file.sync()
        try file.close()
    }

    /// Under its name, which was free; false if it was not, and the file is gone.
    func take(_ name: String) throws(VarveError) -> Bool {
        guard try root.renameWithoutReplacing(self.name, to: name) else { return false }
        isNamed = true
        return true
    }

    /// Under its name, in place of what has it.
    func takeOver(_ name: String) throws(VarveError) {
        try root.rename(self.name, to: name)
        isNamed = true
    }
}
