import Glibc
import VarveFormat

/// An error that ended nothing: the work went on without what had failed.
package struct Notice: Sendable {
    package enum Level: Sendable {
        /// It costs time at most: something else was used instead, or the next run does it.
        case remark
        /// Something was left behind, or is not taken down: a person should know.
        case warning
    }

    package var level: Level
    /// What failed and what that means, as one sentence without its object: `it can't be read: its packs are read instead`.
    package var problem: String
    /// The object, the file or the directory.
    package var place: String
    package var error: VarveError

    /// Without the hint.
    package var description: String { "\(place): \(problem) (\(error))" }
}

/// Who hears of notices.
///
/// The handler is that of an operation: it holds on the thread that binds it, and on every `WorkerThread` that begins
/// beneath. So two operations of one process have two handlers, and nothing between them and the place of an error has
/// to pass a handler on.
package enum Notices {
    package typealias Handler = @Sendable (Notice) -> Void

    private final class Binding {
        let handler: Handler?
        init(_ handler: Handler?) { self.handler = handler }
    }

    /// Of each thread, its binding. Operations run on threads of their own, so a task has none; and binding a task-local
    /// value outside of a task ends a process that was built with optimization (Swift 6.3.1).
    private static let key: pthread_key_t? = {
        var key = pthread_key_t()
        return pthread_key_create(&key, nil) == 0 ? key : nil
    }()

    /// Who listens on this thread; nil: nobody.
    package static var handler: Handler? {
        guard let key, let binding = pthread_getspecific(key) else { return nil }
        return Unmanaged<Binding>.fromOpaque(binding).takeUnretainedValue().handler
    }

    /// Runs `body` while `handler` hears of the notices of this thread and of those that begin beneath.
    package static func heard<R, E: Error>(by handler: Handler?, _ body: () throws(E) -> R) throws(E) -> R {
        guard let key else { return try body() }
        let (before, binding) = (pthread_getspecific(key), Binding(handler))
        pthread_setspecific(key, Unmanaged.passUnretained(binding).toOpaque())
        defer { pthread_setspecific(key, before) }
        return try withExtendedLifetime(binding) { () throws(E) in try body() }
    }

    /// That something was interrupted is the caller's to say.
    package static func note(
        _ level: Notice.Level, _ place: @autoclosure () -> String, _ problem: @autoclosure () -> String,
        _ error: any Error
    ) {
        guard let handler else { return }
        let known = error as? VarveError ?? VarveError(.system, "\(error)")
        if known.code == .interrupted { return }
        handler(Notice(level: level, problem: problem(), place: place(), error: known))
    }

    /// What `body` returns; nil, and a notice, if it throws.
    @discardableResult
    package static func attempt<R>(
        _ level: Notice.Level, _ place: @autoclosure () -> String, _ problem: @autoclosure () -> String,
        _ body: () throws -> R
    ) -> R? {
        do {
            return try body()
        } catch {
            note(level, place(), problem(), error)
            return nil
        }
    }

    /// Removes what is of no use any more. That it is gone already is fine.
    package static func cleanUp(
        _ level: Notice.Level, _ place: @autoclosure () -> String, _ body: () throws -> Void
    ) {
        attempt(level, place(), "it can't be removed, and stays") {
            do { try body() } catch let error as VarveError where error.isNoEntry {}
        }
    }
}
