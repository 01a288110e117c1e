import VarveFiles
import VarveFormat
import VarveOperations

/// One call from the outside: runs on a thread of its own, because the work blocks in system calls and in libdb, and
/// Swift's threads are for work that does not.
enum Operation {
    static func run<Value: Sendable>(
        _ notices: NoticeHandler, _ body: @escaping @Sendable (Cancellation) throws -> Value
    ) async throws(VarveError) -> Value {
        let cancellation = Cancellation()
        let result: Result<Value, VarveError> = await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                do {
                    try WorkerThread {
                        let result = Result {
                            try cancellation.check()
                            return try Notices.heard(by: notices.reporting) { try body(cancellation) }
                        }
                        continuation.resume(returning: result.mapError { VarveError(any: $0) })
                    }.detach()
                } catch {
                    continuation.resume(returning: .failure(VarveError(any: error)))
                }
            }
        } onCancel: {
            cancellation.request()
        }
        return try result.get()
    }
}

extension NoticeHandler {
    /// For the modules beneath; nil if nobody listens.
    fileprivate var reporting: Notices.Handler? {
        guard let body else { return nil }
        return { body(Notice($0)) }
    }
}

extension ProgressHandler {
    /// For the modules beneath.
    var reporting: @Sendable (VarveFiles.Progress) -> Void {
        let body = body
        return { body(Progress(item: $0.item, bytesDone: $0.bytesDone, bytesTotal: $0.bytesTotal)) }
    }
}
