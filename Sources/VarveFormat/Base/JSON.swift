// The one exception to "no Foundation below the library": JSON is not what this project exists for, and
// FoundationEssentials brings neither ICU nor Objective-C names with it.
import FoundationEssentials

/// A document whose values must be what they are called: an id an id, a name a name. It is checked where it is decoded
/// (`JSON.decode`), so nobody can come by one that leads elsewhere.
package protocol CheckedDocument {
    /// - Throws: `.corrupt`
    func check() throws(VarveError)
}

/// JSON with sorted keys: the same value is always the same bytes.
package enum JSON {
    /// Decoding takes some hundred bytes for each value of a document, however short it is: `[[],[],…`. More values than
    /// this have only manifests.
    package static let valueLimit = 1 << 17

    /// One line, or indented for files that people read in place.
    package static func encode(_ value: some Encodable, indented: Bool = false) throws(VarveError) -> [UInt8]
    {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        if indented { encoder.outputFormatting.insert(.prettyPrinted) }
        do {
            return Array(try encoder.encode(value))
        } catch EncodingError.invalidValue(_, let context) {
            let path = context.codingPath.map(\.stringValue).joined(separator: ".")
            throw VarveError(.invalid, "\(path): \(context.debugDescription)")
        } catch {
            // Not of Foundation, and no `encode(to:)` of ours throws another.
            throw VarveError(.invalid, "\(error)")
        }
    }

    /// - Parameters:
    ///   - what: names the document in the error.
    ///   - valueLimit: a document with more values is refused before it is decoded, so that a hostile one costs no more
    ///     memory than an honest one may.
    package static func decode<T: Decodable>(
        _ type: T.Type, from bytes: [UInt8], what: String, valueLimit: Int = JSON.valueLimit
    ) throws(VarveError) -> T {
        let values = bytes.withUnsafeBytes { countValues(in: $0, upTo: valueLimit) }
        guard values <= valueLimit else {
            throw VarveError(.corrupt, "\(what) has more than \(valueLimit) values, which none has")
        }
        let value: T
        do {
            value = try JSONDecoder().decode(type, from: Data(bytes))
        } catch {
            throw VarveError(.corrupt, "\(what) is not valid: \(describe(error))")
        }
        do {
            try (value as? any CheckedDocument)?.check()
        } catch var error {
            error.message = "\(what) is not valid: \(error.message)"
            throw error
        }
        return value
    }

    /// At least as many as there are: what begins a value, or comes between two. Stops soon after the limit.
    static func countValues(in bytes: UnsafeRawBufferPointer, upTo limit: Int) -> Int {
        var count = 1
        var isString = false
        var isEscaped = false
        for byte in bytes {
            if isString {
                if isEscaped {
                    isEscaped = false
                } else if byte == UInt8(ascii: "\\") {
                    isEscaped = true
                } else if byte == UInt8(ascii: "\"") {
                    isString = false
                }
                continue
            }
            switch byte {
            case UInt8(ascii: "\""): isString = true
            case UInt8(ascii: ","), UInt8(ascii: ":"), UInt8(ascii: "["), UInt8(ascii: "{"):
                count += 1
                if count > limit { return count }
            default: break
            }
        }
        return count
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
