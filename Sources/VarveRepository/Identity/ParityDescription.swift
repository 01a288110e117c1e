import VarveFiles
import VarveFormat
import VarveStorage

/// `parity.json`: how much parity this copy keeps. Of this copy alone: each disk may have another setting.
package struct ParityDescription: Codable, Hashable, Sendable {
    package static let fileName = "parity.json"

    package var format: Int
    package var repository: String
    package var percent: Int

    package init(repository: RepositoryID, percent: Int) {
        format = RepositoryDescription.currentFormat
        self.repository = repository.description
        self.percent = percent
    }

    package static func check(_ percent: Int) throws(VarveError) {
        guard ParityShape.percents.contains(percent) else {
            throw VarveError(.invalid, "parity must be 1 to 50 percent, not \(percent)")
        }
    }
}

extension Repository {
    /// In percent; nil if this copy keeps none.
    package func parity() throws(VarveError) -> Int? {
        let file = Path.join(path, ParityDescription.fileName)
        do throws(VarveError) {
            guard
                let description = try ChecksummedDocument.readIfThere(
                    ParityDescription.self, from: ParityDescription.fileName, in: storage)
            else { return nil }
            guard description.format == RepositoryDescription.currentFormat,
                description.repository == id.description,
                ParityShape.percents.contains(description.percent)
            else { throw VarveError(.corrupt, "parity.json is that of another repository", location: file) }
            return description.percent
        } catch var error where error.code == .corrupt {
            error.hint = "'varve parity add PERCENT' writes it anew"
            throw error
        }
    }
}
