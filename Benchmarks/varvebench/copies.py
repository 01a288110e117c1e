"""Several copies of a repository: written at once, brought up to date, healed, read, drilled."""

import concurrent.futures
import os
import re
import shutil
import statistics

from .disks import three_disks
from .files import difference, evict, is_log, read_all, sync_directory, tree_size
from .machine import copy_files, direct_read
from .process import CommandFailed, executable
from .tools import Varve
from .turns import Row
from .workload import Workload

#: What is measured once a run, beside what each disk has. `heal_after_wall`: without the reading that comes first.
MEASURES = (
    "all_wall", "all_cpu", "sync_wall", "sync_cpu", "heal_wall", "heal_cpu", "heal_read_wall",
    "heal_after_wall", "media_wall", "media_cpu", "drill_wall", "drill_cpu", "status_wall",
)  # fmt: skip

#: `cp` with fsync of packs to all disks at once; of packs and manifests, and of packs, to the first; `dd`.
LIMITS = ("all_wall", "objects_wall", "packs_wall", "direct_wall")

#: A line of `strace -y -ff`: a read of a file by its path, and what came of it.
READ = re.compile(r"^(?:read|readv|pread64|preadv|preadv2)\(\d+<([^>]*)>.* = (\d+)$")


class Copies:
    """`runs` runs in `work`, each with another environment. `disks` gives the directories of the copies."""

    def __init__(self, parameters, days, runs, work, say, disks=three_disks):
        self.parameters, self.days, self.runs = parameters, days, runs
        self.work, self.say, self.disks = work, say, disks
        self.measured = Row("copies", values={measure: [] for measure in MEASURES})
        self.limits = Row("limits", values={limit: [] for limit in LIMITS})
        self.sizes = Row("sizes")
        self.alone = []
        #: Of the machine, before each run: this benchmark's own, and whatever else is at work.
        self.load = []
        self.read = {}

    def run(self):
        """The values for JSON. Raises `CommandFailed`."""
        workload = Workload(os.path.join(self.work, "environment"), self.parameters)
        self.say("copies: generate")
        workload.generate(self.parameters.seed)
        # Whole MiB; as much as the environment and half of it again holds a repository and what is beside it.
        size = max(256, workload.size() * 3 // 2 >> 20) << 20
        with self.disks(self.work, size, self.say) as disks:
            self.alone = [Row(disk.name, values={"wall": [], "cpu": [], "cp_wall": []}) for disk in disks]
            for number in range(self.runs):
                self.load.append(os.getloadavg()[0])
                self.say(f"copies: run {number + 1} of {self.runs}, the load is {self.load[-1]:.2f}")
                self.run_once(workload, disks, number)
            self.say("copies: reads of the source are counted")
            self.read = self.count_reads(workload, disks)
        return {
            "runs": self.runs, "load": self.load, "reason": self.measured.reason,
            "version": Varve(self.work).version(),
            **{name: int(statistics.median(values)) for name, values in self.sizes.values.items()},
            "disks": [dict(name=row.name, **row.values) for row in self.alone],
            **self.measured.values, "source_read": self.read, "limits": self.limits.values,
        }  # fmt: skip

    def run_once(self, workload, disks, number):
        seed = self.parameters.seed + 1000 * number
        if number > 0:
            workload.generate(seed)
        sync_directory(workload.home)
        self.sizes.add(source_bytes=workload.size())
        # Each disk by itself and all at once take turns: none always goes first.
        every = [[disk] for disk in disks] + [disks]
        turn = number % len(every)
        # The first after an environment was made is often slower, wherever it goes: it does not count.
        self.first_backup(workload, disks[:1], disks, counts=False)
        for chosen in every[turn:] + every[:turn]:
            self.first_backup(workload, chosen, disks)
        full = at(disks[0].path, "full")
        full.init()
        for day in range(self.days + 1):
            if day > 0:
                workload.day(seed + day)
            full.backup(workload.home, [], day)
        self.sizes.add(newest_bytes=workload.size())
        lean = at(disks[0].path, "lean")
        self.synchronize(full, lean, number)
        self.heal(full, lean, number)
        self.verify(lean)
        self.drill(full)
        for varve in (full, lean):
            shutil.rmtree(varve.repository)

    def first_backup(self, workload, chosen, disks, counts=True):
        """Into copies on the disks `chosen`: one of them, or all."""
        copies = initialized(chosen)
        for varve in copies:
            sync_directory(varve.repository)
        read_all(workload.home)
        usage = copies[0].backup(workload.home, [], 0)
        packs = objects(copies[0], "packs")
        for varve in copies[1:]:
            same(copies[0], varve, objects(copies[0]))
        where = chosen[0].name if len(chosen) == 1 else "all at once"
        self.say(f"  first backup, {where}: {usage.wall:.2f} s" + ("" if counts else ", not counted"))
        if len(chosen) > 1:
            self.measured.add(all_wall=usage.wall, all_cpu=usage.cpu)
            self.sizes.add(first_pack_bytes=size_of(copies[0], packs))
            self.check_restored(workload, copies[-1])
            self.copy_to(disks, copies[0], packs)
        elif counts:
            self.alone[disks.index(chosen[0])].add(wall=usage.wall, cpu=usage.cpu)
        for varve in copies:
            shutil.rmtree(varve.repository)

    def check_restored(self, workload, varve):
        target = os.path.join(self.work, "restored")
        varve.restore(target)
        found = difference(workload.home, target, workload.files())
        shutil.rmtree(target)
        if found is not None:
            raise CommandFailed(f"restored files differ: {found}")

    def copy_to(self, disks, varve, packs):
        """What the disks give at best for packs that are ready: each alone, then all at once."""
        read_all(varve.repository)

        def one(disk):
            return copy_files(packs, varve.repository, os.path.join(disk.path, "copied"))

        for disk, row in zip(disks, self.alone):
            row.add(cp_wall=one(disk))
        with concurrent.futures.ThreadPoolExecutor(len(disks)) as threads:
            self.limits.add(all_wall=max(threads.map(one, disks)))

    def synchronize(self, full, lean, number):
        """A full repository to an empty copy on the same file system, in turn with `cp` of the same files."""
        full.call("copy", "add", lean.repository, "--no-sync")
        names = objects(full)
        self.sizes.add(object_bytes=size_of(full, names))

        def copy():
            self.limits.add(objects_wall=self.copied(full, names))

        def bring_up():
            settled(full, lean)
            usage = full.call("copy", "sync", lean.repository)
            same(full, lean, names)
            self.measured.add(sync_wall=usage.wall, sync_cpu=usage.cpu)
            self.say(f"  copy sync: {usage.wall:.2f} s")

        for step in (bring_up, copy)[:: -1 if number % 2 else 1]:
            step()

    def heal(self, full, lean, number):
        """A copy without any pack. What is there is read first: the same as `--dry-run` does, timed apart."""
        names = objects(full, "packs")
        self.sizes.add(pack_bytes=size_of(full, names))

        def copy():
            self.limits.add(packs_wall=self.copied(full, names))

        def heal():
            for name in names:
                os.unlink(os.path.join(lean.repository, name))
            settled(full, lean)
            command = ["heal", "--copy", lean.repository]
            read = full.call(*command, "--dry-run", expected=1)
            if read.output.count("missing: ") != len(names):
                raise CommandFailed(f"heal does not miss {len(names)} packs: {read.output.strip()}")
            usage = full.call(*command)
            same(full, lean, names)
            self.measured.add(
                heal_wall=usage.wall, heal_cpu=usage.cpu, heal_read_wall=read.wall,
                heal_after_wall=usage.wall - read.wall,
            )  # fmt: skip
            self.say(f"  heal: {usage.wall:.2f} s, of them reading first {read.wall:.2f} s")

        for step in (heal, copy)[:: -1 if number % 2 else 1]:
            step()

    def copied(self, varve, names):
        settled(varve)
        return copy_files(names, varve.repository, os.path.join(os.path.dirname(varve.repository), "copied"))

    def verify(self, varve):
        sync_directory(varve.repository)
        evict(varve.repository)
        self.sizes.add(stored_bytes=tree_size(varve.repository))
        usage = varve.verify_media()
        self.measured.add(media_wall=usage.wall, media_cpu=usage.cpu)
        self.say(f"  media verified in {usage.wall:.2f} s")
        try:
            self.limits.add(direct_wall=direct_read(varve.repository, os.path.dirname(varve.repository)))
        except CommandFailed as failure:
            self.say(f"  no direct reads: {failure}")

    def drill(self, varve):
        """One that fails is named in the results; all else is measured as well."""
        settled(varve)
        status = varve.call("status")
        self.measured.add(status_wall=status.wall)
        scratch = os.path.join(self.work, "scratch")
        os.makedirs(scratch)
        try:
            usage = varve.call("verify", "--drill", "--scratch", scratch)
            self.measured.add(drill_wall=usage.wall, drill_cpu=usage.cpu)
            self.say(f"  status: {status.wall:.3f} s; drill: {usage.wall:.2f} s")
        except CommandFailed as failure:
            reasons = re.findall(r"^failed: (.*)$", failure.output, re.MULTILINE)
            self.measured.fail(f"the drill failed: {reasons[0] if reasons else failure}")
            self.say(f"  {self.measured.reason}")
        finally:
            shutil.rmtree(scratch)

    def count_reads(self, workload, disks):
        """Bytes that a first backup reads of databases and logs for one copy and for all, or the reason why not."""
        if executable("strace") is None:
            return {"reason": "not installed: strace"}
        found = {}
        for name, chosen in (("one", disks[:1]), ("all", disks)):
            copies = initialized(chosen)
            traces = os.path.join(self.work, "traces")
            os.makedirs(traces)
            # A file for each thread, so that no call is torn apart by another thread's.
            under = [
                executable("strace"), "-ff", "-y", "-s", "0", "-o", os.path.join(traces, "trace"),
                "-e", "trace=read,readv,pread64,preadv,preadv2",
            ]  # fmt: skip
            copies[0].backup(workload.home, [], 0, under=under)
            found[name] = bytes_read(traces, os.path.realpath(workload.home))
            shutil.rmtree(traces)
            for varve in copies:
                shutil.rmtree(varve.repository)
        logs = sum(tree_size(os.path.join(workload.home, name)) for name in workload.files() if is_log(name))
        return dict(found, source={"databases": workload.size() - logs, "logs": logs})


def at(path, name):
    """varve with a repository of this name on a disk."""
    varve = Varve(path)
    varve.repository = os.path.join(path, name)
    return varve


def initialized(disks):
    """A new repository with a copy on each disk."""
    copies = [at(disk.path, f"copy-{number}") for number, disk in enumerate(disks, 1)]
    others = [argument for varve in copies[1:] for argument in ("--copy", varve.repository)]
    copies[0].call("init", *others)
    return copies


def objects(varve, *kinds):
    """Paths of packs and manifests, or of `kinds`, below the repository."""
    return sorted(
        os.path.relpath(os.path.join(directory, name), varve.repository)
        for kind in kinds or ("packs", "manifests")
        for directory, _, names in os.walk(os.path.join(varve.repository, kind))
        for name in names
    )


def size_of(varve, names):
    return sum(os.path.getsize(os.path.join(varve.repository, name)) for name in names)


def same(varve, other, names):
    """Raises `CommandFailed` unless another copy has the same files of these names."""
    found = difference(varve.repository, other.repository, names)
    if found is not None:
        raise CommandFailed(f"the copies differ: {found}")


def settled(*repositories):
    """Nothing is left to write, and all is in the page cache."""
    for varve in repositories:
        sync_directory(varve.repository)
        read_all(varve.repository)


def bytes_read(traces, home):
    """Of databases and of logs below `home`, by all the traces in a directory."""
    total = {"databases": 0, "logs": 0}
    for name in os.listdir(traces):
        with open(os.path.join(traces, name), errors="replace") as file:
            for line in file:
                found = READ.match(line.rstrip("\n"))
                if found and found[1].startswith(home + os.sep):
                    total["logs" if is_log(found[1]) else "databases"] += int(found[2])
    return total
