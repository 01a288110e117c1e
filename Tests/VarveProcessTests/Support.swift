import Glibc
import ProcessSupport
import VarveFiles

func sleep(milliseconds: UInt32) { usleep(milliseconds * 1000) }

enum FileTree {
    /// Regular files beneath, by their paths.
    static func files(in directory: String) throws -> [String] {
        try Directory.list(directory).flatMap { name -> [String] in
            let path = Path.join(directory, name)
            switch try FileStatus.of(path, followLinks: false)?.kind {
            case .directory: return try files(in: path)
            case .regular: return [path]
            default: return []
            }
        }
    }

    static func logs(in directory: String) throws -> [String] {
        try Directory.list(directory).filter { $0.hasPrefix("log.") }.map { Path.join(directory, $0) }
    }
}

/// A descriptor for a child to inherit.
final class OpenFile {
    let descriptor: Int32

    init(_ path: String) throws {
        descriptor = try systemCall("open", path) { open(path, O_RDONLY | O_CLOEXEC) }
    }

    deinit { close(descriptor) }
}

extension Workload {
    /// Waits until so many further transactions have committed.
    func advance(_ transactions: UInt64, seconds: Double = 60) throws {
        let goal = try committed() + transactions
        try waitUntil("\(transactions) further transactions", seconds: seconds, every: 20_000) {
            guard running.isRunning else { throw ProcessFailure("the writer ended: \(running.errorsSoFar)") }
            return try committed() >= goal
        }
    }
}

extension VarveCommand {
    /// The names of the snapshots, oldest first.
    func snapshots() throws -> [String] {
        struct List: Decodable {
            struct Row: Decodable { var snapshot: String }
            var snapshots: [Row]
        }
        return try run(["snapshots", "--json"]).require(0).decode(List.self).snapshots.map(\.snapshot)
    }
}
