import Testing
import VarveFiles
import VarveFormat
import VarveHelperProtocol
import VarveTestSupport

@testable import VarveCapture

/// The frames and the journal are bytes from another process or from a crash: total, bounded, exact.
struct HelperProtocolTests {
    static let environment = CaptureEnvironment(home: "/h", dataDirectories: ["a", "ü"], logDirectory: "/l")

    static let commands: [CaptureCommand] = [
        .join(environment), .join(CaptureEnvironment(home: "")), .preflight, .begin,
        .capture(file: "sub/x.db", resume: true), .slotFree(7), .cancel, .end, .clear(file: "a"), .repair,
        .holder(file: "a", fileID: [UInt8](0..<20)),
        .logStatus, .recover(environment), .verify(environment, files: ["a", "b"]), .quit,
    ]

    static var repair: CaptureRepair {
        var repair = CaptureRepair()
        repair.journal = true
        repair.freedMutexes = 2
        repair.freedLocks = 4
        repair.remainingLocks = 5
        repair.clearedFile = "x"
        repair.loweredCounter = true
        repair.remainingHotBackups = 3
        return repair
    }

    static let events: [CaptureEvent] = [
        .ready(version: 1, library: "5.3"), .joined,
        .preflight(
            CapturePreflight(
                library: "5.3", logDirectory: "/l", logFileSize: 10, endOfLog: LSN(file: 1, offset: 2),
                diskLSN: LSN(file: 1, offset: 1), dataDirectories: ["d"], autoRemove: true, encrypted: false,
                registered: true, hotBackups: 2, hotBackupInProgress: true)),
        .begun(nil), .begun(CaptureCheckpoint(lsn: .zero, checkpointLSN: LSN(file: 3, offset: 4), envid: 9)),
        .fileOpened("x"), .filled(slot: 1, count: 2, offset: 1 << 40), .fileClosed("x"),
        .captured(.complete(droppedBytes: 5)), .captured(.interrupted(file: "q", offset: 6)),
        .captured(.cancelled), .ended, .cleared, .repaired(repair),
        .logStatus(CaptureLogStatus(endOfLog: .zero, diskLSN: .zero, lastCheckpoint: nil)), .progress(100),
        .recovered,
        .verified(CaptureVerification(file: "x", code: -30970, orderChecked: false, messages: ["bad"])),
        .verificationDone, .message("m"),
        .failed(CaptureFailure(code: "c", message: "m", hint: "h", libraryCode: 22)), .alive,
        .holder(nil), .holder(CaptureLockHolder(isHandle: true, isTransaction: false, process: 7)),
        .holder(CaptureLockHolder(isHandle: false, isTransaction: true, process: nil)),
    ]

    private func body(_ frame: [UInt8]) throws -> [UInt8] {
        var buffer = CaptureFrameBuffer()
        // In two pieces, as a pipe may deliver it.
        Array(frame[..<3]).withUnsafeBytes { buffer.append($0) }
        #expect(try buffer.next() == nil)
        Array(frame[3...]).withUnsafeBytes { buffer.append($0) }
        let body = try #require(try buffer.next())
        #expect(try buffer.next() == nil)
        return body
    }

    @Test(arguments: commands) func aCommandSurvives(_ command: CaptureCommand) throws {
        let body = try body(command.encoded)
        #expect(try body.withUnsafeBytes { try CaptureCommand($0) } == command)
        for count in 0..<body.count {
            expect(.corrupt) {
                try Array(body[..<count]).withUnsafeBytes { try CaptureCommand($0) }
            }
        }
        expect(.corrupt) {
            try (body + [0]).withUnsafeBytes { try CaptureCommand($0) }
        }
    }

    @Test(arguments: events) func anEventSurvives(_ event: CaptureEvent) throws {
        let body = try body(event.encoded)
        #expect(try body.withUnsafeBytes { try CaptureEvent($0) } == event)
        for count in 0..<body.count {
            expect(.corrupt) {
                try Array(body[..<count]).withUnsafeBytes { try CaptureEvent($0) }
            }
        }
    }

    @Test func randomBytesNeverTrap() {
        let seed = UInt64.random(in: 0 ... .max)
        var state = seed
        func next() -> UInt8 {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return UInt8(truncatingIfNeeded: state >> 33)
        }
        let bodies = Self.commands.map(\.encoded) + Self.events.map(\.encoded)
        for round in 0..<60_000 {
            var bytes = bodies[round % bodies.count]
            bytes.removeFirst(4)
            for _ in 0..<Int(next() % 4) + 1 { bytes[Int(next()) % bytes.count] = next() }
            bytes.withUnsafeBytes {
                _ = try? CaptureCommand($0)
                _ = try? CaptureEvent($0)
            }
            var buffer = CaptureFrameBuffer()
            bytes.withUnsafeBytes { buffer.append($0) }
            while let _ = (try? buffer.next()) ?? nil {}
        }
        print("seed \(seed)")
    }

    @Test func theJournalSurvivesAndIsExact() throws {
        let region = CaptureJournal.Region(device: 1, inode: 2, envid: 3, created: -4)
        var journal = CaptureJournal(process: 12, processStart: 34, thread: nil, region: region)
        let counters: [CaptureJournal.Counter] = [
            .untouched, .raising(from: nil), .raising(from: 0), .raised, .lowering(from: 3),
        ]
        for counter in counters {
            for file in [nil, "a b\nend", "ü"] {
                journal.counter = counter
                journal.file = file
                journal.restoreAutoRemove.toggle()
                journal.thread = journal.restoreAutoRemove ? 1 << 47 : nil
                let bytes = journal.encoded
                #expect(try bytes.withUnsafeBytes { try CaptureJournal($0) } == journal)
                for count in 0..<bytes.count {
                    expect(.corrupt) {
                        try Array(bytes[..<count]).withUnsafeBytes { try CaptureJournal($0) }
                    }
                }
            }
        }
    }
}
