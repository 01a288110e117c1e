import VarveFormat

extension CaptureEvent {
    /// The whole frame.
    package var encoded: [UInt8] {
        var body = ByteWriter()
        switch self {
        case .ready(let version, let library):
            body.integer(UInt8(1))
            body.integer(version)
            body.text(library)
        case .joined: body.integer(UInt8(2))
        case .preflight(let value):
            body.integer(UInt8(3))
            body.preflight(value)
        case .begun(let checkpoint):
            body.integer(UInt8(4))
            body.optional(checkpoint) {
                $0.lsn($1.lsn)
                $0.lsn($1.checkpointLSN)
                $0.integer($1.envid)
            }
        case .fileOpened(let name):
            body.integer(UInt8(5))
            body.text(name)
        case .filled(let slot, let count, let offset):
            body.integer(UInt8(6))
            body.integer(slot)
            body.integer(count)
            body.integer(offset)
        case .fileClosed(let name):
            body.integer(UInt8(7))
            body.text(name)
        case .captured(let outcome):
            body.integer(UInt8(8))
            body.outcome(outcome)
        case .ended: body.integer(UInt8(9))
        case .cleared: body.integer(UInt8(10))
        case .repaired(let repair):
            body.integer(UInt8(11))
            body.repair(repair)
        case .logStatus(let status):
            body.integer(UInt8(12))
            body.lsn(status.endOfLog)
            body.lsn(status.diskLSN)
            body.optional(status.lastCheckpoint) { $0.lsn($1) }
        case .progress(let percent):
            body.integer(UInt8(13))
            body.integer(percent)
        case .recovered: body.integer(UInt8(14))
        case .verified(let value):
            body.integer(UInt8(15))
            body.text(value.file)
            body.integer(value.code)
            body.flag(value.orderChecked)
            body.texts(value.messages)
        case .verificationDone: body.integer(UInt8(16))
        case .message(let text):
            body.integer(UInt8(17))
            body.text(text)
        case .failed(let failure):
            body.integer(UInt8(18))
            body.text(failure.code)
            body.text(failure.message)
            body.optional(failure.hint) { $0.text($1) }
            body.integer(failure.libraryCode)
        case .alive: body.integer(UInt8(19))
        case .confined: body.integer(UInt8(20))
        case .holder(let holder):
            body.integer(UInt8(21))
            body.optional(holder) { body, holder in
                body.flag(holder.isHandle)
                body.flag(holder.isTransaction)
                body.optional(holder.process) { $0.integer($1) }
            }
        case .cachedFiles(let names):
            body.integer(UInt8(30))
            body.texts(names)
        case .synced: body.integer(UInt8(31))
        }
        return CaptureProtocol.frame(body)
    }

    /// From a frame's body.
    package init(_ body: UnsafeRawBufferPointer) throws(VarveError) {
        var reader = ByteReader(body, what: "capture event")
        let kind: UInt8 = try reader.integer()
        switch kind {
        case 1: self = .ready(version: try reader.integer(), library: try reader.text())
        case 2: self = .joined
        case 3: self = .preflight(try reader.preflight())
        case 4:
            self = .begun(
                try reader.optional { (reader) throws(VarveError) in
                    CaptureCheckpoint(
                        lsn: try reader.lsn(), checkpointLSN: try reader.lsn(), envid: try reader.integer())
                })
        case 5: self = .fileOpened(try reader.text())
        case 6:
            self = .filled(
                slot: try reader.integer(), count: try reader.integer(), offset: try reader.integer())
        case 7: self = .fileClosed(try reader.text())
        case 8: self = .captured(try reader.outcome())
        case 9: self = .ended
        case 10: self = .cleared
        case 11: self = .repaired(try reader.repair())
        case 12:
            self = .logStatus(
                CaptureLogStatus(
                    endOfLog: try reader.lsn(), diskLSN: try reader.lsn(),
                    lastCheckpoint: try reader.optional { (reader) throws(VarveError) in try reader.lsn() }))
        case 13: self = .progress(try reader.integer())
        case 14: self = .recovered
        case 15:
            self = .verified(
                CaptureVerification(
                    file: try reader.text(), code: try reader.integer(), orderChecked: try reader.flag(),
                    messages: try reader.texts()))
        case 16: self = .verificationDone
        case 17: self = .message(try reader.text())
        case 18:
            self = .failed(
                CaptureFailure(
                    code: try reader.text(), message: try reader.text(),
                    hint: try reader.optional { (reader) throws(VarveError) in try reader.text() },
                    libraryCode: try reader.integer()))
        case 19: self = .alive
        case 20: self = .confined
        case 21:
            self = .holder(
                try reader.optional { (reader) throws(VarveError) in
                    CaptureLockHolder(
                        isHandle: try reader.flag(), isTransaction: try reader.flag(),
                        process: try reader.optional { (reader) throws(VarveError) in try reader.integer() })
                })
        case 30: self = .cachedFiles(try reader.texts())
        case 31: self = .synced
        default: throw VarveError(.corrupt, "capture event of unknown kind \(kind)")
        }
        try reader.expectEnd()
    }
}

extension ByteWriter {
    mutating func preflight(_ value: CapturePreflight) {
        text(value.library)
        text(value.logDirectory)
        integer(value.logFileSize)
        lsn(value.endOfLog)
        lsn(value.diskLSN)
        texts(value.dataDirectories)
        flag(value.autoRemove)
        flag(value.encrypted)
        flag(value.registered)
        optional(value.hotBackups) { $0.integer($1) }
        flag(value.hotBackupInProgress)
    }

    mutating func outcome(_ outcome: CaptureOutcome) {
        switch outcome {
        case .complete(let dropped):
            integer(UInt8(0))
            integer(dropped)
        case .interrupted(let file, let offset):
            integer(UInt8(1))
            text(file)
            integer(offset)
        case .cancelled: integer(UInt8(2))
        }
    }

    mutating func repair(_ repair: CaptureRepair) {
        flag(repair.journal)
        flag(repair.regionsReplaced)
        integer(repair.freedMutexes)
        integer(repair.freedLocks)
        integer(repair.remainingLocks)
        optional(repair.clearedFile) { $0.text($1) }
        flag(repair.loweredCounter)
        flag(repair.restoredAutoRemove)
        flag(repair.counterUncertain)
        optional(repair.remainingHotBackups) { $0.integer($1) }
    }
}

extension ByteReader {
    mutating func preflight() throws(VarveError) -> CapturePreflight {
        CapturePreflight(
            library: try text(), logDirectory: try text(), logFileSize: try integer(), endOfLog: try lsn(),
            diskLSN: try lsn(), dataDirectories: try texts(), autoRemove: try flag(), encrypted: try flag(),
            registered: try flag(),
            hotBackups: try optional { (reader) throws(VarveError) in try reader.integer() },
            hotBackupInProgress: try flag())
    }

    mutating func outcome() throws(VarveError) -> CaptureOutcome {
        switch try integer(UInt8.self) {
        case 0: return .complete(droppedBytes: try integer())
        case 1: return .interrupted(file: try text(), offset: try integer())
        case 2: return .cancelled
        case let kind: throw VarveError(.corrupt, "capture outcome of unknown kind \(kind)")
        }
    }

    mutating func repair() throws(VarveError) -> CaptureRepair {
        var repair = CaptureRepair()
        repair.journal = try flag()
        repair.regionsReplaced = try flag()
        repair.freedMutexes = try integer()
        repair.freedLocks = try integer()
        repair.remainingLocks = try integer()
        repair.clearedFile = try optional { (reader) throws(VarveError) in try reader.text() }
        repair.loweredCounter = try flag()
        repair.restoredAutoRemove = try flag()
        repair.counterUncertain = try flag()
        repair.remainingHotBackups = try optional { (reader) throws(VarveError) in try reader.integer() }
        return repair
    }
}
