"""The tools that are compared: each backs up the same files, restores the newest backup, verifies all."""

import json
import os
import shlex

from .process import executable, run, shell, version_of


class Tool:
    """One tool with one repository below `directory`. Every method that runs it returns its `Usage`."""

    name = ""
    program = ""
    #: What a reader has to know to judge the row.
    note = ""

    #: Of an encrypted environment; a tool that does not look into the files needs none.
    password_file = None

    def __init__(self, directory):
        self.directory = directory
        self.repository = os.path.join(directory, "repository")

    def missing(self):
        """Why the tool cannot run here, or None."""
        return None if executable(self.program) else f"not installed: {self.program}"

    def version(self):
        return version_of([self.program, "--version"])

    def init(self):
        raise NotImplementedError

    def backup(self, home, names, day):
        raise NotImplementedError

    def restore(self, target):
        raise NotImplementedError

    def verify(self):
        raise NotImplementedError


class Varve(Tool):
    name = "varve"
    program = "varve"
    note = "verify: --content (every blob decoded, its id checked)"
    # By its name: `latest` is of one source, and clones are sources of their own.
    newest = "latest"

    def missing(self):
        return None if executable(self.program) else "not built: swift build -c release --product varve"

    def call(self, *arguments, under=(), **options):
        """`under` is a command that runs it, such as strace."""
        return run([*under, executable("varve"), *arguments, "-r", self.repository], **options)

    def init(self):
        return self.call("init")

    # --all-logs: the peers are given every log that is there, so varve stores every one too. --force: all files are
    # read, as the goals want it.
    def backup(self, home, names, day, **options):
        password = ["--password-file", self.password_file] if self.password_file else []
        usage = self.call("backup", "--json", "--bdb", home, "--offline", "--all-logs", *password, **options)
        # Messages come behind it.
        self.newest = json.JSONDecoder().raw_decode(usage.output)[0]["snapshot"]
        return usage

    def restore(self, target, **options):
        return self.call("restore", self.newest, "--target", target, **options)

    def verify(self, **options):
        return self.call("verify", "--content", **options)

    def verify_media(self, cached=False, **options):
        return self.call("verify", "--media", *(["--cached"] if cached else ["--restart"]), **options)

    def files(self):
        """The newest snapshot's files as its manifest has them."""
        return json.loads(self.call("show", self.newest, "--json").output)["files"]


class Restic(Tool):
    name = "restic"
    program = "restic"
    note = "always encrypts"

    def version(self):
        return version_of(["restic", "version"])

    def call(self, *arguments, cwd=None):
        settings = {
            "RESTIC_REPOSITORY": self.repository,
            "RESTIC_PASSWORD": "benchmark",
            "RESTIC_CACHE_DIR": os.path.join(self.directory, "cache"),
        }
        return run([executable("restic"), "--quiet", *arguments], cwd, settings)

    def init(self):
        return self.call("init")

    def backup(self, home, names, day):
        return self.call("backup", "--", *names, cwd=home)

    def restore(self, target):
        return self.call("restore", "latest", "--target", target)

    def verify(self):
        return self.call("check", "--read-data")


class Borg(Tool):
    name = "borg"
    program = "borg"
    note = "zstd,3; not encrypted"
    chunker = []

    def call(self, *arguments, cwd=None):
        settings = {
            "BORG_BASE_DIR": os.path.join(self.directory, "base"),
            "BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK": "yes",
            "BORG_RELOCATED_REPO_ACCESS_IS_OK": "yes",
        }
        return run([executable("borg"), *arguments], cwd, settings)

    def init(self):
        os.makedirs(os.path.join(self.directory, "base"))
        return self.call("init", "--encryption", "none", self.repository)

    def backup(self, home, names, day):
        self.newest = f"{self.repository}::day{day}"
        return self.call(
            "create", "--compression", "zstd,3", *self.chunker, self.newest, "--", *names, cwd=home
        )

    def restore(self, target):
        os.makedirs(target)
        return self.call("extract", self.newest, cwd=target)

    def verify(self):
        return self.call("check", "--verify-data", self.repository)


class BorgFixed(Borg):
    name = "borg-fixed"
    note = "chunks of 4096 bytes at fixed places; zstd,3; not encrypted"
    chunker = ["--chunker-params", "fixed,4096"]


class TarZstd(Tool):
    name = "tar-zstd"
    program = "zstd"
    note = "one archive a day; verify: zstd -t of all; nothing is synced to the disk"

    def init(self):
        os.makedirs(self.repository)
        return run(["true"])

    def backup(self, home, names, day):
        self.newest = os.path.join(self.repository, f"day{day}.tar.zst")
        listed = " ".join(shlex.quote(name) for name in names)
        return shell(f"tar -cf - -- {listed} | zstd -q -3 -T0 -o {shlex.quote(self.newest)}", cwd=home)

    def restore(self, target):
        os.makedirs(target)
        return shell(f"zstd -q -dc {shlex.quote(self.newest)} | tar -xf -", cwd=target)

    def verify(self):
        return shell(f"zstd -q -t {shlex.quote(self.repository)}/*.zst")


ALL = {tool.name: tool for tool in (Varve, Restic, Borg, BorgFixed, TarZstd)}
