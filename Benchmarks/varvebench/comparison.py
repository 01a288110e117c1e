"""The comparison: every tool backs up the same files, day by day, in the same run."""

import os
import shutil

from .files import difference, read_all, sync_directory, tree_size
from .turns import Turns
from .workload import Workload

#: What is measured, in the order of the table; each has a list of values, one for each run (or day of a run).
MEASURES = (
    "first_wall", "first_cpu", "first_peak", "first_sync", "first_size",
    "next_wall", "next_cpu", "next_peak", "next_sync", "growth",
    "restore_wall", "restore_cpu", "restore_peak", "restore_synced_wall",
    "verify_wall", "verify_cpu", "verify_peak", "verified_size",
)  # fmt: skip


class Comparison(Turns):
    """Runs the tools named, `runs` times over, in `work`; `say` gets a line of progress now and then."""

    def __init__(self, parameters, names, runs, days, work, say, kind=Workload):
        super().__init__(names, MEASURES, work, say)
        self.parameters, self.runs, self.days, self.kind = parameters, runs, days, kind
        self.source_bytes = []

    def run(self):
        self.look_for_tools()
        for number in range(self.runs):
            self.say(f"run {number + 1} of {self.runs}")
            self.run_once(number)
        return self.rows

    def run_once(self, number):
        workload = self.kind(os.path.join(self.work, "environment"), self.parameters)
        seed = self.parameters.seed + 1000 * number
        self.say("  generate")
        workload.generate(seed)
        tools = self.start(self.parameters.password_file)
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
