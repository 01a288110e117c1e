// What the index costs at so many blobs: `bench-index 1000 1000000 100000000`. Each index is made in a temporary
// directory by the code that backups use, measured in a new process, and removed. 10⁸ blobs take 6 GB meanwhile.
// `bench-index snapshots PATH 10000` makes a repository with so many snapshots, for `varve snapshots` to be timed.
import Glibc
import VarveFiles
import VarveFormat
import VarveTestSupport

func runSelf(_ arguments: [String]) throws {
    let child = try ChildProcess(
        "/proc/self/exe", arguments: arguments, environment: [],
        descriptors: [(STDOUT_FILENO, STDOUT_FILENO), (STDERR_FILENO, STDERR_FILENO)])
    let status = try child.wait()
    guard status == .exited(0) else { throw VarveError(.invalid, "\(arguments[0]) \(status)") }
}

func run(_ arguments: [String]) throws {
    if arguments.count == 3, let entries = Int(arguments[2]), arguments[0] == "make" {
        return try Generator.make(at: arguments[1], entries: entries)
    }
    if arguments.count == 3, let entries = Int(arguments[2]), arguments[0] == "measure" {
        return try Measurement.run(at: arguments[1], entries: entries)
    }
    if arguments.count == 3, let count = Int(arguments[2]), arguments[0] == "snapshots" {
        return try Snapshots.make(at: arguments[1], count: count)
    }
    let sizes = arguments.compactMap { Int($0) }.filter { $0 > 0 }
    guard sizes.count == arguments.count, !sizes.isEmpty else {
        throw VarveError(.invalid, "usage: bench-index ENTRIES… | snapshots PATH COUNT")
    }
    print(Measurement.header)
    fflush(nil)
    for size in sizes {
        let directory = try TemporaryDirectory()
        let path = directory.join("repository")
        try runSelf(["make", path, "\(size)"])
        try runSelf(["measure", path, "\(size)"])
    }
}

do {
    try run(Array(CommandLine.arguments.dropFirst()))
} catch {
    print("bench-index: \(error)")
    exit(1)
}
