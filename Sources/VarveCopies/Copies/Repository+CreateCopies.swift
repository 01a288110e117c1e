import VarveFiles
import VarveFormat
import VarveRepository

extension Repository {
    /// Makes a new repository with further copies, as `create(at:parameters:label:parity:copies:add:)` does.
    ///
    /// - Parameter copies: directories, each a copy labelled by its name.
    package static func create(
        at path: String, parameters: RepositoryDescription.Parameters = .init(), label: String = "primary",
        parity: Int? = nil, copies: [String]
    ) throws(VarveError) -> Repository {
        try create(at: path, parameters: parameters, label: label, parity: parity, copies: copies) {
            (first, copy) throws(VarveError) in
            let known = try RepositoryCopies(first)
            let name = Path.name(copy)
            let isThere = try FileStatus.of(Path.join(copy, RepositoryDescription.fileName)) != nil
            let isTaken = known.copies.contains { $0.record.label == name }
            _ = try CopyRegistry(known).add(at: copy, label: isTaken || isThere ? nil : name, role: "local")
        }
    }
}
