// swift-tools-version: 6.2
import PackageDescription

/// Warnings are errors in continuous integration (`VARVE_STRICT=1`), not on a user's newer toolchain.
let strict = Context.environment["VARVE_STRICT"] == "1"
let swiftSettings: [SwiftSetting] = strict ? [.treatAllWarnings(as: .error)] : []
let cSettings: [CSetting] = strict ? [.treatAllWarnings(as: .error)] : []

let package = Package(
    name: "varve",
    products: [
        .library(name: "Varve", targets: ["Varve"]),
        .executable(name: "varve", targets: ["varve-command"]),
        .executable(name: "varve-capture-bdb", targets: ["varve-capture-bdb"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.0"),
        .package(url: "https://github.com/apple/swift-system", from: "1.8.0"),
    ],
    targets: [
        // C libraries, each with one door.
        .systemLibrary(name: "CBlake2", pkgConfig: "libb2", providers: [.apt(["libb2-dev"])]),
        .systemLibrary(name: "CZstd", pkgConfig: "libzstd", providers: [.apt(["libzstd-dev"])]),
        .systemLibrary(name: "CIsal", pkgConfig: "libisal", providers: [.apt(["libisal-dev"])]),
        .systemLibrary(name: "CBerkeleyDB", providers: [.apt(["libdb5.3-dev"])]),
        .systemLibrary(name: "CLinux"),
        .target(name: "CBlake2Lanes", cSettings: cSettings),

        // The house, from the ground up: every arrow points down.
        .target(name: "VarveFormat", swiftSettings: swiftSettings),
        .target(name: "VarveHelperProtocol", dependencies: ["VarveFormat"], swiftSettings: swiftSettings),
        .target(
            name: "VarveFiles",
            dependencies: [
                "VarveFormat", "CLinux", .product(name: "SystemPackage", package: "swift-system"),
            ],
            swiftSettings: swiftSettings),
        .target(
            name: "VarveCodec", dependencies: ["VarveFormat", "CBlake2", "CBlake2Lanes", "CIsal", "CZstd"],
            swiftSettings: swiftSettings),
        .target(name: "VarveChunking", dependencies: ["VarveFormat"], swiftSettings: swiftSettings),
        .target(
            name: "VarveStorage", dependencies: ["VarveFiles", "VarveFormat"], swiftSettings: swiftSettings),
        .target(
            name: "VarveDatabase", dependencies: ["VarveFormat"], swiftSettings: swiftSettings),
        .target(
            name: "VarveBlobs",
            dependencies: ["VarveChunking", "VarveStorage", "VarveCodec", "VarveFiles", "VarveFormat"],
            swiftSettings: swiftSettings),
        .target(
            name: "VarveRepository",
            dependencies: ["VarveBlobs", "VarveStorage", "VarveCodec", "VarveFiles", "VarveFormat"],
            swiftSettings: swiftSettings),
        .target(
            name: "VarveUpkeep",
            dependencies: [
                "VarveRepository", "VarveBlobs", "VarveStorage", "VarveCodec", "VarveFiles", "VarveFormat",
            ],
            swiftSettings: swiftSettings),
        .target(
            name: "VarveCopies",
            dependencies: [
                "VarveUpkeep", "VarveRepository", "VarveBlobs", "VarveStorage", "VarveCodec", "VarveFiles",
                "VarveFormat",
            ],
            swiftSettings: swiftSettings),
        .target(
            name: "VarveCapture",
            dependencies: ["VarveDatabase", "VarveHelperProtocol", "VarveFiles", "VarveFormat"],
            swiftSettings: swiftSettings
        ),
        .target(
            name: "VarveOperations",
            dependencies: [
                "VarveCapture", "VarveCopies", "VarveUpkeep", "VarveRepository", "VarveBlobs",
                "VarveDatabase", "VarveHelperProtocol", "VarveChunking", "VarveCodec", "VarveStorage",
                "VarveFiles", "VarveFormat",
            ],
            swiftSettings: swiftSettings),
        // The one door for an embedding program: all that is public.
        .target(
            name: "Varve",
            dependencies: [
                "VarveOperations", "VarveCapture", "VarveCopies", "VarveUpkeep", "VarveRepository",
                "VarveStorage", "VarveFiles", "VarveFormat",
            ],
            swiftSettings: swiftSettings),
        .executableTarget(
            name: "varve-command",
            dependencies: [
                "VarveOperations", "VarveCapture", "VarveCopies", "VarveUpkeep", "VarveRepository",
                "VarveStorage",
                "VarveFiles", "VarveFormat",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ],
            path: "Sources/varve",
            swiftSettings: swiftSettings),
        .executableTarget(
            name: "varve-capture-bdb",
            dependencies: [
                "VarveDatabase", "VarveHelperProtocol", "VarveFormat", "VarveFiles", "CBerkeleyDB",
            ],
            swiftSettings: swiftSettings),

        // As another package's program sees the library: only what is public.
        .executableTarget(
            name: "hourly-backup", dependencies: ["Varve"], path: "Examples/hourly-backup",
            packageAccess: false, swiftSettings: swiftSettings),
        .executableTarget(
            name: "restore-and-check", dependencies: ["Varve"], path: "Examples/restore-and-check",
            packageAccess: false, swiftSettings: swiftSettings),

        // Test support: a transactional application on a real Berkeley DB.
        .executableTarget(
            name: "bdb-workload", dependencies: ["CBerkeleyDB"], path: "Tests/bdb-workload",
            exclude: ["README.md"], cSettings: cSettings,
            // C sources do not take the library from the module map.
            linkerSettings: [.linkedLibrary("db-5.3"), .linkedLibrary("pthread")]),

        // Test support: seeded randomness, temporary directories, small repositories, a source made of arrays.
        .target(
            name: "VarveTestSupport",
            dependencies: [
                "VarveCapture", "VarveCopies", "VarveUpkeep", "VarveRepository", "VarveBlobs", "VarveStorage",
                "VarveCodec", "VarveFiles", "VarveFormat",
            ],
            path: "Tests/VarveTestSupport", swiftSettings: swiftSettings),
        // How fast the hash kernels are on this machine: `swift run -c release bench-kernels`.
        .executableTarget(
            name: "bench-kernels", dependencies: ["VarveCodec", "VarveFormat"], path: "Tests/bench-kernels",
            swiftSettings: swiftSettings),
        // How fast parity is made on this machine: `swift run -c release bench-parity 10`.
        .executableTarget(
            name: "bench-parity", dependencies: ["VarveCodec", "VarveFiles", "VarveFormat"],
            path: "Tests/bench-parity", swiftSettings: swiftSettings),
        // What the index costs at so many blobs: `swift run -c release bench-index 1000 100000000`.
        .executableTarget(
            name: "bench-index",
            dependencies: [
                "VarveBlobs", "VarveRepository", "VarveStorage", "VarveFiles", "VarveFormat",
                "VarveTestSupport",
            ],
            path: "Tests/bench-index", swiftSettings: swiftSettings),

        // Test support: processes with time limits, temporary directories, the executables under test.
        .target(
            name: "ProcessSupport", dependencies: ["VarveFiles", "VarveFormat"], path: "Tests/ProcessSupport",
            swiftSettings: swiftSettings),

        .testTarget(
            name: "VarveCaptureTests",
            dependencies: [
                "ProcessSupport", "VarveCapture", "VarveDatabase", "VarveHelperProtocol", "VarveFiles",
                "VarveFormat", "VarveTestSupport",
            ],
            swiftSettings: swiftSettings),
        .testTarget(
            name: "VarveChunkingTests", dependencies: ["VarveChunking", "VarveFormat", "VarveTestSupport"],
            swiftSettings: swiftSettings),
        .testTarget(
            name: "VarveCodecTests", dependencies: ["VarveCodec", "VarveFormat", "VarveTestSupport"],
            swiftSettings: swiftSettings),
        .testTarget(
            name: "VarveDatabaseTests", dependencies: ["VarveDatabase", "VarveFormat", "VarveTestSupport"],
            swiftSettings: swiftSettings),
        .testTarget(
            name: "VarveFilesTests",
            dependencies: ["ProcessSupport", "VarveFiles", "VarveFormat", "VarveTestSupport"],
            swiftSettings: swiftSettings),
        .testTarget(
            name: "VarveFormatTests",
            dependencies: ["VarveHelperProtocol", "VarveFormat", "VarveTestSupport"],
            swiftSettings: swiftSettings),
        .testTarget(
            name: "VarveStorageTests",
            dependencies: [
                "ProcessSupport", "VarveCopies", "VarveStorage", "VarveFiles", "VarveFormat",
                "VarveTestSupport",
            ],
            swiftSettings: swiftSettings),
        .testTarget(
            name: "VarveRepositoryTests",
            dependencies: [
                "VarveCopies", "VarveUpkeep", "VarveRepository", "VarveBlobs", "VarveStorage", "VarveCodec",
                "VarveFiles", "VarveFormat", "CBlake2", "VarveTestSupport",
            ],
            swiftSettings: swiftSettings),
        .testTarget(
            name: "VarveTests",
            dependencies: [
                "Varve", "VarveOperations", "VarveCapture", "VarveCopies", "VarveUpkeep", "VarveRepository",
                "VarveBlobs", "VarveStorage", "VarveCodec", "VarveFiles", "VarveFormat", "VarveTestSupport",
            ],
            swiftSettings: swiftSettings),
        .testTarget(
            name: "VarveFaultTests",
            dependencies: [
                "ProcessSupport", "VarveCopies", "VarveUpkeep", "VarveRepository", "VarveBlobs",
                "VarveStorage", "VarveCodec", "VarveFiles", "VarveFormat",
            ],
            swiftSettings: swiftSettings),
        .testTarget(
            name: "VarveProcessTests",
            dependencies: ["ProcessSupport", "VarveDatabase", "VarveFiles", "VarveFormat"],
            // A FUSE file with unreadable sectors.
            exclude: ["faulty-file.py"], swiftSettings: swiftSettings),
    ]
)
