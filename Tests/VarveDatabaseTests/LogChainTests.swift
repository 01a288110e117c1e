import Testing
import VarveFormat
import VarveTestSupport

@testable import VarveDatabase

@Suite struct LogChainTests {
    private let fixture = Fixture.named("checksum-512")
    private var summaries: [LogFileSummary] {
        get throws { try fixture.logNumbers().map { try fixture.summary($0) } }
    }

    @Test func coversWhatTheRecordsCover() throws {
        let chain = try LogChain.check(try summaries.reversed())
        let last = try #require(try summaries.last)
        #expect(chain.firstNumber == 1 && chain.lastNumber == last.number)
        #expect(chain.covers(.zero))
        #expect(chain.covers(try #require(last.lastLSN)))
        #expect(!chain.covers(chain.end))
        #expect(!chain.covers(LSN(file: last.number + 1, offset: 28)))
        #expect(!(try LogChain.check(Array(try summaries.dropFirst()))).covers(LSN(file: 1, offset: 28)))
    }

    @Test func everyPageIsCovered() throws {
        for fixture in Fixture.all {
            let chain = try LogChain.check(try fixture.logNumbers().map { try fixture.summary($0) })
            for (name, checker) in try fixture.pageFiles() {
                #expect(chain.covers(checker.check(try fixture.bytes(name)).largestLSN), "\(name)")
            }
        }
    }

    @Test func aMissingFileIsNamed() throws {
        let gap = try summaries.filter { $0.number != 3 && $0.number != 4 }
        let error = expect(.missing) { try LogChain.check(gap) }
        #expect(error?.location == "between log 2 and log 5")
        expect(.missing) { try LogChain.check([]) }
    }

    @Test func aFileOfAnotherLogDoesNotFit() throws {
        let other = Fixture.named("plain-4096")
        var mixed = try summaries
        mixed[2] = try other.summary(3)
        expect(.corrupt) { try LogChain.check(mixed) }
        var twice = try summaries
        twice.append(twice[1])
        expect(.corrupt) { try LogChain.check(twice) }
    }

    @Test func aLastFileWithoutHeaderIsLeftOut() throws {
        let files = try summaries
        let empty = try walk(UInt32(files.count + 1), [UInt8](repeating: 0, count: 40_959))
        #expect(try LogChain.check(files + [empty]) == LogChain.check(files))
        expect(.corrupt) { try LogChain.check([empty]) }
        var hole = files
        hole[1] = try walk(2, [UInt8](repeating: 0, count: 40_959))
        expect(.corrupt) { try LogChain.check(hole) }
    }

    @Test func onlyTheLastFileMayBeTorn() throws {
        var files = try summaries
        func cut(_ index: Int) throws -> LogFileSummary {
            let file = files[index]
            let bytes = try fixture.bytes(EnvironmentFileKind.logName(file.number))
            return try walk(file.number, Array(bytes[..<(Int(file.validLength) - 3)]))
        }
        let whole = files
        files[files.count - 1] = try cut(files.count - 1)
        let chain = try LogChain.check(files)
        #expect(!chain.covers(try #require(whole.last?.lastLSN)))
        files = whole
        files[1] = try cut(1)
        expect(.corrupt) { try LogChain.check(files) }
    }

    /// Cut exactly between two records, a file looks whole: only the next file's header knows better.
    @Test func aCleanlyShortenedFileDoesNotFit() throws {
        var files = try summaries
        let bytes = try fixture.bytes("log.0000000002")
        let end = Int(try #require(files[1].lastLSN).offset)
        files[1] = try walk(2, Array(bytes[..<end]))
        #expect(files[1].end == .clean)
        let error = expect(.corrupt) { try LogChain.check(files) }
        #expect(error?.message.contains("log file 3") == true)
    }
}
