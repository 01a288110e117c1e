import ProcessSupport
import Testing

/// The other tests of this target mean nothing without the executables that they run.
@Suite struct ExecutableTests {
    @Test(arguments: [Executable.varve, Executable.helper, Executable.workload])
    func isBuilt(_ path: String) throws {
        _ = try run(path, ["--help"]).require(0, 1, 64)
    }

    @Test func aProcessThatDoesNotEndIsKilled() throws {
        #expect(throws: ProcessFailure.self) { try run("sleep", ["100"], seconds: 0.2) }
    }

    @Test func anExitCodeThatIsNotTheRightOneIsAnError() throws {
        try run("false", []).require(1)
        #expect(throws: ProcessFailure.self) { try run("false", []).require(0) }
    }
}
