import VarveDatabase
import VarveFormat

/// What a capture has to say besides its bytes, bounded.
final class CaptureWarnings {
    private(set) var list: [Manifest.Warning] = []
    private var left = 0
    static let limit = 1000

    func add(
        _ code: String, _ message: String, path: String? = nil, page: UInt32? = nil, taints: Bool = false
    ) {
        guard list.count < Self.limit else {
            left += 1
            return
        }
        list.append(Manifest.Warning(code: code, message: message, path: path, page: page, taints: taints))
    }

    /// Everything, the number of those that found no room last.
    var all: [Manifest.Warning] {
        guard left > 0 else { return list }
        let more = Manifest.Warning(
            code: "more-warnings", message: "\(left) more warnings were left out",
            taints: list.contains { $0.taints })
        return list + [more]
    }

    func addTornLog(_ number: UInt32, _ offset: UInt64) {
        add(
            "log-torn",
            "log file \(number) has no valid record at offset \(offset): a write did not finish, or damage hides"
                + " later records", taints: true)
    }

    func addUnfinishedLog(_ number: UInt32, _ offset: UInt64) {
        add(
            "log-unflushed",
            "the application has not flushed its log since log file \(number), offset \(offset): later commits that"
                + " did not wait for the disk are not durable yet, and are not in this backup")
    }

    /// A damaged page each, stored as it is.
    func add(_ result: PageRunResult, path: String) {
        for page in result.badPages {
            let (code, what) =
                switch page.reason {
                case .checksum: ("page-checksum", "its checksum is wrong")
                case .wrongNumber(let found): ("page-number", "its header says page \(found)")
                case .incomplete: ("page-incomplete", "the file ends inside the page")
                }
            add(
                code, "page \(page.position) of \(path) is damaged at the source: \(what)", path: path,
                page: page.position.rawValue, taints: true)
        }
        let rest = result.badPageCount - UInt64(result.badPages.count)
        if rest > 0 {
            add(
                "more-pages", "\(rest) more pages of \(path) are damaged at the source", path: path,
                taints: true)
        }
    }
}
