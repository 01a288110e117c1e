import Testing
import VarveFormat
import VarveTestSupport

@Suite struct RequirementTests {
    @Test func aSnapshotThatRequiresWhatIsNotKnownIsRefused() throws {
        var manifest = Manifest(
            repository: "", sequence: 1, previous: nil, tool: "", host: "",
            started: Timestamp(seconds: 0),
            finished: Timestamp(seconds: 0), environment: nil, recovery: nil, files: [], directories: [],
            warnings: [], statistics: Manifest.Statistics())
        try manifest.requireKnownRequirements()
        manifest.requires = [Manifest.Requirement.recoveryByUID]
        try manifest.requireKnownRequirements()
        manifest.requires = [Manifest.Requirement.recoveryByUID, "time-travel"]
        expect(.unsupported) { try manifest.requireKnownRequirements() }
    }
}
