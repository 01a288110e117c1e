import VarveFormat

/// What a helper has changed in a live environment: written before each change, so that whoever comes after a
/// crash can undo it. Text, one `key value` a line, so that an operator can read it.
package struct CaptureJournal: Hashable, Sendable {
    /// Which regions were changed. The inode alone may be reused when the environment is created anew; `envid`
    /// and the creation time are drawn anew with the region (env_region.c:441).
    package struct Region: Hashable, Sendable {
        package var device: UInt64
        package var inode: UInt64
        package var envid: UInt32
        package var created: Int64

        package init(device: UInt64, inode: UInt64, envid: UInt32, created: Int64) {
            self.device = device
            self.inode = inode
            self.envid = envid
            self.created = created
        }
    }

    package enum Counter: Hashable, Sendable {
        case untouched
        /// About to be raised from this value, nil where only "not zero" could be read.
        case raising(from: UInt32?)
        case raised
        case lowering(from: UInt32?)
    }

    /// The helper's process and its start time in clock ticks since boot (`/proc/PID/stat` field 22).
    package var process: Int32
    package var processStart: UInt64
    /// Its only thread's `pthread_self`, as libdb has it beside the process in what the thread holds. Nil from before
    /// it was noted.
    package var thread: UInt64?
    package var region: Region
    package var counter: Counter
    /// Automatic log removal was on and has to be switched on again.
    package var restoreAutoRemove: Bool
    /// The database that is being copied, or was copied last.
    package var file: String?

    package static let sizeLimit = 16 << 10

    package init(process: Int32, processStart: UInt64, thread: UInt64?, region: Region) {
        self.process = process
        self.processStart = processStart
        self.thread = thread
        self.region = region
        self.counter = .untouched
        self.restoreAutoRemove = false
        self.file = nil
    }

    package var encoded: [UInt8] {
        var text = "varve-journal 1\nprocess \(process) \(processStart)"
        if let thread { text += " \(thread)" }
        text += "\nregion \(region.device) \(region.inode) \(region.envid) \(region.created)\n"
        func value(_ from: UInt32?) -> String { from.map(String.init) ?? "unknown" }
        switch counter {
        case .untouched: text += "counter untouched\n"
        case .raising(let from): text += "counter raising \(value(from))\n"
        case .raised: text += "counter raised\n"
        case .lowering(let from): text += "counter lowering \(value(from))\n"
        }
        text += "auto-remove \(restoreAutoRemove ? "restore" : "untouched")\n"
        if let file { text += "file \(Hex.encode(Array(file.utf8)))\n" }
        return Array((text + "end\n").utf8)
    }

    package init(_ bytes: UnsafeRawBufferPointer) throws(VarveError) {
        func damaged(_ what: String) -> VarveError {
            VarveError(
                .corrupt, "the journal of a capture \(what)",
                hint:
                    "if no backup of this environment is running, restart its application with recovery and "
                    + "remove the file .varve/journal in its home")
        }
        guard bytes.count <= Self.sizeLimit, let text = String(validating: bytes, as: UTF8.self),
            text.hasSuffix("\nend\n")
        else { throw damaged("is cut off") }
        var lines = text.split(separator: "\n").map { $0.split(separator: " ").map(String.init) }
            .makeIterator()
        guard lines.next() == ["varve-journal", "1"] else { throw damaged("is of another version") }
        guard let first = lines.next(), [3, 4].contains(first.count), first[0] == "process",
            let process = Int32(first[1]), process > 0, let start = UInt64(first[2]),
            first.count == 3 || UInt64(first[3]) != nil,
            let second = lines.next(), second.count == 5, second[0] == "region",
            let device = UInt64(second[1]), let inode = UInt64(second[2]), let envid = UInt32(second[3]),
            let created = Int64(second[4])
        else { throw damaged("has no process or region") }
        let region = Region(device: device, inode: inode, envid: envid, created: created)
        let thread = first.count == 4 ? UInt64(first[3]) : nil
        self.init(process: process, processStart: start, thread: thread, region: region)
        guard let third = lines.next(), let counter = Self.counter(third) else {
            throw damaged("has no counter")
        }
        self.counter = counter
        switch lines.next() {
        case ["auto-remove", "restore"]: restoreAutoRemove = true
        case ["auto-remove", "untouched"]: restoreAutoRemove = false
        default: throw damaged("has no line on automatic log removal")
        }
        var last = lines.next()
        if let line = last, line.count == 2, line[0] == "file" {
            guard let name = Hex.decode(line[1]), !name.contains(0),
                let file = String(validating: name, as: UTF8.self)
            else { throw damaged("has a broken file name") }
            self.file = file
            last = lines.next()
        }
        guard last == ["end"], lines.next() == nil else { throw damaged("has lines that are not known") }
    }

    private static func counter(_ line: [String]) -> Counter? {
        guard line.count >= 2, line[0] == "counter" else { return nil }
        switch (line[1], line.count) {
        case ("untouched", 2): return .untouched
        case ("raised", 2): return .raised
        case ("raising", 3), ("lowering", 3):
            guard line[2] == "unknown" || UInt32(line[2]) != nil else { return nil }
            let from = UInt32(line[2])
            return line[1] == "raising" ? .raising(from: from) : .lowering(from: from)
        default: return nil
        }
    }
}
