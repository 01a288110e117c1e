import CBerkeleyDB
import Glibc
import VarveFormat
import VarveHelperProtocol

extension LiveEnvironment {
    /// The names of the files that have pages in the cache, also of those that nobody has open any more, as whoever
    /// opened them first gave them. Names that are not text are left out.
    func cachedFiles() throws(VarveError) -> [String] {
        var list: UnsafeMutablePointer<UnsafeMutablePointer<DB_MPOOL_FSTAT>?>?
        try Library.check(varve_env_cached_files(handle, &list), "list the files in the cache", home)
        guard let list else { return [] }
        defer { free(list) }
        var names: [String] = []
        var bytes = 0
        var index = 0
        while let file = list[index], names.count < CaptureProtocol.cachedFileLimit {
            index += 1
            guard let text = file.pointee.file_name, let name = String(validatingCString: text) else {
                continue
            }
            bytes += name.utf8.count + 4
            if bytes > CaptureProtocol.cachedFileBytes { break }
            names.append(name)
        }
        return names
    }

    func sync() throws(VarveError) {
        try Library.check(varve_env_sync_cache(handle), "write the cache", home)
    }
}
