import Testing
import VarveDatabase

@Suite struct DatabaseConfigurationTests {
    private func parse(_ text: String) -> DatabaseConfiguration {
        Array(text.utf8).withUnsafeBytes { DatabaseConfiguration(parsing: $0) }
    }

    @Test func everythingThatMatters() {
        let configuration = parse(
            """
            # a comment
            set_cachesize 0 1048576 1
            set_data_dir data
            add_data_dir /srv/more data
            SET_DATA_DIR data
            set_create_dir data
              set_lg_dir   ../logs\r
            set_tmp_dir /tmp
            set_metadata_dir meta
            set_intermediate_dir_mode rwxr-x---
            set_flags DB_LOG_AUTOREMOVE
            log_set_config db_log_in_memory off
            set_flags DB_TXN_NOSYNC on
            set_open_flags DB_REGISTER on
            set_open_flags db_private off

            """)
        #expect(configuration.dataDirectories == ["data", "/srv/more data"])
        #expect(configuration.createDirectory == "data")
        #expect(configuration.logDirectory == "../logs")
        #expect(configuration.temporaryDirectory == "/tmp")
        #expect(configuration.metadataDirectory == "meta")
        #expect(configuration.intermediateDirectoryMode == "rwxr-x---")
        #expect(configuration.logAutoRemove == true)
        #expect(configuration.logInMemory == false)
        #expect(configuration.openFlags == ["db_register"])
        #expect(configuration.otherLines == ["set_cachesize 0 1048576 1", "set_flags DB_TXN_NOSYNC on"])
        #expect(configuration.absoluteNames == ["/srv/more data", "/tmp"])
        #expect(configuration.climbingNames == ["../logs"])
        #expect(configuration.problems.isEmpty)
    }

    @Test func theLaterLineWins() {
        #expect(
            parse("log_set_config db_log_auto_remove\nlog_set_config db_log_auto_remove off").logAutoRemove
                == false)
        #expect(parse("set_lg_dir a\ndb_log_dir b\n").logDirectory == "b")
        #expect(parse("set_flags DB_LOG_AUTOREMOVE maybe").logAutoRemove == nil)
    }

    @Test func problemsAreTold() {
        #expect(parse("set_data_dir\n").problems.count == 1)
        // Too long, and what libdb takes for the next line has no value.
        #expect(parse("set_data_dir " + String(repeating: "x", count: 300)).problems.count == 2)
        #expect(
            [0x73, 0xff, 0x20, 0x61].withUnsafeBytes { DatabaseConfiguration(parsing: $0) }.problems.count
                == 1)
        let huge = [UInt8](repeating: 32, count: DatabaseConfiguration.maximumByteCount + 1)
        #expect(!huge.withUnsafeBytes { DatabaseConfiguration(parsing: $0) }.problems.isEmpty)
        #expect(parse("") == DatabaseConfiguration())
    }

    /// libdb reads 255 bytes at a time, so a directory may hide behind blanks, or in bytes that are not
    /// UTF-8.
    @Test func nothingHides() {
        #expect(parse(String(repeating: " ", count: 255) + "set_lg_dir /live").absoluteNames == ["/live"])
        let broken = Array("set_lg_dir /".utf8) + [0xff]
        let configuration = broken.withUnsafeBytes { DatabaseConfiguration(parsing: $0) }
        #expect(configuration.absoluteNames.count == 1 && configuration.problems.count == 1)
    }

    @Test func randomBytesNeverTrap() {
        var random = SeededRandom()
        print("seed of randomBytesNeverTrap (configuration): \(random.seed)")
        let words = [
            "set_data_dir", "set_flags", "log_set_config", "\n", " ", "\t", "\r", "#", "\0", "/x", "on",
        ]
        for _ in 0..<2000 {
            var bytes: [UInt8] = []
            for _ in 0..<Int.random(in: 0...30, using: &random) {
                bytes +=
                    Bool.random(using: &random)
                    ? Array(words.randomElement(using: &random)!.utf8) : random.bytes(2)
            }
            _ = bytes.withUnsafeBytes { DatabaseConfiguration(parsing: $0) }
        }
    }
}
