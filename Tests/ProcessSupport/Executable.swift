import Glibc
import VarveFiles

/// The programs under test, as they were built: in `VARVE_BIN_DIR`, else in the package's release directory.
package enum Executable {
    package static let directory: String = {
        if let set = variables["VARVE_BIN_DIR"], !set.isEmpty { return set }
        let package = Path.parent(Path.parent(Path.parent(#filePath)))
        return Path.join(package, ".build/release")
    }()

    package static let varve = Path.join(directory, "varve")
    package static let helper = Path.join(directory, "varve-capture-bdb")
    package static let workload = Path.join(directory, "bdb-workload")

    /// This process's environment.
    package static let variables: [String: String] = {
        var result: [String: String] = [:]
        var next = environ
        while let entry = next.pointee {
            let text = String(cString: entry)
            if let sign = text.firstIndex(of: "=") {
                result[String(text[..<sign])] = String(text[text.index(after: sign)...])
            }
            next += 1
        }
        return result
    }()

    /// Where `PATH`, and the directories of the system's tools, have it.
    package static func inPath(_ name: String) -> String? {
        let directories = (variables["PATH"] ?? "").split(separator: ":").map(String.init)
        return (directories + ["/usr/sbin", "/sbin"]).map { Path.join($0, name) }
            .first { access($0, X_OK) == 0 }
    }

    /// The long tests are wanted: `make soak`.
    package static var isSoak: Bool { variables["VARVE_SOAK"] == "1" }
}
