import CLinux
import Glibc

/// What this process was started with, without asking `/proc`, which a chroot or a rescue shell may lack: there Swift's
/// own `CommandLine` is empty.
package enum ProcessArguments {
    /// The name of the program first.
    package static let all: [String] = {
        var count = 0
        guard let first = varve_arguments(&count) else { return [] }
        return (0..<count).compactMap { first[$0].map { String(cString: $0) } }
    }()

    /// Of the program, without symbolic links.
    package static var executable: String? {
        if let path = try? Path.resolve("/proc/self/exe") { return path }
        guard let path = varve_executable() else { return nil }
        return try? Path.resolve(String(cString: path))
    }
}
