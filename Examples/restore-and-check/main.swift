// Restores the newest whole snapshot of a repository into a new directory, recovered and verified; says what it reached.
//
//     restore-and-check REPOSITORY TARGET
import Glibc
import Varve

func fail(_ message: String) -> Never {
    print(message)
    exit(1)
}

let arguments = Array(CommandLine.arguments.dropFirst())
guard arguments.count == 2 else { fail("usage: restore-and-check REPOSITORY TARGET") }

do throws(VarveError) {
    let repository = try await Repository.open(arguments[0])
    // First what the disk can give: damage is found before it is needed.
    let verification = try await repository.verify()
    for finding in verification.findings { print("\(finding.kind): \(finding.object): \(finding.problem)") }
    let lost = Set(verification.losses.map(\.snapshot))
    let snapshots = try await repository.snapshots()
    guard let newest = snapshots.last(where: { !$0.isPartial && !lost.contains("\($0)") }) else {
        fail("no snapshot is whole")
    }
    let report = try await repository.restore(newest, to: arguments[1])
    print("snapshot \(report.snapshot) restored to \(report.target): \(report.fileCount) files")
    if let recovery = report.recovery {
        let moment = recovery.recoveredTo.map { "\($0)" } ?? "no logs"
        print(
            "recovered to \(moment); verified: \(recovery.verifiedDatabases.sorted().joined(separator: ", "))"
        )
        for path in recovery.missingDatabases { print("warning: the backup had missed \(path)") }
    }
    for setting in report.settings { print("change in your application: \(setting)") }
    for note in report.notes { print("note: \(note)") }
} catch {
    print("failed: \(error)")
    if let hint = error.hint { print("hint: \(hint)") }
    fail("nothing was restored")
}
