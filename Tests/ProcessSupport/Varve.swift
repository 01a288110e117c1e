import Foundation
import VarveFiles
import VarveFormat

/// The command under test, on one repository.
public struct VarveCommand: Sendable {
    public let repository: String

    /// A repository at the path, made now.
    public static func initialized(_ path: String) throws -> VarveCommand {
        let command = VarveCommand(repository: path)
        try command.run(["init"]).require(0)
        return command
    }

    public init(repository: String) { self.repository = repository }

    /// Starts a subcommand; `-r` is put at the end.
    public func start(_ arguments: [String], descriptors: [(ours: Int32, theirs: Int32)] = []) throws
        -> RunningProcess
    {
        try RunningProcess(
            Executable.varve, arguments + ["-r", repository], descriptors: descriptors)
    }

    @discardableResult
    public func run(_ arguments: [String], seconds: Double = 120) throws -> Finished {
        try start(arguments).wait(seconds: seconds)
    }
}

/// What `varve backup --json` prints.
public struct BackupOutput: Codable, Sendable {
    public var snapshot: String
    public var sequence: UInt64
    public var tainted: Bool
    public var seconds: Double
    public var recovery: Recovery?
    public var statistics: Manifest.Statistics
    public var warnings: [Manifest.Warning]

    public struct Recovery: Codable, Hashable, Sendable {
        public var firstLog: UInt32
        public var lastLog: UInt32
        public var checkpoint: LSN?
        public var endOfLog: LSN
        public var restoresTo: Timestamp
    }
}

extension Finished {
    /// Its standard output, as JSON.
    public func decode<T: Decodable>(_ type: T.Type) throws -> T {
        do {
            return try JSONDecoder().decode(type, from: Foundation.Data(output.utf8))
        } catch {
            throw ProcessFailure("not the JSON of a \(type): \(error): \(self)")
        }
    }
}
