import VarveFiles
import VarveFormat
import VarveStorage

/// The copies of a repository, looked for where they were last: which of them are there, which are away and why.
/// Opening them writes nothing.
///
/// Every copy is a repository of its own and can be named by `-r`; the one that is named comes first and is read.
public final class RepositoryCopies: Sendable {
    public struct Copy: Sendable {
        public var record: CopyRecord
        /// Nil if it is away.
        public var repository: Repository?
        /// Why it is away.
        public var absence: VarveError?
        /// Packs and manifests that the first has and this one lacks; nil if that was not found out.
        public var lacking: Int?
        let identity: DiskIdentity?

        public var isThere: Bool { repository != nil }
        /// A manifest that goes there finds everything it needs.
        public var isComplete: Bool { lacking == 0 }
    }

    public struct Options: Sendable {
        /// Labels or ids of copies that are left alone, as if they were away.
        public var without: Set<String> = []
        /// Seconds that a disk may take to answer.
        public var patience: Double = 20
        public init() {}
    }

    public let lead: Repository
    /// The first is the one that was named.
    public let copies: [Copy]

    /// Looks for all copies that the named one knows.
    ///
    /// - Throws: before anything is written anywhere, `.wrongDisk` if another repository, or an unknown copy, is where
    ///   a copy should be; `.clonedCopy` if one copy is there twice; `.rolledBack` if a copy is older than another one
    ///   knows. A path with nothing at it, an empty mount point and a disk that does not answer are copies that are away.
    public init(_ lead: Repository, _ options: Options = .init()) throws {
        self.lead = lead
        let known = try CopyRecords(lead.path, repository: lead.id)
        let own = known.records[lead.copy.copy] ?? CopyRecord.first(lead.copy, at: lead.path)
        try Self.requireOnlyOne(lead, own, options.patience)
        var copies = [
            Copy(record: own, repository: lead, lacking: 0, identity: try DiskIdentity(lead.path))
        ]
        for record in known.records.values.sorted(by: { ($0.label, $0.copy) < ($1.label, $1.copy) })
        where record.copy != own.copy && record.removed == nil {
            if options.without.contains(record.label) || options.without.contains(record.copy) {
                copies.append(Self.away(record, "left out by --without"))
            } else {
                copies.append(try Self.look(for: record, of: lead, known.records, options.patience))
            }
        }
        try Self.requireDifferentDisks(copies)
        try Self.requireNoRollback(copies)
        let lacking = try Self.findLacking(copies)
        for (index, count) in zip(copies.indices, lacking) { copies[index].lacking = count }
        self.copies = copies
    }

    public var online: [Copy] { copies.filter(\.isThere) }

    /// By label, id, the beginning of an id, or path.
    public func find(_ text: String) throws -> Copy {
        let resolved = (try? Path.resolve(text)) ?? text
        let matches = copies.filter {
            $0.record.label == text || $0.record.path == resolved || $0.repository?.path == text
                || (text.count >= 4 && $0.record.copy.hasPrefix(text))
        }
        if matches.count == 1 { return matches[0] }
        let labels = copies.map { "\($0.record.label) (\($0.record.path))" }.joined(separator: ", ")
        throw VarveError(
            .missing, matches.isEmpty ? "there is no copy \(text)" : "\(text) means several copies",
            hint: "the copies are: \(labels)")
    }

    // MARK: Looking

    private static func away(_ record: CopyRecord, _ why: String, hint: String? = nil) -> Copy {
        Copy(
            record: record, absence: VarveError(.noRepository, why, location: record.path, hint: hint),
            identity: nil)
    }

    private static func look(
        for record: CopyRecord, of lead: Repository, _ known: [String: CopyRecord], _ patience: Double
    ) throws -> Copy {
        let path = record.path
        let opened: (Repository, DiskIdentity)?
        do {
            opened = try within(seconds: patience) { (try Repository.open(path), try DiskIdentity(path)) }
        } catch let error as VarveError where error.code == .noRepository {
            return Copy(record: record, absence: error, identity: nil)
        } catch {
            // Unreadable, or its identity is damaged: it can't be told from another disk, so nothing goes there.
            let known = error as? VarveError ?? VarveError(.system, "\(error)", location: path)
            return Copy(record: record, absence: known, identity: nil)
        }
        guard let (repository, identity) = opened else {
            return away(record, "the disk does not answer", hint: "see the kernel log")
        }
        guard repository.id == lead.id else {
            throw VarveError(
                .wrongDisk,
                "the disk at \(path) belongs to another repository (\(repository.id)), not to \(lead.id) as the copy "
                    + "'\(record.label)'",
                hint: "mount the right disk there, or leave this copy out (--without '\(record.label)'). "
                    + "Nothing was written")
        }
        return Copy(record: record, repository: repository, identity: identity)
    }

    /// Each disk is there once, and is the copy that its place is known for.
    private static func requireDifferentDisks(_ copies: [Copy]) throws {
        for (index, copy) in copies.enumerated() {
            guard let identity = copy.identity else { continue }
            for other in copies[..<index] where other.repository?.copy.copy == copy.repository?.copy.copy {
                throw cloned(other.record.label, other.record.path, copy.record.path)
            }
            for other in copies[..<index] where other.identity == identity {
                throw VarveError(
                    .wrongDisk, "'\(other.record.label)' and '\(copy.record.label)' are the same directory",
                    location: copy.record.path, hint: "mount each copy's own disk. Nothing was written")
            }
        }
        for copy in copies {
            guard let found = copy.repository?.copy, found.copy != copy.record.copy else { continue }
            throw VarveError(
                .wrongDisk,
                "at \(copy.record.path), where the copy '\(copy.record.label)' should be, is the copy "
                    + "'\(found.label)' (\(found.copy))",
                hint:
                    "mount the right disk there, or tell where it is now ('varve copy add'), or leave this copy out "
                    + "(--without '\(copy.record.label)'). Nothing was written")
        }
    }

    /// The named one may be a clone of the disk that is where it always was.
    private static func requireOnlyOne(_ lead: Repository, _ own: CopyRecord, _ patience: Double) throws {
        let identity = try DiskIdentity(lead.path)
        let before = try? within(seconds: patience) {
            (try Repository.open(own.path).copy.copy, try DiskIdentity(own.path))
        }
        guard let (copy, other) = before, copy == own.copy, other != identity else { return }
        throw cloned(own.label, own.path, lead.path)
    }

    static func cloned(_ label: String, _ first: String, _ second: String) -> VarveError {
        VarveError(
            .clonedCopy, "the copy '\(label)' is there twice: at \(first) and at \(second)",
            hint:
                "one is a clone of the other's disk: unmount it, or make it a copy of its own (empty it, then "
                + "'varve copy add'). Nothing was written")
    }

    /// Each copy's own record must be as new as what the others that are here know of it.
    private static func requireNoRollback(_ copies: [Copy]) throws {
        let records = try copies.compactMap { copy in
            try copy.repository.map { try CopyRecords($0.path, repository: $0.id) }
        }
        for copy in copies {
            guard let repository = copy.repository else { continue }
            let own = try CopyRecords(repository.path, repository: repository.id).records[
                repository.copy.copy]
            for others in records where others.root != repository.path {
                guard let heard = others.records[repository.copy.copy] else { continue }
                let isOlder = (own?.generation ?? 0) < heard.generation
                let isFork = own?.generation == heard.generation && own?.mark != heard.mark
                guard isOlder || isFork else { continue }
                throw VarveError(
                    .rolledBack,
                    "the copy '\(heard.label)' at \(repository.path) is not as new as it was: "
                        + (isOlder
                            ? "it stands at generation \(own?.generation ?? 0), and was at \(heard.generation) on "
                                + "\(heard.written)"
                            : "a clone of it was used as generation \(heard.generation) elsewhere"),
                    hint:
                        "its disk was restored from an image, or is a clone; if that is as it should be, take it back "
                        + "('varve copy add \(repository.path) --without \(heard.label)'). Nothing was written"
                )
            }
        }
    }

    /// How many packs and manifests of the first each lacks. Names only: what is damaged is `verify`'s business.
    private static func findLacking(_ copies: [Copy]) throws -> [Int?] {
        guard copies.count(where: \.isThere) > 1, let lead = copies[0].repository else {
            return copies.map(\.lacking)
        }
        let ours = try common(lead)
        return [0]
            + copies.dropFirst().map { copy in
                guard let repository = copy.repository, let theirs = try? common(repository) else {
                    return nil
                }
                return ours.subtracting(theirs).count
            }
    }

    static func names(_ repository: Repository, _ kind: ObjectKind) throws -> Set<String> {
        Set(try repository.storage.list(kind))
    }

    /// What should be the same everywhere.
    private static func common(_ repository: Repository) throws -> Set<ObjectName> {
        try ObjectKind.common.reduce(into: []) { all, kind in
            all.formUnion(try repository.storage.list(kind).lazy.map { ObjectName(kind, $0) })
        }
    }
}

/// Which directory of which file system a path led to: the same path leads elsewhere when disks are swapped.
struct DiskIdentity: Equatable, Sendable {
    private let path: String
    private let device: UInt64
    private let inode: UInt64

    init(_ path: String) throws {
        guard let status = try FileStatus.of(path) else {
            throw VarveError(.noRepository, "\(path) is gone")
        }
        self.path = path
        (device, inode) = (status.device, status.inode)
    }

    static func == (a: DiskIdentity, b: DiskIdentity) -> Bool { (a.device, a.inode) == (b.device, b.inode) }

    /// Throws `.wrongDisk` if the path leads elsewhere now, or the disk calls itself another copy.
    func check(_ copy: CopyDescription) throws {
        guard let now = try? DiskIdentity(path), now == self,
            let read = try? IdentityDocuments(path).identity.copy, read == copy
        else {
            throw VarveError(
                .wrongDisk, "the disk of the copy '\(copy.label)' was swapped or unmounted meanwhile",
                location: path, hint: "mount it again and run 'varve copy sync'")
        }
    }
}
