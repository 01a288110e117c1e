import ProcessSupport
import Testing

/// An environment and its databases, by the options of `bdb-workload`.
struct EnvironmentConfiguration: Sendable, CustomTestStringConvertible {
    enum Password { case none, file, descriptor, command }

    var name: String
    var methods: String
    /// Further options that `check` needs, too.
    var place: [String] = []
    /// Further options of `run`.
    var options: [String] = []
    /// What `varve backup` must be told of the directories.
    var directories: [String] = []
    var password = Password.none

    var testDescription: String { name }
    var isEncrypted: Bool { password != .none }
    var removesLogs: Bool { options.contains { $0.hasPrefix("--auto-remove") } }

    init(
        _ name: String, _ methods: String, place: String = "", options: String = "", directories: String = "",
        password: Password = .none
    ) {
        self.name = name
        self.methods = methods
        self.place = place.split(separator: " ").map(String.init)
        self.options = options.split(separator: " ").map(String.init)
        self.directories = directories.split(separator: " ").map(String.init)
        self.password = password
    }

    func layout(_ directory: TemporaryDirectory) -> [String] {
        ["--methods", methods] + place + (isEncrypted ? ["--encrypt", directory["password"]] : [])
    }

    /// Every access method, page size, byte order and place; checksums, encryption, automatic log removal.
    static let all: [EnvironmentConfiguration] = [
        .init("plain", "btree,hash", options: "--records 3000"),
        .init("512, checksums", "btree,hash", options: "--records 3000 --page-size 512 --checksum"),
        .init(
            "1024, queues in extents", "queue,btree,queue",
            options: "--records 3000 --page-size 1024 --queue-extent 16"),
        .init(
            "queues in extents, checksums", "btree,hash,queue",
            options: "--records 2000 --page-size 512 --checksum --queue-extent 4"),
        .init(
            "8192, encrypted, password file", "btree,hash", options: "--records 3000 --page-size 8192",
            password: .file),
        .init(
            "encrypted, checksums, password descriptor", "hash,recno", options: "--records 2000 --checksum",
            password: .descriptor),
        .init(
            "encrypted queue, password command", "queue,btree", options: "--records 2000 --queue-extent 8",
            password: .command),
        .init("16384, heap", "heap,btree", options: "--records 2000 --page-size 16384"),
        .init("512, heap, checksums", "heap,hash", options: "--records 2000 --page-size 512 --checksum"),
        .init(
            "65536, the other byte order, checksums", "recno,btree",
            options: "--records 3000 --page-size 65536 --byte-order 4321 --checksum"),
        .init(
            "65536, hash, big values", "hash,btree",
            options: "--records 1000 --page-size 65536 --value-size 3000"),
        .init(
            "hash and queue in the other byte order", "hash,queue",
            options: "--records 2000 --byte-order 4321 --page-size 2048"),
        .init(
            "partitions, automatic log removal", "btree,btree", place: "--partition",
            options: "--records 2000 --byte-order 1234 --auto-remove --log-size 500000"),
        .init(
            "several in one file, subdirectory, DB_REGISTER", "btree,hash,recno", place: "--multi --subdir",
            options: "--records 2000 --register --threads 4"),
        .init(
            "directories in DB_CONFIG", "btree,hash", place: "--data-dir data --log-dir logs --subdir",
            options: "--records 2000 --aborts 10"),
        .init(
            "directories in code", "btree,hash", place: "--data-dir data --log-dir logs --dirs-in-code",
            options: "--records 2000", directories: "--data-dir data --log-dir logs"),
        .init(
            "65536, no locking, checksums", "btree,hash",
            options: "--records 2000 --page-size 65536 --checksum --no-locking --cache 2000000"),
        .init(
            "synchronous, automatic log removal in DB_CONFIG", "btree,hash",
            options:
                "--records 2000 --sync --auto-remove-config --log-size 300000 --cache 1000000 --threads 2"),
    ]
}
