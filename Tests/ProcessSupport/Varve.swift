import Foundation
import VarveFiles
import VarveFormat

/// The command under test, on one repository.
package struct VarveCommand: Sendable {
    package let repository: String

    /// A repository at the path, made now.
    package static func initialized(_ path: String) throws -> VarveCommand {
        let command = VarveCommand(repository: path)
        try command.run(["init"]).require(0)
        return command
    }

    package init(repository: String) { self.repository = repository }

    /// Starts a subcommand; `-r` is put at the end.
    package func start(_ arguments: [String], descriptors: [(ours: Int32, theirs: Int32)] = []) throws
        -> RunningProcess
    {
        try RunningProcess(
            Executable.varve, arguments + ["-r", repository], descriptors: descriptors)
    }

    @discardableResult
    package func run(_ arguments: [String], seconds: Double = 120) throws -> Finished {
        try start(arguments).wait(seconds: seconds)
    }
}

/// What `varve backup --json` prints.
package struct BackupOutput: Codable, Sendable {
    package var snapshot: String
    package var sequence: UInt64
    package var tainted: Bool
    package var seconds: Double
    package var recovery: Recovery?
    package var statistics: Manifest.Statistics
    package var warnings: [Manifest.Warning]

    package struct Recovery: Codable, Hashable, Sendable {
        package var firstLog: UInt32
        package var lastLog: UInt32
        package var checkpoint: LSN?
        package var endOfLog: LSN
        package var restoresTo: Timestamp
    }
}

extension Finished {
    /// Its standard output, as JSON.
    package func decode<T: Decodable>(_ type: T.Type) throws -> T {
        do {
            return try JSONDecoder().decode(type, from: Foundation.Data(output.utf8))
        } catch {
            throw ProcessFailure("not the JSON of a \(type): \(error): \(self)")
        }
    }
}
