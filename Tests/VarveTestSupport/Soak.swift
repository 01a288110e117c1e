import Glibc

/// `make soak` wants the long variants of tests.
package enum Soak {
    package static var isWanted: Bool { getenv("VARVE_SOAK").map { String(cString: $0) } == "1" }
}
