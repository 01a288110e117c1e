import Glibc
import VarveFiles
import VarveFormat

/// Documents, and who writes.
extension DirectoryStorage {
    private static let documentLimit = 1 << 20

    package func readDocument(_ name: String) throws(VarveError) -> [UInt8]? {
        do {
            return try root().open(reading: name).readAll(limit: Self.documentLimit)
        } catch let error where error.isNoEntry {
            return nil
        }
    }

    package func holds(document name: String) throws(VarveError) -> Bool {
        try root().status(of: name) != nil
    }

    package func documentNames(in directory: String) throws(VarveError) -> [String] {
        guard try root().status(of: directory) != nil else { return [] }
        return try root().names(in: directory)
    }

    package func replaceDocument(_ name: String, with bytes: [UInt8]) throws(VarveError) {
        let directory = Path.parent(name)
        if directory != ".", try root().makeDirectory(forOwner: directory) { try root().sync() }
        try Publication.replace(name, in: root(), with: bytes, mode: 0o400)
    }

    package func removeDocument(_ name: String) throws(VarveError) {
        guard try root().status(of: name) != nil else { return }
        try root().unlink(name)
        try root().sync()
    }

    package func passingCache() throws(VarveError) -> any CopyStorage {
        DirectoryStorage(try root(), isPassingCache: true)
    }

    private static let lock = "lock"

    private final class Lease: WriterLease {
        let lock: FileLock

        init(_ lock: consuming FileLock) { self.lock = lock }
    }

    package func acquireLease(as holder: String) throws(VarveError) -> any WriterLease {
        guard let lock = try FileLock.acquire(Self.lock, in: root(), .exclusive) else {
            throw VarveError(
                .locked, "another varve is writing to \(location)",
                location: FileLock.holder(Self.lock, in: try root()),
                hint: "wait until it is done and try again")
        }
        try lock.describeHolder(holder)
        return Lease(lock)
    }

    package var isLeased: Bool {
        do {
            guard let lock = try FileLock.acquire(Self.lock, in: root(), .shared) else { return true }
            _ = consume lock
            return false
        } catch {
            return false
        }
    }

    package func removeTemporaryFiles() throws(VarveError) {
        let root = try root()
        // Of a document that was being replaced.
        for name in try root.names() where name.hasSuffix(".tmp") && name.contains(".json.") {
            try root.unlink(name)
        }
        try makeDirectory(Self.temporary)
        for name in try root.names(in: Self.temporary) where !SystemLeftovers.contains(name) {
            let name = "\(Self.temporary)/\(name)"
            // No writer makes directories here.
            guard let status = try root.status(of: name), status.kind != .directory else { continue }
            try root.unlink(name)
        }
    }

    package func makeMissingDirectories() throws(VarveError) -> [ObjectDirectory] {
        let missing = try missingDirectories()
        for directory in missing { try makeDirectory("\(directory)") }
        // One whose directory was missing, too, was named by that.
        for directory in try missingDirectories() { try makeDirectory("\(directory)") }
        return missing
    }
}
