import VarveFormat

extension Repository {
    /// What `latest` means: the last whole snapshot, or the last one if all are partial. Of those that copies took apart
    /// from each other under one number, the one that ended last.
    ///
    /// One that can't be read counts as whole: who asks for the latest is told so, and not given an older one.
    func latest(of all: [SnapshotReference]) -> SnapshotReference? {
        let stored = (try? manifests.storedSummaries()) ?? [:]
        func isPartial(_ snapshot: SnapshotReference) -> Bool {
            stored[snapshot]?.isPartial ?? (try? manifests.read(snapshot).isPartial) ?? false
        }
        guard let last = all.last(where: { !isPartial($0) }) ?? all.last else { return nil }
        let rivals = all.filter { $0.sequence == last.sequence }
        guard rivals.count > 1 else { return last }
        let isLastPartial = isPartial(last)
        let ended = rivals.compactMap { rival in
            isPartial(rival) == isLastPartial
                ? (try? manifests.read(rival)).map { (rival, $0.finished) } : nil
        }
        return ended.max { $0.1 < $1.1 }?.0 ?? last
    }
}
