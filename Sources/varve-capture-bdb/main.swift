// The only process that links libdb. Its parent drives it over descriptors 0 and 1 (`CaptureProtocol`).
import Glibc
import VarveFiles
import VarveFormat
import VarveHelperProtocol

// A signal in the middle of a copy would leave the application's page writers held: the parent decides when to
// stop. For the same reason there is no PR_SET_PDEATHSIG: an orphan finishes the running call and cleans up.
for number in [SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGPIPE] { signal(number, SIG_IGN) }

// Beyond its file size limit the kernel would kill this process in the middle of libdb: a write fails instead.
signal(SIGXFSZ, SIG_IGN)

Startup.closeForeignDescriptors()
Startup.raiseLimits()

func complain(_ text: String) {
    let line = Array("varve-capture-bdb: \(text)\n".utf8)
    _ = write(STDERR_FILENO, line, line.count)
}

guard fcntl(CaptureProtocol.Descriptor.sharedMemory, F_GETFD) >= 0 else {
    complain("started by varve, not by hand")
    exit(64)
}

let channel = Channel()
LibraryWords.channel = channel
do {
    try Session(channel).run()
} catch {
    complain("\(error)")
    exit(1)
}
