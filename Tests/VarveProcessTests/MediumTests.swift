import Glibc
import ProcessSupport
import Testing
import VarveFiles
import VarveFormat

extension ProcessTests {
    /// What is on the medium is told although the page cache has something better.
    @Suite struct MediumTests {
        private struct Output: Decodable {
            struct Media: Decodable {
                struct Finding: Decodable {
                    var object: String
                    var problem: String
                    var range: [UInt64]?
                }
                struct Reading: Decodable {
                    var direct: Int
                    var dropBehind: Int
                    var notes: [String]
                }
                var findings: [Finding]
                var reading: Reading
            }
            var media: Media
        }

        /// A repository of some MiB on the mounted file system, all of it on the disk and in the page cache.
        private func makeRepository(_ mounted: String, _ directory: TemporaryDirectory) throws -> VarveCommand
        {
            let home = directory["home"]
            try run(
                Executable.workload,
                ["run", "--home", home, "--seconds", "0.5", "--remove-regions", "--records", "20000"]
            ).require(0)
            let varve = try VarveCommand.initialized(Path.join(mounted, "repository"))
            try varve.run(["backup", "--bdb", home, "--offline"]).require(0)
            try run("sync", ["-f", mounted]).require(0)
            return varve
        }

        /// The largest pack, and where its byte `offset` lies in the image; of whole blocks.
        private func place(_ varve: VarveCommand, _ offset: UInt64) throws -> (pack: String, inImage: UInt64)
        {
            let packs = try FileTree.files(in: Path.join(varve.repository, "packs"))
            let sized = try packs.map { ($0, try FileStatus.of($0)?.size ?? 0) }
            let (pack, size) = try #require(sized.max { $0.1 < $1.1 })
            try #require(size > offset + 8192, "the pack is too small")
            let map = try run("filefrag", ["-v", "-b4096", pack]).require(0).output
            // `   0:        0..     255:      34816..     35071:    256:  last,eof`
            for line in map.split(separator: "\n") {
                let numbers = line.split { !$0.isNumber }.compactMap { UInt64($0) }
                guard numbers.count >= 6, line.contains(".."), line.contains(":") else { continue }
                if (numbers[1]...numbers[2]).contains(offset / 4096) {
                    return (pack, (numbers[3] + offset / 4096 - numbers[1]) * 4096)
                }
            }
            throw ProcessFailure("where is byte \(offset)? \(map)")
        }

        private func isCachedGood(_ pack: String) throws -> Bool {
            try run("b2sum", ["-l", "256", pack]).require(0).output.hasPrefix(Path.name(pack))
        }

        private func media(_ varve: VarveCommand, _ arguments: [String] = []) throws -> (Finished, Output) {
            let finished = try varve.run(["verify", "--media", "--json"] + arguments)
            return (finished, try finished.require(0, 1).decode(Output.self))
        }

        @Test(.needsDisk("ext4")) func aBlockThatChangedBeneathTheCache() throws {
            let directory = try TemporaryDirectory()
            let mount = try LoopMount(.ext4, in: directory)
            defer { mount.unmount() }
            let varve = try makeRepository(mount.path, directory)
            let (good, before) = try media(varve)
            #expect(good.code == 0 && before.media.reading.dropBehind == 0, "\(good)")
            let (pack, inImage) = try place(varve, 8192)
            #expect(try isCachedGood(pack))
            let image = try File.open(updating: mount.image)
            try [UInt8](repeating: 0xA5, count: 4096).withUnsafeBytes { try image.write($0, at: inImage) }
            try image.sync()
            // The control: whoever reads as everybody does notices nothing.
            #expect(try isCachedGood(pack))
            #expect(try media(varve, ["--cached"]).0.code == 0)
            let (bad, after) = try media(varve)
            #expect(bad.code == 1, "\(bad)")
            #expect(after.media.findings.map(\.object) == ["packs/\(Path.name(pack))"])
            #expect(after.media.findings.map(\.range) == [[8192, 12288]], "\(bad)")
            #expect(after.media.findings.first?.problem.contains("page cache still holds") == true, "\(bad)")
            // It is remembered, and read again whatever its age.
            #expect(try media(varve, ["--older-than", "1h"]).0.code == 1)
        }

        /// An unreadable block is narrowed down to its 4 KiB; and a copy on a read-only disk can be verified, too.
        @Test(.needsDisk("ext4"), .needsFuse()) func aBlockThatCanNotBeRead() throws {
            let directory = try TemporaryDirectory()
            let mount = try LoopMount(.ext4, in: directory)
            let varve: VarveCommand
            let (pack, inImage): (String, UInt64)
            do {
                defer { mount.unmount() }
                varve = try makeRepository(mount.path, directory)
                (pack, inImage) = try place(varve, 20480)
            }
            let fuse = directory["fuse"]
            try Directory.create(fuse)
            try Text.write("", to: directory["bad"])
            let script = Path.join(Path.parent(#filePath), "faulty-file.py")
            let server = try RunningProcess(
                "/usr/bin/python3", [script, mount.image, directory["bad"], fuse])
            defer {
                _ = try? run("umount", ["-l", fuse])
                _ = try? server.wait(seconds: 20)
            }
            try waitUntil("the FUSE file") { access(Path.join(fuse, "image"), F_OK) == 0 }
            try run("mount", ["-o", "ro,loop", Path.join(fuse, "image"), mount.path]).require(0)
            defer { mount.unmount() }
            #expect(try isCachedGood(pack))
            try Text.write("\(inImage) \(inImage + 4096)\n", to: directory["bad"])
            #expect(try isCachedGood(pack))
            let (bad, output) = try media(varve)
            #expect(bad.code == 1, "\(bad)")
            #expect(output.media.findings.map(\.object) == ["packs/\(Path.name(pack))"], "\(bad)")
            #expect(output.media.findings.map(\.range) == [[20480, 24576]], "\(bad)")
            #expect(output.media.reading.notes.contains { $0.contains("can't be recorded") }, "\(bad)")
            // The control: it is the medium alone.
            try Text.write("", to: directory["bad"])
            #expect(try media(varve).0.code == 0)
        }
    }
}
