import Glibc
import Testing
import VarveFiles
import VarveFormat
import VarveHelperProtocol

@testable import VarveCapture

/// A file that grows by many buffers between a short read of libdb's and the next: its offsets are wrong from there.
@Suite struct GrowingFileTests {
    private static let pageSize = 65536

    @Test func pagesBehindAShortReadAreDropped() throws {
        let directory = try TemporaryHome("growing")
        // What is written stays in the cache until we say so.
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
        let name = try #require(
            try Directory.list(writer.home).first { $0.hasSuffix(".db") && !$0.hasPrefix("__db") })
        var dropped: UInt64 = 0
        // The file has to end within a buffer, and to grow by two at the right time: not each attempt does that.
        for _ in 0..<20 where dropped <= UInt64(CaptureProtocol.slotSize) {
            dropped = max(dropped, try capture(name, helper, of: writer))
        }
        #expect(dropped > UInt64(CaptureProtocol.slotSize), "the file never grew by more than a buffer")
        try helper.close()
        #expect(try writer.stop().status == .exited(0))
    }

    /// Grows the file while libdb holds the last, short buffer and waits for a slot.
    private func capture(_ name: String, _ helper: BerkeleyDBHelper, of writer: Writer) throws -> UInt64 {
        let path = Path.join(writer.home, name)
        let size = try #require(try FileStatus.of(path)).size
        let full = size / UInt64(CaptureProtocol.slotSize)
        var checkpoint: Program?
        let statistics = try helper.capture(name) { piece in
            guard case .bytes(let bytes, let offset) = piece else { return }
            for start in stride(from: 0, to: bytes.count, by: Self.pageSize) {
                let number = bytes.loadUnaligned(fromByteOffset: start + 8, as: UInt32.self)
                let isHole = bytes[start..<start + Self.pageSize].allSatisfy { $0 == 0 }
                #expect(isHole || UInt64(number) == (offset + UInt64(start)) / UInt64(Self.pageSize))
            }
            guard checkpoint == nil, (offset + UInt64(bytes.count)) / UInt64(CaptureProtocol.slotSize) >= full
            else { return }
            checkpoint = try Program.workload(["checkpoint", "--home", writer.home])
            usleep(200_000)
        }
        #expect(try checkpoint?.finish().status == .exited(0))
        print("\(size) bytes at first: \(statistics)")
        return statistics.droppedBytes
    }
}
