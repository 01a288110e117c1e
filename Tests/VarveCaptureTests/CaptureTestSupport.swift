import Foundation
import Testing
import VarveCapture
import VarveFiles
import VarveFormat

/// A directory that goes away with the test.
final class Scratch {
    let path: String

    init() throws {
        path = NSTemporaryDirectory() + "varve-capture-" + UUID().uuidString
        try Directory.createAll(path)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    func make(_ name: String) throws -> String {
        let directory = Path.join(path, name)
        try Directory.createAll(directory)
        return directory
    }

    func write(_ name: String, _ text: String) throws {
        try Publication.replace(Path.join(path, name), with: Array(text.utf8))
    }
}

/// Keeps what a source delivers, as files beneath a directory when it is given one.
final class KeepingSink: CaptureSink {
    struct Kept {
        var file: SourceFile
        var facts: SourceFileFacts?
        var bytes: [UInt8] = []
    }

    private(set) var files: [Kept] = []
    /// Called at each `begin` with the number of files before.
    var onBegin: ((SourceFile) throws -> Void)?

    func begin(_ file: SourceFile) throws(VarveError) {
        do {
            try onBegin?(file)
        } catch let error as VarveError {
            throw error
        } catch {
            Issue.record(error)
            throw VarveError(.interrupted, "the test failed")
        }
        precondition(files.last.map { $0.facts != nil } ?? true, "begin before the end of the file before")
        files.append(Kept(file: file))
    }

    func write(_ bytes: UnsafeRawBufferPointer, at offset: UInt64) throws(VarveError) {
        var last = files.removeLast()
        precondition(Int(offset) >= last.bytes.count, "offsets must ascend")
        last.bytes += [UInt8](repeating: 0, count: Int(offset) - last.bytes.count)
        last.bytes += bytes
        files.append(last)
    }

    func end(_ facts: SourceFileFacts) throws(VarveError) {
        var last = files.removeLast()
        precondition(facts.size >= UInt64(last.bytes.count))
        last.facts = facts
        files.append(last)
    }

    var paths: [String] { files.map(\.file.path) }
    subscript(path: String) -> Kept? { files.first { $0.file.path == path } }

    /// Writes the files as a restore would: the rest of each is a sparse tail.
    func restore(to directory: String) throws(VarveError) {
        for kept in files {
            let path = Path.join(directory, kept.file.path)
            try Directory.createAll(Path.parent(path))
            let file = try File.create(path)
            if !kept.bytes.isEmpty {
                try kept.bytes.withBytes { (bytes) throws(VarveError) in try file.write(bytes, at: 0) }
            }
            try file.truncate(to: kept.facts?.size ?? 0)
            try file.close()
        }
    }
}

/// What a finished process has said.
struct ToolResult {
    var status: Int32
    var output: String
    var errors: String
}

/// A program of this package or of Debian's db5.3-util.
enum Tool {
    /// Beside the test bundle, or where `VARVE_BIN_DIR` says.
    static func ours(_ name: String) -> String {
        if let directory = ProcessInfo.processInfo.environment["VARVE_BIN_DIR"] {
            return Path.join(directory, name)
        }
        let bundle = Bundle.allBundles.map(\.bundlePath).first { $0.hasSuffix(".xctest") }
        let executable = CommandLine.arguments.first { $0.hasSuffix(".xctest") }
        return Path.join(Path.parent(bundle ?? executable ?? Bundle.main.bundlePath), name)
    }

    static func start(_ path: String, _ arguments: [String]) throws -> (
        Process, Foundation.Pipe, Foundation.Pipe
    ) {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: path)
        process.arguments = arguments
        let (output, errors) = (Foundation.Pipe(), Foundation.Pipe())
        process.standardOutput = output
        process.standardError = errors
        try process.run()
        return (process, output, errors)
    }

    @discardableResult
    static func run(_ path: String, _ arguments: [String]) throws -> ToolResult {
        let (process, output, errors) = try start(path, arguments)
        let said = output.fileHandleForReading.readDataToEndOfFile()
        let complained = errors.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        return ToolResult(
            status: process.terminationStatus, output: String(decoding: said, as: UTF8.self),
            errors: String(decoding: complained, as: UTF8.self))
    }

    static func workload(_ arguments: String...) throws -> ToolResult {
        try run(ours("bdb-workload"), arguments)
    }
}

/// An environment that `bdb-workload` made and closed.
struct TestEnvironment {
    let home: String

    /// - Parameter options: of `bdb-workload run`.
    init(_ scratch: Scratch, _ name: String = "home", _ options: [String] = []) throws {
        home = try scratch.make(name)
        let arguments = ["run", "--home", home, "--seconds", "1", "--records", "500", "--value-size", "100"]
        let finished = try Tool.run(Tool.ours("bdb-workload"), arguments + options)
        guard finished.status == 0 else {
            throw VarveError(.invalid, "bdb-workload: \(finished.status) \(finished.errors)")
        }
    }

    /// Restores what was captured, runs catastrophic recovery and asks the application whether all is well.
    static func check(_ sink: KeepingSink, in scratch: Scratch, _ options: [String] = []) throws -> ToolResult
    {
        let target = try scratch.make("restored")
        try sink.restore(to: target)
        let recovered = try Tool.run("/usr/bin/db5.3_recover", ["-c", "-h", target])
        if recovered.status != 0 { return recovered }
        return try Tool.run(Tool.ours("bdb-workload"), ["check", "--home", target] + options)
    }
}

/// Log directories by path alone, each as an environment's home.
extension LogKeeper {
    convenience init(logDirectory: String, first: UInt32) throws {
        try self.init(logDirectory: logDirectory, first: first, EnvironmentFiles(home: logDirectory))
    }

    static func numbers(in directory: String) throws -> [UInt32] {
        try numbers(in: directory, EnvironmentFiles(home: directory))
    }

    static func removeLinks(logDirectory: String) throws -> Int {
        try removeLinks(logDirectory: logDirectory, EnvironmentFiles(home: logDirectory))
    }
}
