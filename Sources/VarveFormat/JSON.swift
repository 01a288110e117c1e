// The one exception to "no Foundation below the library": JSON is not what this project exists for, and
// FoundationEssentials brings neither ICU nor Objective-C names with it.
import FoundationEssentials

/// JSON with sorted keys: the same value is always the same bytes.
public enum JSON {
    /// One line, or indented for files that people read in place.
    public static func encode(_ value: some Encodable, indented: Bool = false) throws -> [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        if indented { encoder.outputFormatting.insert(.prettyPrinted) }
        do {
            return Array(try encoder.encode(value))
        } catch EncodingError.invalidValue(_, let context) {
            let path = context.codingPath.map(\.stringValue).joined(separator: ".")
            throw VarveError(.invalid, "\(path): \(context.debugDescription)")
        }
    }

    /// - Parameter what: names the document in the error.
    public static func decode<T: Decodable>(_ type: T.Type, from bytes: [UInt8], what: String) throws -> T {
        do {
            return try JSONDecoder().decode(type, from: Data(bytes))
        } catch {
            throw VarveError(.corrupt, "\(what) is not what it should be: \(describe(error))")
        }
    }

    private static func describe(_ error: any Error) -> String {
        func at(_ context: DecodingError.Context, _ text: String) -> String {
            let path = context.codingPath.map(\.stringValue).joined(separator: ".")
            return path.isEmpty ? text : "\(path): \(text)"
        }
        return switch error {
        case DecodingError.keyNotFound(let key, let context): at(context, "\(key.stringValue) is missing")
        case DecodingError.typeMismatch(_, let context), DecodingError.valueNotFound(_, let context),
            DecodingError.dataCorrupted(let context):
            at(context, context.debugDescription)
        default: "\(error)"
        }
    }
}
