import CBerkeleyDB
import VarveFiles
import VarveFormat
import VarveHelperProtocol

extension LiveEnvironment {
    /// Raises the hot-backup counter (until then bulk loads skip the log, env_method.c:1035), stops automatic
    /// log removal, and only then reads the checkpoint that the backup's recovery starts from.
    func begin() throws(VarveError) -> CaptureCheckpoint? {
        if !journal.isWritten, try journal.earlier() != nil {
            throw VarveError(
                .invalid, "an earlier capture of \(home) left its journal", hint: "undo it: varve unwedge")
        }
        if case .untouched = journaled.counter {
            let before = hotBackups()
            try journal.announce { $0.counter = .raising(from: before) }
            try Library.check(
                varve_env_set_flags(handle, UInt32(DB_HOTBACKUP_IN_PROGRESS), 1),
                "raise the hot-backup counter", home)
            do {
                try journal.announce { $0.counter = .raised }
            } catch {
                // The journal would not tell `end` that it is up.
                try lowerCounter()
                throw error
            }
        }
        if try autoRemove() {
            try journal.announce { $0.restoreAutoRemove = true }
            try setAutoRemove(false)
        }
        return try checkpoint()
    }

    /// Undoes `begin`; more than once is harmless. A journal that is not ours stays: its helper's changes are
    /// still to be undone.
    func end() throws(VarveError) {
        guard journal.isWritten else { return }
        if journaled.restoreAutoRemove {
            try setAutoRemove(true)
            try journal.announce { $0.restoreAutoRemove = false }
        }
        if case .raised = journaled.counter {
            let before = hotBackups()
            try journal.announce { $0.counter = .lowering(from: before) }
            try lowerCounter()
        }
        try journal.reset()
    }

    /// Undoes what the journal of a dead helper says. The caller holds the environment's lock, which the helper
    /// held too, so nobody of ours is at work here.
    func repair() throws(VarveError) -> CaptureRepair {
        var repair = CaptureRepair()
        guard let earlier = try journal.earlier() else {
            repair.remainingHotBackups = hotBackups()
            return repair
        }
        repair.journal = true
        guard earlier.region == journaled.region else {
            // The regions were made anew since, and with them counter, settings and page writers.
            repair.regionsReplaced = true
            try journal.remove()
            repair.remainingHotBackups = hotBackups()
            return repair
        }
        // Its number may be somebody else's by now, who may hold a mutex as well.
        if ProcessTable.startTime(of: earlier.process) == nil {
            repair.freedMutexes = Regions.freeMutexes(root, of: earlier.process)
            // `clear` opens the file and would wait for them.
            if let thread = earlier.thread { try freeLocks(of: earlier.process, thread, &repair) }
            // This process may be killed in the same place.
            try journal.takeOver(earlier)
        }
        if let file = earlier.file {
            try clear(file)
            repair.clearedFile = file
        }
        if earlier.restoreAutoRemove {
            try setAutoRemove(true)
            repair.restoredAutoRemove = true
        }
        let now = hotBackups()
        let isRaised: Bool? =
            switch (earlier.counter, now) {
            case (.untouched, _), (_, 0): false
            case (.raised, _): true
            // The window between the journal and the change: only the value itself can tell.
            case (.raising(let from?), let now?): now > from
            case (.lowering(let from?), let now?): now >= from
            // Zero before and not zero now: libdb's own flag is enough.
            case (.raising(from: 0), nil): true
            default: nil
            }
        if isRaised == true {
            try journal.adopt(earlier)
            try journal.announce { $0.counter = .lowering(from: now) }
            try lowerCounter()
            repair.loweredCounter = true
        }
        repair.counterUncertain = isRaised == nil
        try journal.reset()
        repair.remainingHotBackups = hotBackups()
        return repair
    }

    private func lowerCounter() throws(VarveError) {
        try Library.check(
            varve_env_set_flags(handle, UInt32(DB_HOTBACKUP_IN_PROGRESS), 0), "lower the hot-backup counter",
            home)
    }

    private func setAutoRemove(_ on: Bool) throws(VarveError) {
        try Library.check(
            varve_env_log_set_config(handle, UInt32(DB_LOG_AUTO_REMOVE), on ? 1 : 0),
            "switch automatic log removal \(on ? "on" : "off")", home)
    }
}
