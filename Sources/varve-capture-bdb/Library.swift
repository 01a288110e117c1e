import CBerkeleyDB
import Glibc
import VarveFormat
import VarveHelperProtocol

/// libdb's own words since the last command began, for the errors that follow from them. One thread.
enum LibraryWords {
    nonisolated(unsafe) static var lines: [String] = []
    nonisolated(unsafe) static var channel: Channel?
    /// While a pass is ended on purpose, libdb's "Backup Failed" is no news.
    nonisolated(unsafe) static var isQuiet = false
    /// What libdb prints because it was asked to goes here and nowhere else.
    nonisolated(unsafe) static var listener: ((String) -> Void)?
    private static let limit = 64

    static func add(_ text: UnsafePointer<CChar>?) {
        guard let text, !isQuiet else { return }
        let line = String(cString: text)
        if let listener { return listener(line) }
        if lines.count < limit { lines.append(line) }
        channel?.send(.message(String(line.prefix(2000))))
    }

    static func contains(_ identifier: String) -> Bool { lines.contains { $0.contains(identifier) } }
}

private func onError(
    _ env: UnsafePointer<DB_ENV>?, _ prefix: UnsafePointer<CChar>?, _ text: UnsafePointer<CChar>?
) { LibraryWords.add(text) }

private func onMessage(_ env: UnsafePointer<DB_ENV>?, _ text: UnsafePointer<CChar>?) {
    LibraryWords.add(text)
}

typealias Handle = UnsafeMutablePointer<DB_ENV>

enum Library {
    static var version: String { String(cString: db_full_version(nil, nil, nil, nil, nil)) }

    /// A handle that is configured but not opened.
    static func makeHandle(_ environment: CaptureEnvironment, password: String?) throws(VarveError) -> Handle
    {
        var created: Handle?
        try check(db_env_create(&created, 0), "create a handle", environment.home)
        guard let handle = created else {
            throw VarveError(.library, "libdb made no handle for \(environment.home)")
        }
        varve_env_set_messages(handle, onError, onMessage)
        do {
            try check(varve_env_set_room(handle), "set how memory is allocated", environment.home)
            if let password {
                try check(varve_env_set_encrypt(handle, password), "set the password", environment.home)
            }
            for directory in environment.dataDirectories {
                try check(
                    varve_env_add_data_dir(handle, directory), "add the data directory \(directory)",
                    environment.home)
            }
            if let directory = environment.logDirectory {
                try check(
                    varve_env_set_lg_dir(handle, directory), "set the log directory \(directory)",
                    environment.home)
            }
        } catch {
            _ = varve_env_close(handle)
            throw error
        }
        return handle
    }

    /// Turns a return code into an error with libdb's words in it.
    static func check(_ code: Int32, _ what: String, _ where: String) throws(VarveError) {
        guard code != 0 else { return }
        throw error(code, "libdb could not \(what)", `where`)
    }

    static func error(_ code: Int32, _ message: String, _ where: String) -> VarveError {
        var text = "\(message): \(String(cString: db_strerror(code)))"
        let words = LibraryWords.lines.suffix(3).joined(separator: "; ")
        if !words.isEmpty { text += " [\(words)]" }
        switch code {
        case DB_RUNRECOVERY:
            return VarveError(
                .needsRecovery, text, location: `where`,
                hint: "the environment panicked: stop its applications and run recovery (db5.3_recover) on it"
            )
        case DB_VERSION_MISMATCH:
            return VarveError(
                .libraryMismatch, text, location: `where`,
                hint:
                    "the environment's regions were made by another build of libdb than \(version): stop its "
                    + "applications and use --offline, or use a helper that is linked with their library")
        case EACCES:
            return VarveError(
                .notOwner, text, location: `where`, hint: "run as the owner of the environment, or as root")
        default:
            return VarveError(.library, text, location: `where`, errno: code)
        }
    }
}
