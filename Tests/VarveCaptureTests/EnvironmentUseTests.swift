import Foundation
import Testing
import VarveFiles

@testable import VarveCapture

@Suite struct EnvironmentUseTests {
    /// An application that goes on to its next log while the processes are looked through closes the listed one.
    @Test func aLogThatWasNotYetListed() throws {
        let scratch = try Scratch()
        try scratch.write("log.0000000001", "old")
        try scratch.write("log.0000000002", "new")
        let logs = (1...2).map { Path.join(scratch.path, "log.000000000\($0)") }
        let application = Process()
        application.executableURL = URL(fileURLWithPath: "/bin/sleep")
        application.arguments = ["60"]
        application.standardInput = FileHandle(forReadingAtPath: logs[1])
        try application.run()
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
}
