import CLinux
import Glibc
import VarveFormat

/// Work on files with the rights of another user, for root.
package enum OwnerThread {
    /// Runs `body` on a thread of its own, which has the user's rights to files and no more, and waits for it. What it
    /// makes is the user's. Whoever is not root has no other rights than its own, and runs it so.
    ///
    /// - Throws: what `body` throws; a system error if the rights can't be taken on or no thread can be had, and then
    ///   nothing was done.
    package static func run<R>(user: UInt32, group: UInt32, _ body: () throws(VarveError) -> R)
        throws(VarveError) -> R
    {
        guard Host.isRoot else { return try body() }
        return try withoutActuallyEscaping(body) { (body) throws(VarveError) in
            // The caller waits: nobody else touches them meanwhile.
            nonisolated(unsafe) let work = body
            nonisolated(unsafe) var result: Result<R, VarveError>?
            let thread = try WorkerThread {
                result = Result { () throws(VarveError) in
                    try systemCall("setfsuid", "user \(user)") { varve_thread_becomes(user, group) }
                    return try work()
                }
            }
            thread.join()
            guard let result else { preconditionFailure("the thread ended without a result") }
            return try result.get()
        }
    }
}
