import VarveFormat

/// What a path lies on, for a record that is read when the machine may be another one.
package enum Device {
    /// `/dev/sdb1 ext4 uuid=…`; where no link tells the file system's UUID, `dev=8:17`. Nil where `/proc` does not say.
    package static func describe(_ path: String) -> String? {
        guard let (mount, device) = mount(of: path) else { return nil }
        let identity = uuid(of: mount.source).map { "uuid=\($0)" } ?? "dev=\(device)"
        return "\(mount.source) \(mount.type) \(identity)"
    }

    /// Where the file system is mounted that the path lies on. Nil where `/proc` does not say.
    package static func mountPoint(of path: String) -> String? { mount(of: path)?.0.point }

    private static func mount(of path: String) -> (Mount, device: String)? {
        guard let resolved = try? Path.resolve(path), let status = try? FileStatus.of(resolved),
            let file = try? File.open(reading: "/proc/self/mountinfo"),
            let bytes = try? file.readToEnd(limit: 16 << 20)
        else { return nil }
        let number = Mounting.numbers(status.device)
        let device = "\(number.major):\(number.minor)"
        let text = String(decoding: bytes, as: UTF8.self)
        return find(resolved, device: device, mountinfo: text).map { ($0, device) }
    }

    struct Mount {
        var point: String
        var source: String
        var type: String
    }

    /// Whether two descriptions are surely of different file systems: each has a UUID, and they differ. A device's number
    /// or name may be another one after the next start.
    package static func areDifferent(_ a: String?, _ b: String?) -> Bool {
        func identity(_ text: String?) -> Substring? {
            text?.split(separator: " ").last { $0.hasPrefix("uuid=") }
        }
        guard let a = identity(a), let b = identity(b) else { return false }
        return a != b
    }

    /// The mount that the path lies on: of those with the device's number, else of all (btrfs gives other numbers to
    /// subvolumes), the one with the longest mount point. Fields as in proc(5), `/proc/pid/mountinfo`.
    static func find(
        _ path: String, device: String, mountinfo: String
    ) -> Mount? {
        var found: (isSame: Bool, mount: Mount)?
        for line in mountinfo.split(separator: "\n") {
            let fields = line.split(separator: " ")
            guard fields.count > 6, let dash = fields[6...].firstIndex(of: "-"), fields.count > dash + 2
            else { continue }
            let point = unescaped(fields[4])
            guard point == "/" || path == point || path.hasPrefix(point + "/") else { continue }
            let isSame = fields[2] == device
            // Of two on one point the later one covers the other.
            if let found,
                (found.isSame && !isSame)
                    || found.isSame == isSame && found.mount.point.utf8.count > point.utf8.count
            {
                continue
            }
            let mount = Mount(point: point, source: String(fields[dash + 2]), type: String(fields[dash + 1]))
            found = (isSame, mount)
        }
        return found?.mount
    }

    /// Space, tab, newline and backslash stand there as three octal digits.
    private static func unescaped(_ text: Substring) -> String {
        guard text.contains("\\") else { return String(text) }
        var bytes: [UInt8] = []
        var rest = Array(text.utf8)[...]
        while let byte = rest.popFirst() {
            if byte == UInt8(ascii: "\\"), rest.count >= 3,
                let value = UInt8(String(decoding: rest.prefix(3), as: UTF8.self), radix: 8)
            {
                bytes.append(value)
                rest = rest.dropFirst(3)
            } else {
                bytes.append(byte)
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    private static func uuid(of source: String) -> String? {
        let directory = "/dev/disk/by-uuid"
        guard source.hasPrefix("/"), let device = try? Path.resolve(source),
            let names = try? Directory.list(directory)
        else { return nil }
        return names.first { (try? Path.resolve(Path.join(directory, $0))) == device }
    }
}
