import Glibc
import ProcessSupport
import VarveFiles

/// What a disk was told, in order: `Tests/PowerCut/recording-file.py` writes it.
struct DiskLog {
    enum Entry {
        case write(offset: UInt64, bytes: Range<Int>)
        case flush
        case mark
    }

    let bytes: [UInt8]
    private(set) var entries: [Entry] = []
    /// Indices of the marks among the entries.
    private(set) var marks: [Int] = []
    private(set) var flushes = 0
    var writes: Int { entries.count - flushes - marks.count }

    init(_ path: String) throws {
        bytes = try File.open(reading: path).readToEnd(limit: 1 << 30)
        var position = 0
        while position < bytes.count {
            guard bytes.count - position >= 13 else { throw ProcessFailure("\(path) ends in a record") }
            let (kind, offset, length) = bytes.withUnsafeBytes { raw in
                (
                    raw[position], raw.loadUnaligned(fromByteOffset: position + 1, as: UInt64.self),
                    Int(raw.loadUnaligned(fromByteOffset: position + 9, as: UInt32.self))
                )
            }
            let data = position + 13..<position + 13 + length
            guard data.upperBound <= bytes.count else { throw ProcessFailure("\(path) ends in a record") }
            switch kind {
            case UInt8(ascii: "W"): entries.append(.write(offset: offset, bytes: data))
            case UInt8(ascii: "F"):
                flushes += 1
                entries.append(.flush)
            case UInt8(ascii: "M"):
                marks.append(entries.count)
                entries.append(.mark)
            default: throw ProcessFailure("\(path): no such record: \(kind)")
            }
            position = data.upperBound
        }
    }

    /// How many of the marks the disk had seen before the entry.
    func marks(before cut: Int) -> Int { marks.count { $0 < cut } }

    /// The end of what was surely on the medium before the entry: one after the last flush.
    func durable(before cut: Int) -> Int {
        (entries[..<cut].lastIndex { if case .flush = $0 { true } else { false } } ?? -1) + 1
    }
}

/// A file system on a loop device over a file that records. Everything is in memory.
final class RecordedDisk {
    enum Kind: String, CaseIterable, Sendable {
        case ext4, xfs

        /// mkfs.xfs makes none below 300 MiB.
        var size: String { self == .xfs ? "304M" : "128M" }

        /// What a disk writes whole or not at all. XFS relies on blocks: recovery does not write one again that bears the
        /// LSN of its last change already, and then finds its checksum wrong.
        var sector: Int { self == .xfs ? 4096 : 512 }

        var options: [String] {
            switch self {
            // Nothing is left for the kernel to do by and by, and no block is smaller than a page.
            case .ext4: ["-q", "-b", "4096", "-E", "nodiscard,lazy_itable_init=0,lazy_journal_init=0"]
            case .xfs: ["-q", "-K"]
            }
        }
    }

    let kind: Kind
    let memory: MemoryDisk
    /// Where it is mounted, and the images of it: paths that copies remember stay true.
    var root: String { memory.directory["mounted"] }
    private var fuse: String { memory.directory["fuse"] }
    private var server: RunningProcess?

    init(_ kind: Kind) throws {
        self.kind = kind
        memory = try MemoryDisk("size=3g")
        for path in [root, fuse] { try Directory.create(path) }
        try run("truncate", ["-s", kind.size, self["base"]]).require(0)
        try run("mkfs.\(kind)", kind.options + [self["base"]]).require(0)
    }

    deinit {
        for path in [root, fuse] { _ = try? run("umount", ["-l", path]) }
        _ = try? server?.wait(seconds: 20)
    }

    /// A file in memory: `base`, what the disk was before; `disk`, what it is; `log`.
    subscript(name: String) -> String { Path.join(memory.path, name) }

    func copy(_ from: String, _ to: String) throws {
        try run("cp", ["--sparse=always", self[from], self[to]]).require(0)
    }

    /// Mounts an image; the file system replays its journal. `nil` or why not.
    func mount(_ image: String) throws -> String? {
        let mounted = try run("mount", ["-t", kind.rawValue, "-o", "loop,noatime", image, root])
        return mounted.code == 0 ? nil : "\(mounted)"
    }

    /// Returns when the loop device is gone as well. In a mount namespace that somebody has made meanwhile (a drill, a
    /// service) the file system stays mounted, and the next `mount` would find it again as it was.
    func unmount() throws {
        try run("umount", [root]).require(0)
        try waitUntil("no loop device is on \(memory.directory.path)", seconds: 120) {
            try Directory.list("/sys/block").allSatisfy {
                let backing = try? Text.read("/sys/block/\($0)/loop/backing_file")
                return backing?.hasPrefix(memory.directory.path + "/") != true
            }
        }
    }

    /// From here on the disk is a copy of `base`, and what is written to it is recorded.
    func startRecording() throws {
        try copy("base", "disk")
        let script = Path.join(Path.parent(Path.parent(#filePath)), "PowerCut/recording-file.py")
        let server = try RunningProcess("/usr/bin/python3", [script, self["disk"], self["log"], fuse])
        self.server = server
        try waitUntil("the FUSE file") {
            guard server.isRunning else { throw ProcessFailure("\(try server.wait(seconds: 1))") }
            return access(Path.join(fuse, "image"), F_OK) == 0
        }
        if let failure = try mount(Path.join(fuse, "image")) { throw ProcessFailure(failure) }
    }

    /// Something was acknowledged just now.
    func mark() throws { try Text.write("acknowledged", to: Path.join(fuse, "mark")) }

    func stopRecording() throws -> DiskLog {
        try unmount()
        try run("umount", [fuse]).require(0)
        try server?.wait(seconds: 20).require(0)
        server = nil
        return try DiskLog(self["log"])
    }
}

/// What a power cut may leave of a recorded disk: all that was written before the last flush, and of the writes since
/// a part, some of them torn. A write that was under way when a flush came counts as flushed by it.
final class CrashImages {
    private enum Fate { case whole, torn, gone }

    private let disk: RecordedDisk
    private let log: DiskLog
    private var random: SeededGenerator
    private var applied = 0

    init(_ disk: RecordedDisk, _ log: DiskLog, _ random: SeededGenerator) throws {
        (self.disk, self.log, self.random) = (disk, log, random)
        try disk.copy("base", "durable")
    }

    /// Makes `image` as of the moment before an entry, and returns what was done.
    ///
    /// - Precondition: the entries come in ascending order.
    func make(before cut: Int) throws -> String {
        let durable = log.durable(before: cut)
        precondition(durable >= applied)
        try apply(applied..<durable, to: "durable") { .whole }
        applied = durable
        try disk.copy("durable", "image")
        let share = [0, 25, 50, 75, 100].randomElement(using: &random) ?? 50
        let isTorn = Bool.random(using: &random)
        try apply(durable..<cut, to: "image") {
            guard .random(in: 0..<100, using: &random) < share else { return .gone }
            return isTorn && .random(in: 0..<4, using: &random) == 0 ? .torn : .whole
        }
        return "before entry \(cut), \(share) % of \(cut - durable) since the flush\(isTorn ? ", torn" : "")"
    }

    /// The whole recording; then it must be the disk.
    func requireWhole() throws {
        try disk.copy("base", "image")
        try apply(0..<log.entries.count, to: "image") { .whole }
        try run("cmp", [disk["image"], disk["disk"]]).require(0)
    }

    private func apply(_ entries: Range<Int>, to name: String, _ fate: () -> Fate) throws {
        let file = try File.open(updating: disk[name])
        for entry in log.entries[entries] {
            guard case .write(let offset, let bytes) = entry else { continue }
            switch fate() {
            case .gone: continue
            case .whole: try write(bytes, file, at: offset)
            case .torn:
                var start = bytes.lowerBound
                while start < bytes.upperBound {
                    let place = offset + UInt64(start - bytes.lowerBound)
                    let end = min(bytes.upperBound, start + disk.kind.sector - Int(place) % disk.kind.sector)
                    if .random(using: &random) { try write(start..<end, file, at: place) }
                    start = end
                }
            }
        }
        try file.close()
    }

    private func write(_ range: Range<Int>, _ file: borrowing File, at offset: UInt64) throws {
        try log.bytes.withUnsafeBytes { try file.write(.init(rebasing: $0[range]), at: offset) }
    }
}
