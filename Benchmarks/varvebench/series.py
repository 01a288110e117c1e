"""Many days of one environment: how the repositories grow, and what the newest snapshot costs at the end."""

import os
import shutil
import statistics

from .files import difference, evict, is_log, read_all, sync_directory, tree_size
from .machine import copy_files, direct_read
from .process import CommandFailed
from .stored import Stored
from .turns import Turns
from .workload import Workload

#: Per day: `size` of the repository, what the day added (`growth`), and without the logs (`databases`).
#: Per run at the end: the newest snapshot restored, everything verified.
MEASURES = (
    "size", "growth", "databases", "backup_wall",
    "restore_wall", "restore_cpu", "restore_synced_wall",
    "verify_wall", "verify_cpu", "media_wall", "media_cpu", "media_cold_wall",
)  # fmt: skip

#: The tools whose times are compared are verified as often as there are runs, others once.
VERIFIED_EACH_RUN = ("varve", "restic")


class Series(Turns):
    """`days` days after the first backup in one repository of each tool; then `runs` restores and checks."""

    def __init__(self, parameters, names, days, runs, work, say):
        super().__init__(names, MEASURES, work, say)
        self.parameters, self.days, self.runs = parameters, days, runs
        self.source_bytes, self.log_bytes = [], []
        self.limits = {"cp_wall": [], "direct_wall": []}
        self.decoded_per_byte = None
        self.stored = None

    def run(self):
        """The values for JSON, without the rows."""
        self.look_for_tools()
        workload = Workload(os.path.join(self.work, "environment"), self.parameters)
        self.say("series: generate")
        workload.generate(self.parameters.seed)
        tools = self.start()
        for day in range(self.days + 1):
            if day > 0:
                workload.day(self.parameters.seed + day)
            self.one_day(workload, tools, day)
        for number in range(self.runs):
            self.at_the_end(workload, tools, number)
        if "varve" in self.order(tools, 0):
            self.decoded_per_byte = self.stored.decoded_per_byte(tools["varve"].files())
        for tool in tools.values():
            shutil.rmtree(tool.directory, ignore_errors=True)
        return {
            "days": self.days, "runs": self.runs, "source_bytes": self.source_bytes,
            "log_bytes": self.log_bytes, "decoded_per_byte": self.decoded_per_byte, "limits": self.limits,
        }  # fmt: skip

    def one_day(self, workload, tools, day):
        names = workload.files()
        self.source_bytes.append(workload.size())
        self.log_bytes.append(sum(
            tree_size(os.path.join(workload.home, name)) for name in names if is_log(name)
        ))  # fmt: skip
        sync_directory(workload.home)
        for name in names:
            read_all(os.path.join(workload.home, name))
        for name in self.order(tools, day):
            row = self.rows[name]
            before = row.values["size"][-1] if day else 0
            step = self.back_up_varve if name == "varve" else self.back_up_peer
            found = self.attempt(row, step, tools[name], workload, names, day, before)
            if found is None:
                continue
            size, databases, wall = found
            row.add(size=size, growth=size - before, databases=databases, backup_wall=wall)
            self.say(f"  day {day} {name}: +{size - before:,} bytes, {databases:,} of them without logs")

    def back_up_peer(self, tool, workload, names, day, before):
        """The databases, then everything: the second adds the logs, and a second snapshot's metadata."""
        databases = [name for name in names if not is_log(name)]
        first = tool.backup(workload.home, databases, f"{day}-databases")
        between = tree_size(tool.repository)
        second = tool.backup(workload.home, names, day)
        sync_directory(tool.repository)
        return tree_size(tool.repository), between - before, first.wall + second.wall

    def back_up_varve(self, tool, workload, names, day, before):
        """Everything at once; what of it is for logs alone is read from the packs."""
        usage = tool.backup(workload.home, names, day)
        sync_directory(tool.repository)
        size = tree_size(tool.repository)
        if day == 0:
            self.stored = Stored(tool.repository)
        logs = self.stored.taken(self.stored.update(), tool.files(), "log")
        return size, size - before - logs, usage.wall

    def at_the_end(self, workload, tools, number):
        self.say(f"series: restore and verify, run {number + 1} of {self.runs}")
        names = workload.files()
        self.copy(workload, names)
        for name in self.order(tools, number):
            self.bring_back(self.rows[name], tools[name], workload, names)
        for name in self.order(tools, number):
            if number == 0 or name in VERIFIED_EACH_RUN:
                self.check(self.rows[name], tools[name])
        if "varve" in self.order(tools, number):
            self.check_media(self.rows["varve"], tools["varve"])

    def copy(self, workload, names):
        """The limit of every restore: the same files by `cp`, on the disk."""
        seconds = copy_files(names, workload.home, os.path.join(self.work, "copied"))
        self.limits["cp_wall"].append(seconds)

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
            restore_wall=usage.wall, restore_cpu=usage.cpu, restore_synced_wall=usage.wall + synced
        )  # fmt: skip
        self.say(f"  {row.name}: restored in {usage.wall:.2f} s, + sync {synced:.2f} s")

    def check(self, row, tool):
        read_all(tool.repository)
        usage = self.attempt(row, tool.verify)
        if usage is not None:
            row.add(verify_wall=usage.wall, verify_cpu=usage.cpu)
            self.say(f"  {row.name}: verified in {usage.wall:.2f} s")

    def check_media(self, row, tool):
        """Every stored byte against its name: through the page cache, from the disk, and `dd` of the same bytes."""
        read_all(tool.repository)
        usage = self.attempt(row, tool.verify_media, True)
        if usage is None:
            return
        evict(tool.repository)
        cold = self.attempt(row, tool.verify_media)
        if cold is None:
            return
        row.add(media_wall=usage.wall, media_cpu=usage.cpu, media_cold_wall=cold.wall)
        try:
            self.limits["direct_wall"].append(direct_read(tool.repository, self.work))
        except CommandFailed as failure:
            self.say(f"  no direct reads: {failure}")
        self.say(f"  media verified in {usage.wall:.2f} s, cold {cold.wall:.2f} s")


def growth(row, measure="growth"):
    """The mean of the days after the first: merges of indexes come in some of them only."""
    days = row.values.get(measure, [])[1:]
    return statistics.mean(days) if days else None
