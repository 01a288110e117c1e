import Foundation
import ProcessSupport
import Testing
import VarveFiles
import VarveFormat

@testable import VarveCapture

@Suite struct EnvironmentUseTests {
    /// An application that goes on to its next log while the processes are looked through closes the listed one.
    @Test func aLogThatWasNotYetListed() throws {
        let scratch = try Scratch()
        try scratch.write("log.0000000001", "old")
        try scratch.write("log.0000000002", "new")
        let logs = (1...2).map { Path.join(scratch.path, "log.000000000\($0)") }
        let application = try start("/bin/sleep", ["60"], input: FileHandle(forReadingAtPath: logs[1]))
        defer {
            kill(application.processIdentifier, SIGKILL)
            application.waitUntilExit()
        }
        let files = try EnvironmentFiles(home: scratch.path)
        // The control: what was listed first is open nowhere.
        #expect(try EnvironmentUse.find([logs[0]], files).processes.isEmpty)
        var listings = 0
        let use = try EnvironmentUse.find(files) {
            listings += 1
            return listings == 1 ? [logs[0]] : logs
        }
        #expect(use.processes.map(\.process) == [application.processIdentifier])
        #expect(listings == 2)
    }

    /// Somebody else's descriptor, on a file system whose server has died, is none of the environment.
    @Test(.needsFuse()) func aDescriptorThatCanNotBeAsked() throws {
        let scratch = try Scratch()
        for name in ["log.0000000001", "image", "bad"] { try scratch.write(name, "text") }
        let mount = try scratch.make("fuse")
        let script = Path.join(Path.parent(Path.parent(#filePath)), "VarveProcessTests/faulty-file.py")
        let server = try start(
            "/usr/bin/python3", [script] + ["image", "bad", "fuse"].map { Path.join(scratch.path, $0) })
        defer { _ = try? Tool.run("/bin/umount", ["-l", mount]) }
        let image = Path.join(mount, "image")
        for _ in 0..<500 where access(image, F_OK) != 0 { usleep(10_000) }
        let holder = try start("/bin/sleep", ["60"], input: FileHandle(forReadingAtPath: image))
        defer {
            kill(holder.processIdentifier, SIGKILL)
            holder.waitUntilExit()
        }
        kill(server.processIdentifier, SIGKILL)
        server.waitUntilExit()
        // The control: it can't be asked, once the kernel has forgotten the attributes.
        let descriptor = "/proc/\(holder.processIdentifier)/fd/0"
        for _ in 0..<1000 where (try? FileStatus.of(descriptor)) != nil { usleep(10_000) }
        #expect(throws: VarveError.self) { try FileStatus.of(descriptor) }
        let files = try EnvironmentFiles(home: scratch.path)
        let log = Path.join(scratch.path, "log.0000000001")
        #expect(try EnvironmentUse.find([log], files).processes.isEmpty)
    }

    private func start(_ path: String, _ arguments: [String], input: FileHandle? = nil) throws -> Process {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: path)
        process.arguments = arguments
        if let input { process.standardInput = input }
        try process.run()
        return process
    }
}
