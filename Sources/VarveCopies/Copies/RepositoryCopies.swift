import VarveFiles
import VarveFormat
import VarveRepository
import VarveStorage

/// The copies of a repository, looked for where they were last: which of them are there, which are away and why.
/// Opening them writes nothing, and nothing that another disk is or holds keeps it from being opened.
///
/// Every copy is a repository of its own and can be named by `-r`; the one that is named comes first and is read. What
/// `copy.json` says decides which copy a directory is, wherever that is: two disks may take turns at one mount point.
package final class RepositoryCopies: Sendable {
    package struct Options: Sendable {
        /// Labels or ids of copies that are left alone, as if they were away.
        package var without: Set<String> = []
        /// Seconds that a disk may take to answer.
        package var patience: Double = 20
        package init() {}
    }

    package let named: Repository
    /// The first is the one that was named.
    package let copies: [RepositoryCopy]
    /// Events and manifests that others have and the first lacks. A backup to it is whole nevertheless.
    package let namedLacks: Int

    /// Looks for all copies that the named one knows.
    ///
    /// - Throws: only what the named one's own directory throws. All that is wrong elsewhere is told by the copies.
    package init(_ named: Repository, _ options: Options = .init()) throws(VarveError) {
        self.named = named
        let known = try CopyRecords(named)
        let own = known.records[named.copy.copy] ?? CopyRecord.first(named.copy, at: named.path)
        let others = known.records.values.filter { $0.copy != own.copy && $0.removed == nil }.sorted {
            ($0.label, $0.copy) < ($1.label, $1.copy)
        }
        let names = Set(([own] + others).flatMap { [$0.label, $0.copy] })
        if let unknown = options.without.subtracting(names).min() {
            throw VarveError(
                .invalid, "there is no copy \(unknown) to go on without",
                hint: "the copies are: \(([own] + others).map(\.label).joined(separator: ", "))")
        }
        let survey = try CopySurvey(named, places: [own.path] + others.map(\.path), known, options.patience)
        var copies = [
            RepositoryCopy(
                record: own, repository: named, refusal: survey.clone(of: own), lacking: 0,
                identity: survey.identity)
        ]
        for record in others {
            if options.without.contains(record.label) || options.without.contains(record.copy) {
                copies.append(
                    RepositoryCopy(
                        record: record,
                        absence: VarveError(
                            .noRepository, "left out by --without", location: record.path), identity: nil))
            } else {
                copies.append(survey.copy(record))
            }
        }
        for index in copies.indices {
            copies[index].isRecordLost = known.lost.contains(copies[index].record.copy)
        }
        Self.findRollbacks(&copies, survey)
        let (lacking, namedLacks) = try Self.findLacking(copies, options.patience)
        for (index, count) in zip(copies.indices, lacking) { copies[index].lacking = count }
        self.copies = copies
        self.namedLacks = namedLacks
    }

    package var online: [RepositoryCopy] { copies.filter(\.isThere) }

    /// Those that may be written to.
    var writable: [RepositoryCopy] { copies.filter { $0.isThere && $0.refusal == nil } }

    /// By label, id, the beginning of an id, or path: at a path, the copy that is there comes before those that were.
    package func find(_ text: String) throws(VarveError) -> RepositoryCopy {
        let resolved = (try? Path.resolve(text)) ?? text
        let ways: [(RepositoryCopy) -> Bool] = [
            { $0.record.label == text || $0.record.copy == text },
            { copy in copy.repository.map { $0.path == text || $0.path == resolved } ?? false },
            { $0.record.path == resolved || $0.record.path == text },
            { text.count >= 4 && $0.record.copy.hasPrefix(text) },
        ]
        let matches = ways.lazy.map { self.copies.filter($0) }.first { !$0.isEmpty } ?? []
        if matches.count == 1 { return matches[0] }
        let labels = copies.map { "\($0.record.label) (\($0.record.path))" }.joined(separator: ", ")
        throw VarveError(
            .missing, matches.isEmpty ? "there is no copy \(text)" : "\(text) means several copies",
            hint: "the copies are: \(labels)")
    }

    static func cloned(_ label: String, _ first: String, _ second: String) -> VarveError {
        VarveError(
            .clonedCopy, "the copy '\(label)' is there twice: at \(first) and at \(second)",
            hint:
                "one disk is a clone of the other: unmount the clone, or empty it and run 'varve copy add PATH'. "
                + "Until then nothing is written to either of them")
    }

    /// Each copy's own record must be as new as what the others that are here know of it.
    private static func findRollbacks(_ copies: inout [RepositoryCopy], _ survey: CopySurvey) {
        for index in copies.indices where copies[index].refusal == nil {
            guard let repository = copies[index].repository else { continue }
            guard let own = survey.records(of: repository).records[repository.copy.copy] else {
                // A lost record says nothing of what the copy holds. It continues from the newest record that others have.
                let heard = copies.compactMap { other in
                    other.repository.flatMap { survey.records(of: $0).records[repository.copy.copy] }
                }
                if let newest = heard.max(by: { $0.generation < $1.generation }), newest.removed == nil {
                    copies[index].record = newest
                }
                continue
            }
            for other in copies where other.record.copy != repository.copy.copy {
                guard let witness = other.repository,
                    let heard = survey.records(of: witness).records[repository.copy.copy]
                else { continue }
                let isOlder = own.generation < heard.generation
                let isFork = own.generation == heard.generation && own.mark != heard.mark
                guard isOlder || isFork else { continue }
                if let removed = heard.removed, own.removed == nil {
                    copies[index].refusal = VarveError(
                        .rolledBack,
                        "the copy '\(heard.label)' at \(repository.path) was forgotten ('varve copy remove') on \(removed)",
                        hint:
                            "make it one of the copies again ('varve copy add -r \(witness.path) \(repository.path)')"
                    )
                    break
                }
                copies[index].refusal = VarveError(
                    .rolledBack,
                    "the copy '\(heard.label)' at \(repository.path) is older than other copies know it: "
                        + (isOlder
                            ? "generation \(own.generation), was \(heard.generation) on "
                                + "\(heard.written)"
                            : "a clone of it was used as generation \(heard.generation) elsewhere"),
                    hint:
                        "its disk was restored from an image, or is a clone; if that was on purpose, run "
                        + "'varve copy add -r \(witness.path) \(repository.path)'. Until then nothing is written to it"
                )
                break
            }
        }
    }

    /// How many packs and manifests of the first each lacks. Names only: what is damaged is `verify`'s business.
    private static func findLacking(_ copies: [RepositoryCopy], _ patience: Double) throws(VarveError) -> (
        ofEach: [Int?], ofNamed: Int
    ) {
        guard copies.count(where: \.isThere) > 1, let named = copies[0].repository else {
            return (copies.map(\.lacking), 0)
        }
        let ours = try Self.common(named)
        var elsewhere: Set<ObjectName> = []
        let others: [Int?] = copies.dropFirst().map { copy in
            guard let repository = copy.repository else { return nil }
            let listed = Notices.attempt(
                .remark, repository.path, "the copy can't be listed: what it lacks is not known"
            ) { try within(seconds: patience) { () throws(VarveError) in try Self.common(repository) } }
            guard let theirs = listed ?? nil else { return nil }
            // Packs may be on their way to it just now.
            elsewhere.formUnion(theirs.subtracting(ours).lazy.filter { $0.kind != .pack })
            return ours.subtracting(theirs).count
        }
        return ([0] + others, elsewhere.count)
    }

    /// Empty if the directory is lost: `heal` creates it again.
    static func names(_ repository: Repository, _ kind: ObjectKind) throws(VarveError) -> Set<String> {
        do {
            return Set(try repository.storage.list(kind))
        } catch let error where error.code == .missing {
            return []
        }
    }

    /// What should be the same everywhere.
    private static func common(_ repository: Repository) throws(VarveError) -> Set<ObjectName> {
        var all: Set<ObjectName> = []
        for kind in ObjectKind.common {
            all.formUnion(try names(repository, kind).lazy.map { ObjectName(kind, $0) })
        }
        return all
    }
}

/// Which directory of which file system a path led to: the same path leads elsewhere when disks are swapped.
struct DiskIdentity: Equatable, Sendable {
    private let path: String
    private let device: UInt64
    private let inode: UInt64

    init(_ path: String) throws(VarveError) {
        guard let status = try FileStatus.of(path) else {
            throw VarveError(.noRepository, "\(path) is gone")
        }
        self.path = path
        (device, inode) = (status.device, status.inode)
    }

    static func == (a: DiskIdentity, b: DiskIdentity) -> Bool { (a.device, a.inode) == (b.device, b.inode) }

    /// Throws `.wrongDisk` if the path leads elsewhere now, or the disk calls itself another copy.
    func check(_ copy: CopyDescription) throws(VarveError) {
        guard let now = try? DiskIdentity(path), now == self,
            let read = try? IdentityDocuments(path).identity.copy, read == copy
        else {
            throw VarveError(
                .wrongDisk, "the disk of the copy '\(copy.label)' was swapped or unmounted meanwhile",
                location: path, hint: "mount it again and run 'varve copy sync'")
        }
    }
}
