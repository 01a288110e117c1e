import Glibc
import VarveFiles
import VarveFormat
import VarveHelperProtocol

/// Waits here, and not in libdb, for locks that a copy of a database takes: who waits there can't be told to stop, and
/// would look as if a process had died.
struct DatabaseLocks {
    private let helper: BerkeleyDBHelper
    private let cancellation: Cancellation
    /// For a transaction, which ends.
    private let patience: Duration
    /// For a handle that is exclusive for its life, or what can't be told from one.
    static let handlePatience: Duration = .seconds(5)
    private static let pause: UInt32 = 20_000
    /// `DB_FILE_ID_LEN`
    private static let fileIDLength = 20

    init(_ helper: BerkeleyDBHelper, cancellation: Cancellation, patience: Duration) {
        self.helper = helper
        self.cancellation = cancellation
        self.patience = patience
    }

    /// Throws `.refused`, and names who has the lock, after a few seconds for an exclusive handle, and after `patience`
    /// for a transaction.
    func waitFree(for file: EnvironmentFile) throws(VarveError) {
        // Of an encrypted database's identity a part is ciphertext: which locks are its can't be told, and libdb waits.
        guard case .database(let header) = file.role, let fileID = Hex.decode(header.fileID),
            fileID.count == Self.fileIDLength
        else { return }
        let began = ContinuousClock.now
        while let holder = try helper.holder(of: file.name, fileID: fileID) {
            let limit = holder.isTransaction ? patience : min(Self.handlePatience, patience)
            let waited = ContinuousClock.now - began
            guard waited < limit else { throw Self.error(holder, file, waited) }
            try cancellation.check()
            usleep(Self.pause)
        }
    }

    private static func error(_ holder: CaptureLockHolder, _ file: EnvironmentFile, _ waited: Duration)
        -> VarveError
    {
        let process = holder.process.map { "process \($0)" + (command($0).map { " (\($0))" } ?? "") }
        let seconds = waited.components.seconds
        let (what, hint): (String, String) =
            switch (holder.isHandle, holder.isTransaction) {
            case (true, false):
                (
                    "\(process ?? "a process") has \(file.name) open exclusively (DB->set_lk_exclusive) and did not"
                        + " close \(file.name) in \(seconds) s",
                    "back up when \(file.name) is closed, or stop the application and use --offline"
                )
            case (true, true):
                (
                    "a transaction\(process.map { " of \($0)" } ?? "") that creates, removes or renames \(file.name) did not"
                        + " end in \(seconds) s", "back up when it has ended"
                )
            case (false, _):
                (
                    "a transaction\(process.map { " of \($0)" } ?? "") that has locked the first page of \(file.name) did not"
                        + " end in \(seconds) s", "back up when it has ended"
                )
            }
        return VarveError(.refused, what, location: file.path, hint: hint)
    }

    private static func command(_ process: Int32) -> String? {
        guard let file = try? File.open(reading: "/proc/\(process)/comm"),
            let bytes = try? file.readToEnd(limit: 64)
        else { return nil }
        return String(decoding: bytes.prefix { $0 != 10 }, as: UTF8.self)
    }
}
