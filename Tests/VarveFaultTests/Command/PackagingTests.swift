import Glibc
import ProcessSupport
import Testing
import VarveFiles
import VarveFormat

extension FaultTests {
    /// `make install`, `make uninstall` and `make deb`, behind the build.
    @Suite(.serialized) struct PackagingTests {
        private static let scripts = Path.join(
            Path.parent(Path.parent(Path.parent(Path.parent(#filePath)))), "scripts")

        private static let expected = [
            "bin/varve", "libexec/varve/varve-capture-bdb", "share/man/man1/varve.1",
            "share/man/man1/varve-copy-sync.1", "share/bash-completion/completions/varve",
            "share/zsh/site-functions/_varve", "share/fish/vendor_completions.d/varve.fish",
        ]

        private func install(_ root: String, _ arguments: [String]) throws -> Finished {
            try run(
                "sh", [Path.join(Self.scripts, "install.sh")] + arguments, environment: ["DESTDIR": root])
        }

        @Test func whatIsInstalledIsRemovedAndNothingElse() throws {
            let directory = try TemporaryDirectory()
            let root = directory["root"]
            for path in ["usr/local/bin", "usr/local/share/man/man1"] {
                try Directory.createAll(Path.join(root, path))
            }
            try run(
                "touch",
                [Path.join(root, "usr/local/bin/other"), Path.join(root, "usr/local/share/man/man1/x.1")]
            )
            .require(0)
            func names() throws -> [String] {
                try run("find", [root, "-printf", "%P %y\n"]).require(0).output.split(separator: "\n").map(
                    String.init
                ).sorted()
            }
            let before = try names()
            try install(root, [Executable.directory, "/usr/local"]).require(0)
            for path in Self.expected {
                #expect(access(Path.join(root, "usr/local/" + path), F_OK) == 0, "\(path)")
            }
            // It runs where it is, and finds its helper.
            let version = try run(Path.join(root, "usr/local/bin/varve"), ["--version"])
            #expect(version.code == 0, "\(version)")
            // Twice, as an update does; and somebody else uses a directory that it has made.
            try install(root, [Executable.directory, "/usr/local"]).require(0)
            let foreign = Path.join(root, "usr/local/share/fish/vendor_completions.d/foreign.fish")
            try run("touch", [foreign]).require(0)
            try install(root, ["--remove", "/usr/local"]).require(0)
            let left = Set(try names()).subtracting(before)
            #expect(
                left == [
                    "usr/local/share/fish d", "usr/local/share/fish/vendor_completions.d d",
                    "usr/local/share/fish/vendor_completions.d/foreign.fish f",
                ])
            try run("rm", ["-r", Path.join(root, "usr/local/share/fish")]).require(0)
            #expect(try names() == before)
            // There is nothing to remove any more.
            #expect(try install(root, ["--remove", "/usr/local"]).code == 1)
            #expect(try names() == before)
        }

        @Test func aPrefixOfItsOwn() throws {
            let directory = try TemporaryDirectory()
            try install(directory.path, [Executable.directory, "/prefix"]).require(0)
            #expect(try Directory.list(directory.path) == ["prefix"])
            try install(directory.path, ["--remove", "/prefix"]).require(0)
            #expect(try Directory.list(directory.path) == [])
        }

        /// The same binaries make the same package, whenever and wherever.
        @Test(.needs("dpkg-deb", "strip"), .timeLimit(.minutes(5))) func aDebianPackage() throws {
            let directory = try TemporaryDirectory()
            func make(_ name: String, _ environment: [String: String] = [:]) throws -> String {
                let finished = try run(
                    "sh", [Path.join(Self.scripts, "deb.sh"), Executable.directory, directory[name]],
                    environment: ["SOURCE_DATE_EPOCH": "1795000000", "DEB_MAINTAINER": "A <a@example.org>"]
                        .merging(environment) { $1 }, seconds: 200
                ).require(0)
                return String(finished.output.dropLast())
            }
            let package = try make("one")
            let fields = try run("dpkg-deb", ["-f", package]).require(0).output
            for field in ["Package: varve\n", "Maintainer: A <a@example.org>\n"] {
                #expect(fields.contains(field), "\(fields)")
            }
            for library in ["libb2-1", "libc6", "libdb5.3", "libisal2", "libzstd1"] {
                #expect(fields.contains(library), "\(library): \(fields)")
            }
            let tree = directory["tree"]
            try run("dpkg-deb", ["-x", package, tree]).require(0)
            for path in [
                "bin/varve", "libexec/varve/varve-capture-bdb", "share/man/man1/varve.1.gz",
                "share/man/man1/varve-backup.1.gz", "share/bash-completion/completions/varve",
                "share/zsh/vendor-completions/_varve", "share/doc/varve/copyright",
                "share/doc/varve/changelog.Debian.gz",
            ] {
                #expect(access(Path.join(tree, "usr/" + path), F_OK) == 0, "\(path)")
            }
            let listed = try run("dpkg-deb", ["-c", package]).require(0).output.split(separator: "\n")
            #expect(listed.count > 40 && listed.allSatisfy { $0.contains(" root/root ") }, "\(listed)")
            #expect(listed.allSatisfy { $0.contains(" 2026-11-18 ") }, "\(listed)")
            #expect(!listed.contains { $0.contains("share/varve") })
            sleep(1)
            try run("cmp", [package, make("two", ["TMPDIR": "/var/tmp"])]).require(0)
            // The control: the time is in it.
            let later = try make("three", ["SOURCE_DATE_EPOCH": "1795100000"])
            #expect(try run("cmp", ["-s", package, later]).code == 1)
        }
    }
}
