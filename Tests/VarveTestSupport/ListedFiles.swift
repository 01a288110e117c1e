import VarveCapture
import VarveFiles
import VarveFormat

/// A file of a `ListedFiles` source: writes at offsets, then the size.
package struct ListedFile: Sendable {
    package var path: String
    package var kind: Manifest.StoredFile.Kind
    package var writes: [(offset: UInt64, bytes: [UInt8])]
    package var size: UInt64
    package var attributes: Manifest.Attributes
    package var log: Manifest.Log?
    package var unit: UInt32 = 512

    package init(
        _ path: String, writes: [(offset: UInt64, bytes: [UInt8])], size: UInt64,
        kind: Manifest.StoredFile.Kind = .other, mode: UInt32 = 0o640, log: Manifest.Log? = nil
    ) {
        self.path = path
        self.kind = kind
        self.writes = writes
        self.size = size
        self.log = log
        attributes = Manifest.Attributes(
            mode: mode, user: 0, group: 0,
            modified: Timestamp(seconds: 1_600_000_000, nanoseconds: 123_456_789))
    }

    package init(
        _ path: String, _ bytes: [UInt8], kind: Manifest.StoredFile.Kind = .other, mode: UInt32 = 0o640
    ) {
        self.init(path, writes: [(0, bytes)], size: UInt64(bytes.count), kind: kind, mode: mode)
    }

    /// What a restore must give back.
    package var content: [UInt8] {
        var content = [UInt8](repeating: 0, count: Int(size))
        for write in writes {
            content.replaceSubrange(
                Int(write.offset)..<Int(write.offset) + write.bytes.count, with: write.bytes)
        }
        return content
    }
}

/// A source that delivers what it was given.
package struct ListedFiles: CaptureSource {
    package var files: [ListedFile]
    /// Nil: every extent is stored whole.
    package var home: String?
    package var summary = CaptureSummary(environment: nil, recovery: nil, warnings: [])
    /// Called before each write, to disturb the timing.
    package var pause: @Sendable () -> Void = {}

    package init(_ files: [ListedFile]) {
        self.files = files
        let times = Timestamp(seconds: 1_500_000_000)
        summary.directories = [
            Manifest.StoredDirectory(
                path: ".", attributes: Manifest.Attributes(mode: 0o750, user: 0, group: 0, modified: times))
        ]
    }

    /// An environment with this home: the next backup compares with it.
    package static func environment(_ files: [ListedFile], home: String = "/home") -> ListedFiles {
        var source = ListedFiles(files)
        source.home = home
        source.summary.environment = Manifest.Environment(
            home: home, mode: .offline, envid: nil, dataDirectories: [],
            logDirectory: .init(original: ".", restored: ".", configured: false), encrypted: false,
            registered: false, only: nil)
        return source
    }

    package func capture(into sink: any CaptureSink) throws(VarveError) -> CaptureSummary {
        for file in files {
            try sink.begin(
                SourceFile(
                    path: file.path, kind: file.kind, attributes: file.attributes, unit: file.unit,
                    expectedSize: file.size))
            for write in file.writes {
                pause()
                try write.bytes.withBytes { (bytes) throws(VarveError) in
                    try sink.write(bytes, at: write.offset)
                }
            }
            try sink.end(SourceFileFacts(size: file.size, log: file.log))
        }
        return summary
    }
}
