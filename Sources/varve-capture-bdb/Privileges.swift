import Glibc
import VarveFiles
import VarveFormat

/// Who the helper is: the environment's owner, so that no file of another owner appears in it (a log file that
/// root creates by a flush would stop the application).
enum Privileges {
    /// Becomes the owner of the regions, or of the home where there are none. Root can, others must be already.
    static func becomeOwner(of home: String) throws {
        guard let status = try FileStatus.of(Regions.path(home)) ?? FileStatus.of(home) else {
            throw VarveError(.noEnvironment, "\(home) is not there", hint: "check the path")
        }
        if geteuid() == status.user { return }
        guard geteuid() == 0 else {
            throw VarveError(
                .notOwner,
                "\(home) belongs to user \(status.user), this is user \(geteuid())",
                hint: "run as the owner of the environment, or as root")
        }
        if let entry = getpwuid(status.user) {
            try systemCall("initgroups", home) { initgroups(entry.pointee.pw_name, status.group) }
        } else {
            var group = status.group
            try systemCall("setgroups", home) { setgroups(1, &group) }
        }
        try systemCall("setregid", home) { setregid(status.group, status.group) }
        try systemCall("setreuid", home) { setreuid(status.user, status.user) }
        guard setuid(0) != 0 else {
            throw VarveError(.notOwner, "root's rights could not be given up for \(home)")
        }
    }
}
