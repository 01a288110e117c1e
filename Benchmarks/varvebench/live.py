"""Live capture against offline capture of the same environment, and what the application notices of it."""

import contextlib
import dataclasses
import os
import shutil
import signal
import statistics
import subprocess
import time

from .files import environment_files, read_all, sync_directory, tree_size
from .process import CommandFailed
from .tools import Varve
from .workload import program

SETTLE = 3.0


@dataclasses.dataclass(frozen=True)
class Capture:
    """A backup, and the application beside it."""

    name: str
    #: Transactions a second: None: stopped; 0: as many as it can.
    rate: int | None = None
    #: The application and the backup have a processor each, so that they do not compete for them.
    is_apart: bool = False
    #: Its time is compared with that of this one.
    limit: str = "offline"

    def processors(self):
        """Those of the backup, and those of the application."""
        every = sorted(os.sched_getaffinity(0))
        return ({every[0]}, {every[-1]}) if self.is_apart else (set(every), set(every))


def captures():
    found = [
        Capture("offline"),
        Capture("live, idle writer", rate=20),
        Capture("live, saturated writer", rate=0),
    ]
    if len(os.sched_getaffinity(0)) > 1:
        alone = "offline, one processor"
        found.append(Capture(alone, is_apart=True, limit=alone))
        found.append(Capture("live, saturated writer, one processor each", 0, is_apart=True, limit=alone))
    return found


@contextlib.contextmanager
def processors(chosen):
    """What is started meanwhile runs on these alone."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, chosen)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


class Writer:
    """`bdb-workload run` on an environment, from its start until `stop`."""

    def __init__(self, home, parameters, records, capture):
        self.progress = os.path.join(os.path.dirname(home), "progress")
        self.checkpoint_log = os.path.join(os.path.dirname(home), "checkpoints")
        self.ready = os.path.join(os.path.dirname(home), "ready")
        for path in (self.progress, self.checkpoint_log, self.ready):
            if os.path.exists(path):
                os.unlink(path)
        with processors(capture.processors()[1]):
            self.process = subprocess.Popen([
                program(), "run", "--home", home, "--records", str(records), "--rate", str(capture.rate),
                "--auto-remove", "--page-size", str(parameters.page_size),
                "--value-size", str(parameters.value_size), "--seed", str(parameters.seed),
                "--cache", str(256 << 20), "--log-size", str(32 << 20),
                "--progress", self.progress, "--checkpoint-log", self.checkpoint_log, "--ready", self.ready,
            ], stdout=subprocess.DEVNULL)  # fmt: skip

    def wait_until_ready(self, limit=600):
        end = time.monotonic() + limit
        while not os.path.exists(self.ready):
            if self.process.poll() is not None:
                code = self.process.returncode
                raise CommandFailed(f"bdb-workload run ended with {code} before it was ready")
            if time.monotonic() > end:
                self.process.kill()
                raise CommandFailed(f"bdb-workload run was not ready after {limit} s")
            time.sleep(0.05)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        if self.process.wait(timeout=120) != 0:
            raise CommandFailed(f"bdb-workload run ended with {self.process.returncode}")

    def rate(self, begin, end):
        """Transactions a second between two monotonic times (ns), from the progress file."""
        inside = []
        with open(self.progress) as file:
            for line in file:
                fields = line.split()
                if len(fields) == 2 and begin <= int(fields[0]) <= end:
                    inside.append((int(fields[0]), int(fields[1])))
        if len(inside) < 2:
            return None
        return (inside[-1][1] - inside[0][1]) / ((inside[-1][0] - inside[0][0]) / 1e9)

    def longest_checkpoint(self, begin, end):
        """The longest checkpoint (ms) that ended between two monotonic times (ns)."""
        with open(self.checkpoint_log) as file:
            lines = [line.split() for line in file]
        durations = [
            float(fields[1]) for fields in lines
            if len(fields) == 2 and fields[0] != "start" and begin <= int(fields[0]) <= end
        ]  # fmt: skip
        return max(durations, default=None)


def measure(parameters, records, runs, work, say):
    """Returns {"source_bytes", "captures": {name: medians}}. Raises `CommandFailed`."""
    home = os.path.join(work, "live-environment")
    shutil.rmtree(home, ignore_errors=True)
    os.makedirs(home)
    say("live: load")
    writer = Writer(home, parameters, records, Capture("load", rate=20))
    writer.wait_until_ready()
    writer.stop()
    chosen = captures()
    found = {capture.name: [] for capture in chosen}
    for number in range(runs):
        for capture in chosen:
            found[capture.name].append(back_up(home, parameters, records, capture, work))
            say(f"live: run {number + 1}, {capture.name}: {found[capture.name][-1]['wall']:.2f} s")
    size = sum(tree_size(os.path.join(home, name)) for name in environment_files(home))
    shutil.rmtree(home)
    return {
        "source_bytes": size,
        "runs": runs,
        "captures": {name: medians(values) for name, values in found.items()},
        "limits": {capture.name: capture.limit for capture in chosen},
    }


def medians(values):
    keys = values[0].keys()
    known = {key: [value[key] for value in values if value[key] is not None] for key in keys}
    # The longest checkpoint of all the runs is what an application has to bear; a median would hide it.
    return {
        key: None if not one else max(one) if key.startswith("checkpoint") else statistics.median(one)
        for key, one in known.items()
    }


def back_up(home, parameters, records, capture, work):
    """One first backup into a new repository."""
    directory = os.path.join(work, "live-varve")
    shutil.rmtree(directory, ignore_errors=True)
    os.makedirs(directory)
    varve = Varve(directory)
    varve.init()
    measured = dict.fromkeys(("rate_before", "rate_during", "checkpoint_before", "checkpoint_during"))
    own, _ = capture.processors()
    if capture.rate is None:
        sync_directory(home)
        read_all(home)
        with processors(own):
            usage = varve.call("backup", "--bdb", home, "--offline")
    else:
        writer = Writer(home, parameters, records, capture)
        try:
            writer.wait_until_ready()
            read_all(home)
            started = time.monotonic_ns()
            time.sleep(SETTLE)
            begin = time.monotonic_ns()
            with processors(own):
                usage = varve.call("backup", "--bdb", home)
            end = time.monotonic_ns()
            # A checkpoint that the backup held up ends after it; it counts.
            time.sleep(SETTLE / 2)
        finally:
            writer.stop()
        measured["rate_before"] = writer.rate(started, begin)
        measured["rate_during"] = writer.rate(begin, end)
        measured["checkpoint_before"] = writer.longest_checkpoint(started, begin)
        measured["checkpoint_during"] = writer.longest_checkpoint(begin, end + int(SETTLE / 2 * 1e9))
    measured["wall"] = usage.wall
    measured["cpu"] = usage.cpu
    measured["stored"] = tree_size(varve.repository)
    shutil.rmtree(directory)
    return measured
