import VarveFormat
import VarveRepository

extension Repository {
    /// The manifest without the taint that was the repository's and is outlived: the snapshot was decoded since, and
    /// found whole. What was wrong at the source stays.
    package func withoutOutlivedTaint(_ manifest: Manifest, _ reference: SnapshotReference) throws(VarveError)
        -> Manifest
    {
        guard manifest.isTaintedByRepository, try ledger().isProven(reference) else { return manifest }
        var manifest = manifest
        manifest.tainted = false
        manifest.warnings.removeAll(where: \.taints)
        return manifest
    }
}
