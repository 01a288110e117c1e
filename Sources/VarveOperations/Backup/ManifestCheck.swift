import VarveFiles
import VarveFormat
import VarveRepository

/// What is made sure of before a manifest is committed: that a restore can go by it, years later and elsewhere.
enum ManifestCheck {
    /// - Throws: `.refused` if no restore of it could be planned.
    static func requireRestorable(_ manifest: Manifest) throws(VarveError) {
        do {
            _ = try RestorePlan(
                manifest, reference: SnapshotReference(sequence: manifest.sequence, hash: .zero),
                target: "/", configuration: nil, options: .init())
        } catch {
            throw VarveError(
                .refused, "nothing was stored, because this snapshot could never be restored",
                location: manifest.environment?.home,
                hint: "correct in the environment what this message names, then back up again",
                cause: error)
        }
    }

    /// File systems keep times that a manifest can't: those are stored as the nearest that it can.
    ///
    /// - Returns: a warning if there were any.
    static func boundTimes(
        _ files: inout [Manifest.StoredFile], _ directories: inout [Manifest.StoredDirectory]
    ) -> Manifest.Warning? {
        var paths: [String] = []
        for index in files.indices {
            // What was read then must be read again.
            if let identity = files[index].identity, !identity.isWritable { files[index].identity = nil }
            guard !files[index].attributes.modified.isWritable else { continue }
            files[index].attributes.modified = files[index].attributes.modified.writable
            paths.append(files[index].path)
        }
        for index in directories.indices where !directories[index].attributes.modified.isWritable {
            directories[index].attributes.modified = directories[index].attributes.modified.writable
            paths.append(directories[index].path)
        }
        guard let first = paths.first else { return nil }
        let rest = paths.count == 1 ? "" : ", and of \(paths.count - 1) more,"
        return Manifest.Warning(
            code: "time",
            message:
                "the modification time of \(first)\(rest) is outside of the years 0 to 9999: a restore sets the"
                + " nearest time within them", path: first, taints: false)
    }
}

extension Manifest.StoredFile.FileIdentity {
    fileprivate var isWritable: Bool { modified.isWritable && changed.isWritable && read.isWritable }
}
