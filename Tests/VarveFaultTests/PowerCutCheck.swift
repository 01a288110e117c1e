import Glibc
import ProcessSupport
import VarveFiles
import VarveFormat
import VarveRepository
import VarveStorage

/// What is wrong with the repositories on an image after a power cut.
struct PowerCutCheck {
    /// Acknowledged, and not there.
    var lost: [String] = []
    /// There, and not as it must be.
    var wrong: [String] = []

    private struct Verification: Decodable {
        struct Report: Decodable {
            struct Finding: Decodable { var object: String }
            var findings: [Finding]
        }
        var media: Report
    }

    private struct SnapshotList: Decodable {
        struct Row: Decodable { var snapshot: String }
        var snapshots: [Row]
    }

    private let workload: PowerCutWorkload
    private let acknowledged: Acknowledged

    /// Looks at the mounted image. Errors of the file system are findings, too.
    init(_ workload: PowerCutWorkload, _ acknowledged: Acknowledged) throws {
        self.workload = workload
        self.acknowledged = acknowledged
        for (name, holding) in acknowledged.holdings.sorted(by: { $0.key < $1.key }) {
            guard isRepository(name) else {
                lost.append("\(name) is no repository")
                continue
            }
            for object in holding.objects.sorted() where access(workload.file(name, object), R_OK) != 0 {
                lost.append("\(name)/\(object): \(String(cString: strerror(errno)))")
            }
            let listed = try snapshots(name)
            for object in holding.objects.sorted() where object.hasPrefix("manifests/") {
                let manifest = Path.name(object)
                if !listed.contains(where: { isName($0, of: manifest) }) {
                    lost.append("\(name) does not list \(manifest)")
                }
            }
        }
        for name in ["fresh", "one", "two"] where isRepository(name) { try verify(name) }
        if isRepository("one") {
            let copies = try run(Executable.varve, ["copy", "list", "-r", workload.path("one")])
            if copies.code != 0 { wrong.append("\(copies)") }
        }
    }

    private func isRepository(_ name: String) -> Bool {
        access(Path.join(workload.path(name), RepositoryDescription.fileName), F_OK) == 0
    }

    private mutating func snapshots(_ name: String) throws -> [String] {
        let finished = try run(Executable.varve, ["snapshots", "--json", "-r", workload.path(name)])
        guard finished.code == 0 else {
            wrong.append("\(finished)")
            return []
        }
        return try finished.decode(SnapshotList.self).snapshots.map(\.snapshot)
    }

    /// `12-1f2e3d4c` is short for `0000000012-1f2e3d4c…`.
    private func isName(_ short: String, of manifest: String) -> Bool {
        let (one, other) = (short.split(separator: "-"), manifest.split(separator: "-"))
        return one.count == 2 && other.count == 2 && UInt64(one[0]) == UInt64(other[0])
            && other[1].hasPrefix(one[1])
    }

    /// Every object has the bytes of its name, every snapshot is whole: also what nobody has acknowledged.
    private mutating func verify(_ name: String) throws {
        let damaged = name == "one" ? acknowledged.mayBeDamaged : nil
        let finished = try run(
            Executable.varve,
            ["verify", "--media", "--cached", "--json", "-r", workload.path(name)]
                + (damaged == nil ? ["--content"] : []))
        if finished.code == 0 { return }
        if finished.code == 1, damaged != nil, let output = try? finished.decode(Verification.self),
            output.media.findings.allSatisfy({ $0.object == damaged })
        {
            return
        }
        wrong.append("\(finished)")
    }
}
