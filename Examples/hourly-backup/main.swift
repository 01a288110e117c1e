// Backs up a Berkeley DB environment every hour, from within the program that owns it.
//
//     hourly-backup HOME REPOSITORY [SECONDS [ROUNDS]]
import Glibc
import Varve

func fail(_ message: String) -> Never {
    print(message)
    exit(1)
}

let arguments = Array(CommandLine.arguments.dropFirst())
guard arguments.count >= 2 else { fail("usage: hourly-backup HOME REPOSITORY [SECONDS [ROUNDS]]") }
let environment = Environment(home: arguments[0])
let seconds = arguments.count > 2 ? Double(arguments[2])! : 3600
let rounds = arguments.count > 3 ? Int(arguments[3])! : Int.max

/// The repository, made if there is none. A disk that is not mounted must not become a new repository: make yours once,
/// by hand, if it lies on a disk of its own.
func repository() async throws(VarveError) -> Repository {
    do {
        return try await Repository.open(arguments[1])
    } catch  where error.code == .noRepository {
        return try await Repository.create(at: arguments[1])
    }
}

var failures = 0
for round in 1...rounds {
    do {
        let report = try await repository().backup(environment)
        let moment = report.recoverableTo.map { "\($0)" } ?? "no logs"
        print("snapshot \(report.snapshot): \(report.bytesStored) bytes added, restores to \(moment)")
        for warning in report.warnings { print("warning: \(warning.message)") }
        for copy in report.copies where !copy.hasSnapshot {
            print("warning: not on \(copy.label): \(copy.reason ?? "")")
        }
        failures = report.needsAttention ? failures + 1 : 0
    } catch  where error.isTransient {
        // Another backup is at work, or a disk is slow: the next round comes soon enough.
        print("later: \(error)")
    } catch {
        failures += 1
        print("failed: \(error)")
        if let hint = error.hint { print("hint: \(hint)") }
    }
    // Here a program tells its operator when `failures` grows.
    if round < rounds { try await Task.sleep(for: .seconds(seconds)) }
}
if failures > 0 { fail("the last \(failures) backups need a person") }
