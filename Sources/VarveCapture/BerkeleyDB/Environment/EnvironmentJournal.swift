import VarveFiles
import VarveFormat
import VarveHelperProtocol

/// The journal that a helper keeps in `.varve/journal` while it has changed something.
package enum EnvironmentJournal {
    /// What is left to undo, nil if there is no journal. Meaningful only under the environment's lock: without
    /// it a helper may be at work.
    package static func pending(home: String) throws(VarveError) -> CaptureJournal? {
        try pending(EnvironmentFiles(home: home))
    }

    static let name = ".varve/journal"

    static func pending(_ files: EnvironmentFiles) throws(VarveError) -> CaptureJournal? {
        let path = Path.join(files.home, name)
        let bytes = try files.perform { () throws(VarveError) in
            try files.root.read(name, limit: CaptureJournal.sizeLimit)
        }
        guard let bytes else { return nil }
        do {
            return try bytes.withBytes { (bytes) throws(VarveError) in try CaptureJournal(bytes) }
        } catch var error {
            error.location = path
            throw error
        }
    }
}
