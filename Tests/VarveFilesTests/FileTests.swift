import Testing
import VarveFiles
import VarveTestSupport

@Suite struct FileTests {
    @Test func whereTheBytesEnd() throws {
        let directory = try TemporaryDirectory()
        let file = try File.create(directory.join("sparse"))
        #expect(try file.dataEnd() == 0)
        try file.truncate(to: 10 << 20)
        let written: [UInt8] = [1, 2, 3]
        try written.withUnsafeBytes { try file.write($0, at: 1 << 20) }
        let (end, size) = (try file.dataEnd(), try file.status().size)
        // In whole blocks, or all of it where the file system can't tell.
        #expect(end >= 1 << 20 + 3 && end <= size)
        // What it leaves out is zeros.
        let bytes = try File.open(reading: directory.join("sparse")).readAll(limit: 10 << 20)
        #expect(bytes.dropFirst(Int(end)).allSatisfy { $0 == 0 })
        // Without holes it is the size.
        try bytes.withUnsafeBytes { try file.write($0, at: 0) }
        #expect(try file.dataEnd() == 10 << 20)
    }
}
