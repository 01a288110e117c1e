import Glibc
import Synchronization
import Testing
import VarveFiles

/// What a test needs and a machine may lack. A test that is run without it would return early and count as passed: by these
/// traits the report says that it was skipped, and why.
extension Trait where Self == ConditionTrait {
    /// - Parameter what: what root is needed for, "to mount".
    package static func needsRoot(
        _ what: String, sourceLocation: SourceLocation = #_sourceLocation
    ) -> Self {
        .enabled(if: Host.isRoot, "it takes root \(what)", sourceLocation: sourceLocation)
    }

    package static func needs(
        _ programs: String..., sourceLocation: SourceLocation = #_sourceLocation
    ) -> Self {
        .enabled(
            if: programs.allSatisfy { Executable.inPath($0) != nil },
            "it takes \(programs.joined(separator: ", "))", sourceLocation: sourceLocation)
    }

    package static func needsMounting(sourceLocation: SourceLocation = #_sourceLocation) -> Self {
        .enabled(
            if: try Machine.canMount(), "it takes root, where file systems may be mounted",
            sourceLocation: sourceLocation)
    }

    /// A file system of this type on a loop device.
    package static func needsDisk(
        _ type: String, sourceLocation: SourceLocation = #_sourceLocation
    ) -> Self {
        .enabled(
            if: try Machine.hasDisk(type), "it takes \(type) on a loop device",
            sourceLocation: sourceLocation)
    }

    package static func needsFuse(sourceLocation: SourceLocation = #_sourceLocation) -> Self {
        .enabled(
            if: try Machine.hasFuse(), "it takes root, /dev/fuse and python3-fuse",
            sourceLocation: sourceLocation)
    }

    /// Root, and another user that can run the programs under test.
    package static func needsNobody(sourceLocation: SourceLocation = #_sourceLocation) -> Self {
        .enabled(
            if: try Machine.canBecomeNobody(),
            "it takes root, setpriv, and a place of the executables that everybody may read",
            sourceLocation: sourceLocation)
    }

    /// Temporary files are on another file system than this one.
    package static func needsTemporaryFiles(
        notOn type: FileSystemType, _ why: String, sourceLocation: SourceLocation = #_sourceLocation
    ) -> Self {
        .enabled(
            if: try Machine.temporaryFiles() != type, "\(why)",
            sourceLocation: sourceLocation)
    }
}

/// What this machine lets a test do: each is tried once.
package enum Machine {
    private static let known = Mutex<[String: Bool]>([:])

    private static func once(_ what: String, _ find: () throws -> Bool) rethrows -> Bool {
        if let known = known.withLock({ $0[what] }) { return known }
        let found = try find()
        known.withLock { $0[what] = found }
        return found
    }

    /// What temporary files lie on.
    package static func temporaryFiles() throws -> FileSystemType {
        let directory = try TemporaryDirectory()
        defer { withExtendedLifetime(directory) {} }
        return try FileSystemType.of(directory.path)
    }

    package static func canMount() throws -> Bool {
        try once("mount") {
            guard Host.isRoot else { return false }
            let directory = try TemporaryDirectory()
            defer { withExtendedLifetime(directory) {} }
            let mounted = try run("mount", ["-t", "tmpfs", "-o", "size=1m", "varve-test", directory.path])
            return try mounted.code == 0 && run("umount", [directory.path]).code == 0
        }
    }

    /// Makes one and mounts it.
    package static func hasDisk(_ type: String) throws -> Bool {
        try once(type) {
            // Not in the kernel: its server takes a device.
            let isServed = type == "exfat"
            let programs = ["mkfs.\(type)", "losetup"] + (isServed ? ["mount.exfat-fuse"] : [])
            guard try canMount(), programs.allSatisfy({ Executable.inPath($0) != nil }) else { return false }
            let directory = try TemporaryDirectory()
            defer { withExtendedLifetime(directory) {} }
            let image = directory["image"]
            try Directory.create(directory["mounted"])
            try run("truncate", ["-s", "320M", image]).require(0)
            try run("mkfs.\(type)", (isServed ? [] : ["-q"]) + [image]).require(0)
            let device = try run("losetup", ["-f", "--show", image])
            guard device.code == 0 else { return false }
            let path = String(device.output.prefix { $0 != "\n" })
            defer { _ = try? run("losetup", ["-d", path]) }
            let mounted =
                isServed
                ? try run("mount.exfat-fuse", [path, directory["mounted"]])
                : try run("mount", ["-t", type, path, directory["mounted"]])
            return try mounted.code == 0 && run("umount", [directory["mounted"]]).code == 0
        }
    }

    package static func hasFuse() throws -> Bool {
        try once("fuse") {
            try canMount() && access("/dev/fuse", R_OK) == 0
                && run("/usr/bin/env", ["/usr/bin/python3", "-c", "import fuse"]).code == 0
        }
    }

    package static func canBecomeNobody() throws -> Bool {
        try once("nobody") {
            guard Host.isRoot, Executable.inPath("setpriv") != nil else { return false }
            let nobody = ["--reuid=65534", "--regid=65534", "--clear-groups"]
            return try run("setpriv", nobody + [Executable.varve, "--version"]).code == 0
        }
    }
}
