import VarveFiles
import VarveFormat

extension Repository {
    /// Refuses a place in the repository's own directory for what is none of its objects: a restored environment, say.
    ///
    /// - Parameter path: need not be there yet.
    /// - Throws: `.invalid`.
    package func requireOutside(_ path: String) throws(VarveError) {
        guard let own = try FileStatus.of(self.path) else { return }
        var place = path
        while try FileStatus.of(place) == nil, Path.parent(place) != place { place = Path.parent(place) }
        place = try Path.resolve(place)
        while true {
            if let status = try FileStatus.of(place), status.device == own.device, status.inode == own.inode {
                throw VarveError(
                    .invalid, "\(path) lies in the repository \(self.path)",
                    hint: "choose a place outside of it")
            }
            if Path.parent(place) == place { return }
            place = Path.parent(place)
        }
    }
}
