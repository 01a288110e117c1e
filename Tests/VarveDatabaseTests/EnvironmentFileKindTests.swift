import Testing
import VarveDatabase

@Suite struct EnvironmentFileKindTests {
    @Test(
        arguments: [
            ("DB_CONFIG", .configuration), ("db_config", .other),
            ("log.0000000001", .log(1)), ("log.4294967295", .log(.max)), ("log.4294967296", .other),
            ("log.00001", .other), ("log.00000000001", .other), ("log.db", .other), ("log.", .other),
            ("log.000000001x", .other), ("log.٠٠٠٠٠٠٠٠٠١", .other),
            ("__db.001", .region), ("__db.1000", .region), ("__db.01", .other), ("__db.0001", .other),
            ("__db.register", .region), ("__db.rep.db", .region), ("__db.rep.gen", .region),
            ("__db.rep.egen", .region),
            ("__db.rep.init", .region), ("__db.rep.diag00", .region), ("__db.reppg.db", .region),
            ("__db.freezer.1.1.4K", .region), ("__db.rep.system", .other), ("__db.80000003.a99923b2", .other),
            ("__dbx", .other), ("__db", .other), ("__db.", .other), ("__database", .other),
            ("__dbq.q.db.0", .queueExtent(queue: "q.db", number: 0)),
            ("__dbq.q.12", .queueExtent(queue: "q", number: 12)), ("__dbq.q.db", .other),
            ("__dbq..1", .other),
            ("__dbq.q.01", .other),
            ("__dbp.p.db.000", .partition(database: "p.db", number: 0)),
            ("__dbp.p.1234", .partition(database: "p", number: 1234)), ("__dbp.p.db.00", .other),
            ("", .other), ("main.db", .other),
        ] as [(String, EnvironmentFileKind)])
    func names(_ name: String, _ kind: EnvironmentFileKind) {
        #expect(EnvironmentFileKind.classify(name) == kind)
    }

    @Test func logNamesGoBothWays() {
        for number: UInt32 in [1, 9_999, 1_234_567_890, .max] {
            #expect(EnvironmentFileKind.classify(EnvironmentFileKind.logName(number)) == .log(number))
        }
    }

    @Test func everyFixtureFileIsKnown() throws {
        let names = try Fixture.named("checksum-512").fileNames
        #expect(
            names.contains {
                if case .partition("partition.db", 2) = EnvironmentFileKind.classify($0) {
                    true
                } else {
                    false
                }
            })
        #expect(
            names.contains {
                if case .queueExtent("extents.db", 9) = EnvironmentFileKind.classify($0) {
                    true
                } else {
                    false
                }
            })
    }
}
