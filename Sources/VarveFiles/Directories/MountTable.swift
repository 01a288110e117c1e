import Glibc
import VarveFormat

/// Where file systems are to be mounted: what `fstab(5)` says.
package struct MountTable: Sendable {
    /// Absolute paths, without those of swap and of the root.
    package let places: [String]

    private static let limit = 1 << 20

    /// What is no entry counts for nothing.
    package init(parsing text: String) {
        places = text.split(separator: "\n").compactMap { line in
            let fields = line.split(whereSeparator: { $0 == " " || $0 == "\t" })
            guard fields.count >= 3, !fields[0].hasPrefix("#") else { return nil }
            let place = Self.unescaped(fields[1])
            return place.hasPrefix("/") && place != "/" ? place : nil
        }
    }

    /// `/etc/fstab`; empty where there is none or it can't be read.
    package static func system() -> MountTable {
        let bytes = try? File.open(reading: "/etc/fstab").readToEnd(limit: limit)
        return MountTable(parsing: String(decoding: bytes ?? [], as: UTF8.self))
    }

    /// The innermost place that the path is at or beneath, if nothing is mounted there.
    ///
    /// - Parameter path: absolute, without symbolic links.
    package func unmounted(above path: String) throws(VarveError) -> String? {
        let above = places.filter { place in
            let resolved = (try? Path.resolve(place)) ?? place
            return path == resolved || path.hasPrefix(resolved + "/")
        }
        guard let place = above.max(by: { $0.utf8.count < $1.utf8.count }) else { return nil }
        let resolved = (try? Path.resolve(place)) ?? place
        guard try FileStatus.of(resolved) != nil else { return place }
        return try RootDirectory(Path.parent(resolved)).isMountPoint(Path.name(resolved)) ? nil : place
    }

    /// `\040` for a space, as every byte may be written.
    private static func unescaped(_ field: Substring) -> String {
        var bytes: [UInt8] = []
        var rest = Array(field.utf8)[...]
        while let byte = rest.popFirst() {
            let digits = rest.prefix(3)
            if byte == UInt8(ascii: "\\"), digits.count == 3,
                let value = UInt8(String(decoding: digits, as: UTF8.self), radix: 8)
            {
                bytes.append(value)
                rest = rest.dropFirst(3)
            } else {
                bytes.append(byte)
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}
