import CBerkeleyDB
import Glibc
import VarveFiles
import VarveFormat
import VarveHelperProtocol

/// One parent's commands, one after another, until it quits or is gone.
final class Session {
    private let channel: Channel
    private let slots: Slots
    private let password: String?
    private var environment: LiveEnvironment?
    private var isConfined = false

    init(_ channel: Channel) throws(VarveError) {
        self.channel = channel
        slots = try Slots()
        password = try Self.readPassword()
    }

    /// From a descriptor of its own, so that it is in no argument list and no environment variable.
    private static func readPassword() throws(VarveError) -> String? {
        let descriptor = CaptureProtocol.Descriptor.password
        guard Startup.isGiven(CaptureProtocol.Argument.password) else { return nil }
        let bytes = try File(descriptor: descriptor, path: "password").readAll(limit: 4096)
        guard !bytes.isEmpty, !bytes.contains(0), let text = String(validating: bytes, as: UTF8.self) else {
            throw VarveError(.invalid, "the password is empty or holds a NUL byte or is not UTF-8")
        }
        return text
    }

    /// Returns when the environment is closed and everything that was changed in it is undone.
    func run() {
        channel.send(.ready(version: CaptureProtocol.version, library: Library.version))
        while true {
            // A parent that can't be understood is as good as gone.
            guard let command = try? channel.nextCommandBlocking(), command != .quit else { break }
            Watchdog.isActive()
            defer { Watchdog.isResting() }
            do {
                LibraryWords.lines = []
                try carryOut(command)
            } catch {
                channel.send(.failed(Self.failure(error)))
            }
            channel.flushBlocking()
        }
        CapturePass.current = nil
        Watchdog.isActive()
        // Nobody is left to hear of an error; the journal stays then, for the next run.
        try? environment?.end()
        environment?.close()
        channel.flushBlocking()
    }

    private static func failure(_ error: any Error) -> CaptureFailure {
        guard let error = error as? VarveError else {
            return CaptureFailure(code: VarveError.Code.library.rawValue, message: "\(error)", hint: nil)
        }
        return CaptureFailure(
            code: error.code.rawValue, message: error.description, hint: error.hint, libraryCode: error.errno)
    }

    private func carryOut(_ command: CaptureCommand) throws(VarveError) {
        switch command {
        case .join(let request):
            guard environment == nil else { throw VarveError(.invalid, "joined already") }
            let (root, rights) = try Privileges.enter(request.home)
            environment = try LiveEnvironment(request, root, rights, password: password)
            channel.send(.joined)
        case .preflight: channel.send(.preflight(try joined().preflight()))
        case .begin: channel.send(.begun(try joined().begin()))
        case .capture(let file, let resume):
            let outcome = try joined().capture(file, resume: resume, slots: slots, channel: channel)
            channel.send(.captured(outcome))
        case .slotFree(let slot): try slots.release(slot)
        case .cancel: break  // It crossed the end of the capture it was meant for.
        case .end:
            try joined().end()
            channel.send(.ended)
        case .clear(let file):
            try joined().clear(file)
            channel.send(.cleared)
        case .repair: channel.send(.repaired(try joined().repair()))
        case .logStatus: channel.send(.logStatus(try joined().logStatus()))
        case .cachedFiles: channel.send(.cachedFiles(try joined().cachedFiles()))
        case .sync:
            try joined().sync()
            channel.send(.synced)
        case .recover(let request):
            try becomeOwner(of: request.home)
            try Restored.recover(request, password: password)
            channel.send(.recovered)
        case .verify(let request, let files):
            try becomeOwner(of: request.home)
            try Restored.verify(request, files: files, password: password, channel: channel)
            channel.send(.verificationDone)
        case .confine(let home):
            try Confinement.enter(home: home)
            isConfined = true
            channel.send(.confined)
        case .holder(let file, let fileID):
            channel.send(.holder(try joined().holder(of: file, fileID: fileID)))
        case .quit: break
        }
    }

    /// In confinement it is done already, and must not be done again: it looks users up, and there the files of users, and
    /// of what looks them up, would be the restored ones.
    private func becomeOwner(of home: String) throws(VarveError) {
        if !isConfined { try Privileges.becomeOwner(of: home) }
    }

    private func joined() throws(VarveError) -> LiveEnvironment {
        guard let environment else { throw VarveError(.invalid, "no environment was joined") }
        return environment
    }
}
