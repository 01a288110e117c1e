import Glibc
import Testing
import VarveFiles
import VarveFormat
import VarveHelperProtocol

@testable import VarveCapture

/// A file that grows by many buffers between a short read of libdb's and the next: its offsets are wrong from there.
@Suite struct GrowingFileTests {
    private static let pageSize = 65536
    private static let slotSize = CaptureProtocol.slotSize

    @Test func pagesBehindAShortReadAreDropped() throws {
        let directory = try TemporaryHome("growing")
        // The cache holds the whole database, and only the checkpoint below writes pages: the file is ours after it.
        let writer = try Writer(
            directory,
            [
                "--methods", "btree", "--page-size", String(Self.pageSize), "--cache", String(256 << 20),
                "--checkpoint-ms", "0", "--records", "20000",
            ])
        let lock = try EnvironmentLock(home: writer.home)
        let helper = try BerkeleyDBHelper(
            CaptureEnvironment(home: writer.home), lock: lock, executable: try program("varve-capture-bdb"),
            slots: 1)
        try helper.join()
        _ = try helper.begin()
        #expect(
            try Program.workload(["checkpoint", "--home", writer.home]).finish().status == .exited(0))
        let name = try #require(
            try Directory.list(writer.home).first { $0.hasSuffix(".db") && !$0.hasPrefix("__db") })
        let path = Path.join(writer.home, name)
        let pages = try File.open(reading: path).readAll(limit: 1 << 26)
        try #require(pages.count > 5 * Self.slotSize)
        var dropped: UInt64 = 0
        // On a busy machine libdb may not have read in time, or wait too long: not each attempt succeeds.
        for _ in 0..<20 where dropped <= UInt64(Self.slotSize) {
            dropped = try capture(name, helper, path: path, pages: pages)
        }
        #expect(dropped > UInt64(Self.slotSize), "the file never grew by more than a buffer")
        try helper.close()
        #expect(try writer.stop().status == .exited(0))
    }

    /// Cuts the file within a buffer, and writes the rest again while libdb holds that buffer and waits for a slot.
    private func capture(
        _ name: String, _ helper: BerkeleyDBHelper, path: String, pages: [UInt8]
    ) throws -> UInt64 {
        let kept = 2 * Self.slotSize + Self.slotSize / 2
        try File.open(updating: path).truncate(to: UInt64(kept))
        var isWhole = false
        func writeTheRest() throws(VarveError) {
            guard !isWhole else { return }
            isWhole = true
            try Array(pages[kept...]).withBytes { (rest) throws(VarveError) in
                try File.open(updating: path).write(rest, at: UInt64(kept))
            }
        }
        let statistics = try helper.capture(name) { (piece) throws(VarveError) in
            guard case .bytes(let bytes, let offset) = piece else { return }
            for start in stride(from: 0, to: bytes.count, by: Self.pageSize) {
                let number = bytes.loadUnaligned(fromByteOffset: start + 8, as: UInt32.self)
                #expect(UInt64(number) == (offset + UInt64(start)) / UInt64(Self.pageSize))
            }
            guard offset + UInt64(bytes.count) >= 2 * UInt64(Self.slotSize) else { return }
            usleep(100_000)
            try writeTheRest()
        }
        try writeTheRest()
        print("\(pages.count) bytes: \(statistics)")
        return statistics.droppedBytes
    }
}
