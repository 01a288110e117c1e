import VarveFiles
import VarveFormat
import VarveRepository
import VarveStorage

/// What is at the places where copies of a repository were last. Whichever copy is at a place *is* that copy.
struct CopySurvey {
    private struct Found {
        var path: String
        var repository: Repository
        var identity: DiskIdentity
        var records: CopyRecords
    }

    private let named: Found
    private let known: CopyRecords
    /// By path, resolved or as it was told.
    private var places: [String: Result<Found, VarveError>] = [:]

    /// - Parameter patience: seconds that each place may take.
    init(_ named: Repository, places: [String], _ known: CopyRecords, _ patience: Double) throws(VarveError) {
        self.named = Found(
            path: named.path, repository: named, identity: try DiskIdentity(named.path), records: known)
        self.known = known
        for path in places where self.places[path] == nil {
            self.places[path] = Self.look(at: path, patience)
        }
    }

    /// Of the named copy.
    var identity: DiskIdentity { named.identity }

    func records(of repository: Repository) -> CopyRecords {
        if repository === named.repository { return named.records }
        return found.first { $0.repository === repository }?.records ?? known
    }

    /// All but the named copy, each directory once, in the order of paths.
    private var found: [Found] {
        var found: [Found] = []
        for path in places.keys.sorted() {
            guard case .success(let place)? = places[path], place.identity != named.identity,
                !found.contains(where: { $0.identity == place.identity })
            else { continue }
            found.append(place)
        }
        return found
    }

    private static func look(
        at path: String, _ patience: Double
    ) -> Result<Found, VarveError> {
        do {
            let opened = try within(seconds: patience) { () throws(VarveError) in
                let repository = try Repository.open(path)
                return Found(
                    path: path, repository: repository, identity: try DiskIdentity(path),
                    records: try CopyRecords(repository))
            }
            guard let opened else {
                return .failure(
                    VarveError(
                        .hung, "the disk does not answer", location: path,
                        hint: "see the kernel log, and mount it again when it is well"))
            }
            return .success(opened)
        } catch var error where error.code == .noRepository {
            error.hint =
                "mount its disk there; if the copy has another path now, run 'varve copy add PATH'; if the disk is "
                + "lost, run 'varve copy remove LABEL'"
            return .failure(error)
        } catch {
            // Unreadable, or its identity is damaged: it can't be told from another disk, so nothing goes there.
            return .failure(error)
        }
    }

    /// Nil if the named copy is nowhere else.
    func clone(of own: CopyRecord) -> VarveError? {
        found.first { $0.repository.id == named.repository.id && $0.repository.copy.copy == own.copy }.map {
            RepositoryCopies.cloned(own.label, named.path, $0.path)
        }
    }

    /// The copy, wherever it is; or why it is away, which is what is at its own place.
    func copy(_ record: CopyRecord) -> RepositoryCopy {
        let disks = found.filter {
            $0.repository.id == named.repository.id && $0.repository.copy.copy == record.copy
        }
        guard let disk = disks.first(where: { $0.path == record.path }) ?? disks.first else {
            return RepositoryCopy(record: record, absence: absence(record), identity: nil)
        }
        let other = disks.first { $0.identity != disk.identity }
        return RepositoryCopy(
            record: record, repository: disk.repository,
            refusal: other.map { RepositoryCopies.cloned(record.label, disk.path, $0.path) },
            identity: disk.identity)
    }

    private func absence(_ record: CopyRecord) -> VarveError {
        let path = record.path
        switch places[path] {
        case .failure(let error)?: return error
        case nil: return VarveError(.noRepository, "nobody knows where it is", location: path)
        case .success(let place)?:
            let there = place.repository
            guard there.id == named.repository.id else {
                return VarveError(
                    .wrongDisk,
                    "the disk at \(path) belongs to another repository (\(there.id)), not to \(named.repository.id) as "
                        + "the copy '\(record.label)'",
                    hint: "mount the right disk there, or leave this copy out (--without '\(record.label)')")
            }
            let other = known.records[there.copy.copy]
            if place.identity == named.identity || (other != nil && other?.removed == nil) {
                return VarveError(
                    .noRepository, "the copy '\(there.copy.label)' is at that path now", location: path,
                    hint: "mount its own disk there")
            }
            return VarveError(
                .wrongDisk,
                "its path holds the copy '\(there.copy.label)' (\(there.copy.copy)), which "
                    + (other == nil
                        ? "\(named.path) does not know" : "was forgotten ('varve copy remove')"),
                location: path,
                hint: "'varve copy add \(path)' makes it one of the copies; or mount another disk there")
        }
    }
}
