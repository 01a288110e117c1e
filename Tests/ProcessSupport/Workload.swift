import Glibc
import VarveFiles
import VarveFormat

/// A saturated writer on an environment, and what it tells of itself.
package final class Workload {
    package let home: String
    package let running: RunningProcess
    private let layout: [String]
    private let progress: String
    private let checkpoints: String

    /// Starts the writer and waits until it has committed its first transaction.
    ///
    /// - Parameters:
    ///   - layout: options that say where the databases are and how: `check` is given them, too.
    ///   - options: the others.
    ///   - directory: for its notes; not in the environment.
    ///   - seconds: it ends by itself then, should nobody end it.
    package init(
        home: String, layout: [String], options: [String] = [], notes directory: String, seconds: Int = 300
    ) throws {
        self.home = home
        self.layout = layout
        let number = UInt32.random(in: 0...UInt32.max)
        progress = Path.join(directory, "progress-\(number)")
        checkpoints = Path.join(directory, "checkpoints-\(number)")
        let ready = Path.join(directory, "ready-\(number)")
        running = try RunningProcess(
            Executable.workload,
            [
                "run", "--home", home, "--progress", progress, "--checkpoint-log", checkpoints, "--ready",
                ready,
            ]
                + ["--seconds", String(seconds)] + layout + options)
        let writer = running
        try waitUntil("the first transaction of \(running.command)", seconds: 90) {
            guard writer.isRunning else {
                throw ProcessFailure("the writer ended: \(try writer.wait(seconds: 1))")
            }
            return access(ready, F_OK) == 0
        }
    }

    /// Transactions that had committed at the time, by its own notes; 0 if it had none yet.
    package func committed(at time: Timestamp) throws -> UInt64 {
        let monotonic = MonotonicMoment(of: time).nanoseconds
        var result: UInt64 = 0
        for (moment, seq) in try notes(progress) where moment <= monotonic { result = UInt64(seq) }
        return result
    }

    /// Transactions that have committed by now.
    package func committed() throws -> UInt64 { UInt64(try notes(progress).last?.value ?? 0) }

    /// The longest checkpoint that ended after the monotonic time, or goes on still, in seconds.
    package func longestCheckpoint(since: UInt64 = 0) throws -> Double {
        let ended = try notes(checkpoints).filter { $0.moment >= since }.map(\.value)
        var longest = (ended.max() ?? 0) / 1000
        if let started = try unfinishedCheckpoint() {
            longest = max(longest, Double(Clock.monotonic() - started) / 1e9)
        }
        return longest
    }

    /// Checkpoints that ended after the monotonic time.
    package func checkpointCount(since: UInt64 = 0) throws -> Int {
        try notes(checkpoints).count { $0.moment >= since }
    }

    /// Since when the checkpoint that has not ended goes on.
    package func unfinishedCheckpoint() throws -> UInt64? {
        guard let last = try wholeLines(checkpoints).last, last.hasPrefix("start ") else { return nil }
        return UInt64(last.dropFirst(6))
    }

    /// Ends it in good order; the number of its transactions. It checks what it reads, so this throws if it came
    /// to any harm.
    @discardableResult
    package func stop() throws -> UInt64 {
        struct Report: Codable { var seq: UInt64 }
        return try running.terminate().require(0).decode(Report.self).seq
    }

    /// `bdb-workload check` of a restored and recovered environment: its number of transactions.
    package func check(_ restored: String) throws -> UInt64 {
        try Workload.check(restored, layout: layout)
    }

    package static func check(_ restored: String, layout: [String]) throws -> UInt64 {
        struct Output: Codable {
            var ok: Bool
            var seq: UInt64
        }
        let finished = try run(Executable.workload, ["check", "--home", restored] + layout, seconds: 60)
        return try finished.require(0).decode(Output.self).seq
    }

    /// `bdb-workload flags` of the environment.
    package func flags(_ options: [String] = []) throws -> Finished {
        try run(Executable.workload, ["flags", "--home", home] + layout + options).require(0)
    }

    private func notes(_ path: String) throws -> [(moment: UInt64, value: Double)] {
        try wholeLines(path).compactMap { line in
            let words = line.split(separator: " ")
            guard words.count == 2, let moment = UInt64(words[0]), let value = Double(words[1]) else {
                return nil
            }
            return (moment, value)
        }
    }

    /// A last line without its end is still being written.
    private func wholeLines(_ path: String) throws -> [Substring] {
        guard access(path, F_OK) == 0 else { return [] }
        var lines = try Text.read(path).split(separator: "\n", omittingEmptySubsequences: false)
        lines.removeLast()
        return lines
    }
}

/// A time of the wall clock, on the monotonic clock of this machine.
struct MonotonicMoment {
    /// At most the true one: the reading of both clocks is not at one moment.
    var nanoseconds: UInt64

    init(of time: Timestamp) {
        let monotonic = Clock.monotonic()
        let wall = Clock.now()
        let age =
            (wall.seconds - time.seconds) * 1_000_000_000 + Int64(wall.nanoseconds) - Int64(time.nanoseconds)
        nanoseconds = UInt64(max(0, Int64(monotonic) - age))
    }
}
