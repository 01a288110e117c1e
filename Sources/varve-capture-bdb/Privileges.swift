import Glibc
import VarveFiles
import VarveFormat
import VarveHelperProtocol

/// Who the helper is: the environment's owner, so that no file of another owner appears in it (a log file that
/// root creates by a flush would stop the application), and so that nothing that its owner lays in the way leads where
/// he could not go himself.
enum Privileges {
    /// Becomes the owner of the environment's home for good, and makes the home the working directory: libdb opens what
    /// is in it as ".", whatever its path leads to by then. Root can, others must be the owner already, or a member of the group that
    /// shares the home.
    ///
    /// The home is the directory that the parent has opened and given, else the one at the path.
    static func enter(_ home: String) throws(VarveError) -> (root: RootDirectory, rights: FileRights) {
        let root = try Startup.isGiven(CaptureProtocol.Argument.home) ? inherited(home) : open(home)
        let rights = try FileRights(ofEnvironment: root)
        let region = try root.status(of: FileRights.regionName)
        if rights.isMember, let region { try rights.requireOwnRegion(region, home) }
        // In a home that does not hand its group on, whose regions are this user's is enough.
        let isUser = region.map { geteuid() != 0 && $0.user == geteuid() && rights.own($0) } ?? false
        if rights.isMember || !isUser { try rights.becomeForGood(home) }
        try root.changeInto()
        return (root, rights)
    }

    /// For what was restored, and nobody has open.
    static func becomeOwner(of home: String) throws(VarveError) { _ = try enter(home) }

    private static func inherited(_ home: String) -> RootDirectory {
        RootDirectory(taking: File(descriptor: dup(CaptureProtocol.Descriptor.home), path: home))
    }

    private static func open(_ home: String) throws(VarveError) -> RootDirectory {
        do {
            return try RootDirectory(home)
        } catch let error where error.errno == ENOTDIR {
            throw VarveError(.noEnvironment, "\(home) is not a directory", hint: "check the path")
        } catch let error where error.isNoEntry {
            throw VarveError(.noEnvironment, "\(home) is not there", hint: "check the path")
        }
    }
}
