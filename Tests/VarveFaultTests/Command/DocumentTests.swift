import Foundation
import Glibc
import ProcessSupport
import Testing
import VarveFiles
import VarveFormat

extension FaultTests {
    /// The JSON documents: what all have in common, and that the page about them tells the truth.
    @Suite(.serialized) struct DocumentTests {
        /// Times, snapshots and `schema` in a document, wherever they are.
        private struct Reader {
            /// Paths of keys: `copies.label`.
            private(set) var keys: Set<String> = []
            private(set) var faults: [String] = []
            private(set) var times = 0
            private(set) var snapshots = 0

            init(_ finished: Finished) throws {
                let value = try JSONSerialization.jsonObject(with: Data(finished.output.utf8))
                guard let object = value as? [String: Any] else {
                    throw ProcessFailure("no object: \(finished)")
                }
                if object["schema"] as? Int != 1 { faults.append("schema is not 1") }
                read(object, "")
            }

            init(text: String) throws {
                let value = try JSONSerialization.jsonObject(with: Data(text.utf8))
                guard let object = value as? [String: Any] else { throw ProcessFailure("no object: \(text)") }
                read(object, "")
            }

            private mutating func read(_ value: Any, _ path: String) {
                if let list = value as? [Any] { return list.forEach { read($0, path) } }
                guard let object = value as? [String: Any] else { return }
                for (key, member) in object {
                    let place = path.isEmpty ? key : path + "." + key
                    keys.insert(place)
                    if let text = member as? String, let time = Timestamp(text) {
                        times += 1
                        if object[key + "Unix"] as? Int64 != time.seconds { faults.append("\(place)Unix") }
                    }
                    if key == "snapshot", let name = member as? String {
                        snapshots += 1
                        let number = name.prefix { $0 != "-" }
                        if object["sequence"] as? UInt64 != UInt64(number) || name.count != number.count + 9 {
                            faults.append("\(place) \(name) without its sequence")
                        }
                    }
                    read(member, place)
                }
            }
        }

        private static let page = Path.join(
            Path.parent(Path.parent(Path.parent(Path.parent(#filePath)))), "Documentation/using/json.md")

        /// The examples of the page, by the commands in their headings.
        private static func examples() throws -> [String: String] {
            var examples: [String: String] = [:]
            var (name, block): (String?, [Substring]?)
            for line in try Text.read(page).split(separator: "\n", omittingEmptySubsequences: false) {
                if line.hasPrefix("### `varve ") {
                    name = String(line.dropFirst("### `varve ".count).prefix { $0 != "`" })
                } else if line == "```json" {
                    block = []
                } else if line == "```", let name, let lines = block {
                    examples[name] = lines.joined(separator: "\n")
                    block = nil
                } else {
                    block?.append(line)
                }
            }
            return examples
        }

        @Test func everyDocumentIsAsThePageSays() throws {
            let scene = try CommandScene(["--json"])
            var seen: [String: Set<String>] = [:]
            var (times, snapshots) = (0, 0)
            func read(_ name: String, _ finished: Finished) throws {
                #expect(finished.code == 0, "\(finished)")
                let reader = try Reader(finished)
                #expect(reader.faults.isEmpty, "\(name): \(reader.faults)\n\(finished.output)")
                seen[name, default: []].formUnion(reader.keys)
                times += reader.times
                snapshots += reader.snapshots
            }
            try scene.performAll(read)
            try scene.listAll(read)
            #expect(times > 20 && snapshots > 10)
            let failed = try scene.perform(["snapshots", "-r", scene.directory["none"]])
            #expect(failed.code == 64, "\(failed)")
            seen["snapshots, failed"] = try Reader(
                run(Executable.varve, ["snapshots", "-r", scene.directory["none"], "--json"])
            ).keys
            let examples = try Self.examples()
            #expect(examples.keys.sorted() == seen.keys.sorted())
            for (name, keys) in seen {
                var shown = try examples[name].map { try Reader(text: $0).keys } ?? []
                // A chroot's list of mounts does not name the disk's device. A file's identity holds the number there, too.
                if Device.describe(scene.directory.path) == nil {
                    shown = shown.filter { !$0.hasSuffix(".device") || $0.hasSuffix(".identity.device") }
                }
                #expect(
                    shown == keys,
                    "\(name): not on the page: \(keys.subtracting(shown).sorted()); not printed: \(shown.subtracting(keys).sorted())"
                )
            }
        }

        /// Several of one kind, and what is there only then.
        @Test func aFailureIsADocumentToo() throws {
            let scene = try CommandScene()
            try scene.command.run(["init"]).require(0)
            try scene.command.run(scene.backup).require(0)
            struct Failed: Decodable {
                struct Failure: Decodable {
                    var code: String
                    var message: String
                    var location: String?
                    var hint: String?
                    var exit: Int32
                }
                var schema: Int
                var error: Failure
                var good: Bool?
            }
            func requireFailure(_ finished: Finished, _ code: String, _ exit: Int32) throws -> Failed {
                let failed = try finished.decode(Failed.self)
                #expect(finished.code == exit && failed.error.exit == exit, "\(finished)")
                #expect(failed.schema == 1 && failed.error.code == code, "\(finished)")
                #expect(!failed.error.message.isEmpty && !finished.errors.isEmpty)
                return failed
            }
            // Of the command line, which the parser has not understood.
            for arguments in [
                ["backup", "--json"], ["--json", "nosuch"], ["snapshots", "--nosuch", "--json"],
                ["backup", "--bdb", "", "--json"], ["--json", "backup", "--bdb", "a", "--bdb", "b"],
                ["--json", "backup", "--offline", "--bdb", scene.home, "--without", "nosuch"],
            ] {
                _ = try requireFailure(scene.command.run(arguments), "usage", 64)
                #expect(try scene.command.run(arguments.filter { $0 != "--json" }).output.isEmpty)
            }
            let none = VarveCommand(repository: scene.directory["none"])
            let missing = try requireFailure(none.run(["snapshots", "--json"]), "no-repository", 10)
            #expect(missing.error.hint?.contains("varve init") == true)
            guard let lock = try FileLock.acquire(Path.join(scene.command.repository, "lock"), .exclusive)
            else {
                throw ProcessFailure("somebody writes")
            }
            _ = try requireFailure(scene.command.run(scene.backup + ["--json"]), "locked", 11)
            _ = consume lock
            // What was found is in it as well.
            let pack = try #require(Stored(scene.command.repository).objects.first { $0.hasPrefix("packs/") })
            let name = String(pack.dropFirst("packs/".count))
            try run("rm", ["-f", Path.join(scene.command.repository, "packs/\(name.prefix(2))/\(name)")])
                .require(0)
            let verified = try scene.command.run(["verify", "--json"])
            #expect(try requireFailure(verified, "corrupt", 1).good == false)
            #expect(verified.output.contains(name))
            // Nothing but the document, and no document without the flag.
            #expect(verified.output.hasPrefix("{\n") && verified.output.hasSuffix("\n}\n"))
            let plain = try scene.command.run(["verify"])
            #expect(plain.code == 1 && !plain.output.contains("{"), "\(plain)")
        }

        /// Quiet, it is the document alone.
        @Test func quietly() throws {
            let scene = try CommandScene(["--json", "-q"])
            try scene.performAll { name, finished in
                #expect(finished.code == 0 && finished.errors.isEmpty, "\(name): \(finished)")
                _ = try Reader(finished)
            }
        }
    }
}
