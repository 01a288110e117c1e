"""The work that is backed up: a transactional environment, made and changed by `bdb-workload`."""

import os
import shutil
from dataclasses import dataclass

from .files import environment_files, tree_size
from .process import CommandFailed, executable, run


@dataclass
class Parameters:
    """What the environment looks like and what a day does to it."""

    page_size: int
    records: int
    value_size: int
    update: float
    insert: float
    seed: int
    method: str = "btree"
    delete: float = 0.0
    #: Further options of `bdb-workload`: for its layout, given always, and for a day alone.
    layout: tuple = ()
    changes: tuple = ()
    password_file: str = ""


def program():
    """The path of `bdb-workload`; raises `CommandFailed` when it is not built."""
    path = executable("bdb-workload")
    if path is None:
        raise CommandFailed("bdb-workload is not built: swift build -c release --product bdb-workload")
    return path


class Workload:
    """A closed environment in a directory of its own, which is made anew by `generate`."""

    def __init__(self, home, parameters):
        self.home = home
        self.parameters = parameters

    def call(self, command, seed, *arguments):
        chosen = self.parameters
        fixed = ["--home", self.home, "--seed", str(seed), "--method", chosen.method]
        fixed += ["--page-size", str(chosen.page_size), "--value-size", str(chosen.value_size)]
        fixed += ["--encrypt", chosen.password_file] if chosen.password_file else []
        return run([program(), command, *fixed, *chosen.layout, *arguments])

    def generate(self, seed, keep_regions=False):
        """Makes the environment: one bulk-loaded database, checkpointed and closed."""
        shutil.rmtree(self.home, ignore_errors=True)
        os.makedirs(self.home)
        records = ["--records", str(self.parameters.records)]
        return self.call("generate", seed, *records, *(["--keep-regions"] if keep_regions else []))

    def day(self, seed):
        """A day's changes; removes the logs that a recovery no longer needs, as operators do."""
        chosen = self.parameters
        shares = ["--update", chosen.update, "--insert", chosen.insert, "--delete", chosen.delete]
        return self.call("day", seed, "--remove-logs", *map(str, shares), *chosen.changes)

    def files(self):
        return environment_files(self.home)

    def size(self):
        return sum(tree_size(os.path.join(self.home, name)) for name in self.files())


class Reloaded(Workload):
    """Each day ends with a dump and a load into a new file."""

    def day(self, seed):
        super().day(seed)
        return self.call("reload", seed, "--remove-logs")


class Cloned(Workload):
    """Each day the environment as it was first is cloned under a new home, which has a day's changes then."""

    def generate(self, seed, keep_regions=False):
        super().generate(seed, keep_regions)
        self.original, self.clones = self.home, 0

    def day(self, seed):
        self.clones += 1
        self.home = f"{self.original}-clone-{self.clones}"
        shutil.rmtree(self.home, ignore_errors=True)
        run(["cp", "-a", self.original, self.home])
        return super().day(seed)
