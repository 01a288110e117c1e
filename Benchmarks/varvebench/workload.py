"""The work that is backed up: a transactional btree environment, made and changed by `bdb-workload`."""

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

    def generate(self, seed, keep_regions=False):
        """Makes the environment: one bulk-loaded btree, checkpointed and closed."""
        shutil.rmtree(self.home, ignore_errors=True)
        os.makedirs(self.home)
        chosen = self.parameters
        arguments = [program(), "generate", "--home", self.home, "--method", "btree"]
        arguments += ["--records", str(chosen.records), "--page-size", str(chosen.page_size)]
        arguments += ["--value-size", str(chosen.value_size), "--seed", str(seed)]
        return run(arguments + (["--keep-regions"] if keep_regions else []))

    def day(self, seed):
        """A day's updates and inserts; removes the logs that a recovery no longer needs, as operators do."""
        chosen = self.parameters
        arguments = [program(), "day", "--home", self.home, "--seed", str(seed), "--remove-logs"]
        return run(arguments + ["--update", str(chosen.update), "--insert", str(chosen.insert)])

    def files(self):
        return environment_files(self.home)

    def size(self):
        return sum(tree_size(os.path.join(self.home, name)) for name in self.files())
