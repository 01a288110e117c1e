"""The comparison: every tool backs up the same files, day by day, in the same run."""

import os
import shutil
import statistics
from dataclasses import dataclass, field

from .files import difference, read_all, sync_directory, tree_size
from .process import CommandFailed
from .tools import ALL
from .workload import Workload

#: What is measured, in the order of the table; each has a list of values, one for each run (or day of a run).
MEASURES = (
    "first_wall", "first_cpu", "first_peak", "first_sync", "first_size",
    "next_wall", "next_cpu", "next_peak", "next_sync", "growth",
    "restore_wall", "restore_cpu", "restore_peak", "restore_synced_wall",
    "verify_wall", "verify_cpu", "verify_peak", "verified_size",
)  # fmt: skip


@dataclass
class Row:
    """What was measured of one tool. A row with a `reason` says why there are no (further) figures."""

    name: str
    note: str = ""
    version: str = ""
    reason: str = ""
    failed: bool = False
    identical: bool = False
    values: dict = field(default_factory=lambda: {measure: [] for measure in MEASURES})

    def add(self, **measured):
        for measure, value in measured.items():
            self.values[measure].append(value)

    def median(self, measure):
        found = self.values[measure]
        return statistics.median(found) if found else None

    def fail(self, reason):
        self.reason, self.failed = reason, True


class Comparison:
    """Runs the tools named, `runs` times over, in `work`; `say` gets a line of progress now and then."""

    def __init__(self, parameters, names, runs, days, work, say):
        self.parameters, self.runs, self.days, self.work, self.say = parameters, runs, days, work, say
        self.rows = {name: Row(name, ALL[name].note) for name in names}
        self.source_bytes = []

    def run(self):
        for row in self.rows.values():
            tool = ALL[row.name](self.work)
            row.reason = tool.missing() or ""
            row.version = "" if row.reason else tool.version()
        for number in range(self.runs):
            self.say(f"run {number + 1} of {self.runs}")
            self.run_once(number)
        return self.rows

    def run_once(self, number):
        workload = Workload(os.path.join(self.work, "environment"), self.parameters)
        seed = self.parameters.seed + 1000 * number
        self.say("  generate")
        workload.generate(seed)
        tools = {}
        for name, row in self.rows.items():
            if row.reason:
                continue
            directory = os.path.join(self.work, name)
            shutil.rmtree(directory, ignore_errors=True)
            os.makedirs(directory)
            tools[name] = ALL[name](directory)
            self.attempt(row, tools[name].init)
        sizes = dict.fromkeys(tools, 0)
        for day in range(self.days + 1):
            if day > 0:
                workload.day(seed + day)
            names = workload.files()
            self.source_bytes.append(workload.size())
            sync_directory(workload.home)
            for name in self.order(tools, number + day):
                self.back_up(self.rows[name], tools[name], workload, names, day, sizes)
        for name in self.order(tools, number):
            self.bring_back(self.rows[name], tools[name], workload, names)
        for name in tools:
            shutil.rmtree(tools[name].directory, ignore_errors=True)

    def order(self, tools, turn):
        """The tools that still run, each day beginning with another one: none always goes first."""
        names = [name for name in tools if not self.rows[name].failed]
        turn = turn % max(len(names), 1)
        return names[turn:] + names[:turn]

    def attempt(self, row, action, *arguments):
        """The usage of an action, or None when it failed: then the row says why, and the tool is left out."""
        try:
            return action(*arguments)
        except (CommandFailed, OSError) as failure:
            row.fail(str(failure))
            self.say(f"  {row.name}: {failure}")
            return None

    def back_up(self, row, tool, workload, names, day, sizes):
        # Everyone finds the files in the page cache, and no dirty pages of the one before.
        for name in names:
            read_all(os.path.join(workload.home, name))
        usage = self.attempt(row, tool.backup, workload.home, names, day)
        if usage is None:
            return
        # What a tool left for the kernel to write is a cost that its own time does not show.
        synced = sync_directory(tool.repository)
        size = tree_size(tool.repository)
        grown = size - sizes[row.name]
        kind = "next" if day else "first"
        row.add(**{
            f"{kind}_wall": usage.wall, f"{kind}_cpu": usage.cpu, f"{kind}_peak": usage.peak_bytes,
            f"{kind}_sync": synced, "growth" if day else "first_size": grown,
        })  # fmt: skip
        sizes[row.name] = size
        self.say(f"  day {day} {row.name}: {usage.wall:.2f} s, +{grown:,} bytes")

    def bring_back(self, row, tool, workload, names):
        target = os.path.join(tool.directory, "restored")
        read_all(tool.repository)
        usage = self.attempt(row, tool.restore, target)
        if usage is None:
            return
        synced = sync_directory(target)
        found = difference(workload.home, target, names)
        shutil.rmtree(target, ignore_errors=True)
        if found is not None:
            row.fail(f"restored files differ: {found}")
            self.say(f"  {row.name}: {row.reason}")
            return
        row.identical = True
        row.add(
            restore_wall=usage.wall, restore_cpu=usage.cpu, restore_peak=usage.peak_bytes,
            restore_synced_wall=usage.wall + synced,
        )  # fmt: skip
        size = tree_size(tool.repository)
        usage = self.attempt(row, tool.verify)
        if usage is not None:
            row.add(
                verify_wall=usage.wall, verify_cpu=usage.cpu, verify_peak=usage.peak_bytes, verified_size=size
            )
            self.say(f"  {row.name}: restored bit for bit, verified")
