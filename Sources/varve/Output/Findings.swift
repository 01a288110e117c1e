import VarveFormat
import VarveRepository
import VarveStorage
import VarveUpkeep

extension Finding {
    /// One line for people.
    func words(in path: String) -> String {
        let place = range.map { ", bytes \($0.lowerBound) to \($0.upperBound)" } ?? ""
        let word =
            switch kind {
            case .missing: "missing"
            case .damaged: "damaged"
            case .unreadable: "can't be read"
            }
        return "\(word): \(path)/\(text)\(place): \(problem)"
    }
}

extension Loss {
    /// More than this are told by snapshot; `--json` has each.
    private static let limit = 40

    static func lines(_ losses: [Loss]) -> [String] {
        guard losses.count > limit else { return losses.map(\.words) }
        let bySnapshot = Dictionary(grouping: losses, by: \.snapshot)
        return bySnapshot.sorted { $0.value[0] < $1.value[0] }.map { snapshot, losses in
            let files = Set(losses.map(\.path)).sorted()
            let names = files.prefix(3).joined(separator: ", ") + (files.count > 3 ? ", …" : "")
            return "lost: snapshot \(snapshot), parts of \(files.count) files: \(names)"
        }
    }

    /// One line for people.
    var words: String {
        let place = range.map { ", bytes \($0.lowerBound) to \($0.upperBound)" } ?? ""
        return "lost: snapshot \(snapshot), \(path)\(place)"
    }
}
