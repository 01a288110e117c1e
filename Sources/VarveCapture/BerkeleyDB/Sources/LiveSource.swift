import VarveFiles
import VarveFormat

/// How the process that links libdb is started.
package struct HelperOptions: Sendable {
    /// Of an encrypted environment; handed over in memory.
    package var password: [UInt8]?
    /// Nil to look for `varve-capture-bdb` where it is installed.
    package var executable: String?
    /// Of 1 MiB: how far the helper may be ahead.
    package var slots: Int
    package var limits: HelperLimits
    /// Whether the user wants to stop: a helper that libdb keeps waiting is then left to clean up alone.
    package var cancellation: Cancellation

    package init(
        password: [UInt8]? = nil, executable: String? = nil, slots: Int = 16,
        limits: HelperLimits = HelperLimits(), cancellation: Cancellation = Cancellation()
    ) {
        self.password = password
        self.executable = executable
        self.slots = slots
        self.limits = limits
        self.cancellation = cancellation
    }
}

/// A live environment, copied through libdb while applications write to it.
///
/// Refused before the first `begin`: see the codes of `BerkeleyDBHelper.join` and `preflight`, and `.locked`,
/// `.missingLog`, `.wrongLogDirectory`, `.refused`. However it ends, the environment's flags are as before,
/// and no log file is held.
package final class LiveSource: CaptureSource {
    private let options: EnvironmentOptions
    private let helper: HelperOptions

    package init(_ options: EnvironmentOptions, helper: HelperOptions = HelperOptions()) {
        self.options = options
        self.helper = helper
    }

    package var home: String? { options.resolvedHome }

    package func capture(into sink: any CaptureSink) throws(VarveError) -> CaptureSummary {
        try LiveCapture(options, helper: helper, reading: .library, into: sink).run()
    }
}

/// A live environment whose database pages are read with plain reads, on XFS, where they are atomic: a read
/// of whole pages is never mixed with a write. On any other file system it is refused.
///
/// The environment is joined through the helper as well, for its hot-backup counter and against automatic log
/// removal. Private regions can't be joined: there the backup goes on without, and warns (`no-counter`).
package final class DirectSource: CaptureSource {
    private let options: EnvironmentOptions
    private let helper: HelperOptions

    package init(_ options: EnvironmentOptions, helper: HelperOptions = HelperOptions()) {
        self.options = options
        self.helper = helper
    }

    package var home: String? { options.resolvedHome }

    package func capture(into sink: any CaptureSink) throws(VarveError) -> CaptureSummary {
        let layout = try EnvironmentLayout.find(options)
        try AtomicReads.require(layout, layout.list())
        let canJoin = try RegionState.read(layout.files) != nil
        return try LiveCapture(options, helper: canJoin ? helper : nil, reading: .direct, into: sink).run()
    }
}
