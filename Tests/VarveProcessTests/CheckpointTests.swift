import ProcessSupport
import Testing
import VarveFiles

extension ProcessTests {
    /// A backup holds page writers up only for as long as a copy in memory takes.
    @Suite struct CheckpointTests {
        /// Seconds; what the application sees while a backup runs.
        static let bound = 3.0

        @Test(
            arguments: [
                // Libdb has no reason of its own to wait here: what is longer than it was before is the backup's.
                EnvironmentConfiguration(
                    "1000 transactions/s", "btree,hash",
                    options: "--records 100000 --cache 50000000 --rate 1000"),
                EnvironmentConfiguration(
                    "saturated", "btree,hash", options: "--records 20000 --cache 20000000"),
            ])
        func checkpointsStayShort(_ configuration: EnvironmentConfiguration) throws {
            let environment = try LiveEnvironment(configuration)
            let before = try Self.longest(environment.workload, seconds: 6) {}
            let during = try Self.longest(environment.workload, seconds: 6) {
                _ = try environment.goodBackup()
            }
            let after = try Self.longest(environment.workload, seconds: 4) {}
            try environment.workload.stop()
            print(
                "\(configuration.name): longest checkpoint \(before) s, \(during) s during backups, \(after) s after"
            )
            #expect(during < Self.bound)
            #expect(after < Self.bound)
        }

        /// The longest checkpoint while `body` is done again and again.
        private static func longest(
            _ workload: Workload, seconds: Double, while body: () throws -> Void
        ) throws -> Double {
            let start = Clock.monotonic()
            let deadline = start + UInt64(seconds * 1e9)
            while Clock.monotonic() < deadline {
                try body()
                sleep(milliseconds: 10)
            }
            return try workload.longestCheckpoint(since: start)
        }
    }
}
