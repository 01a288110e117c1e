import VarveFiles
import VarveFormat

/// The journal that a helper keeps in `.varve/journal` while it has changed something.
public enum EnvironmentJournal {
    /// What is left to undo, nil if there is no journal. Meaningful only under the environment's lock: without
    /// it a helper may be at work.
    public static func pending(home: String) throws -> CaptureJournal? {
        let path = Path.join(home, ".varve/journal")
        guard try FileStatus.of(path) != nil else { return nil }
        let bytes = try File.open(reading: path).readAll(limit: CaptureJournal.sizeLimit)
        do {
            return try bytes.withUnsafeBytes { try CaptureJournal($0) }
        } catch var error as VarveError {
            error.location = path
            throw error
        }
    }
}
