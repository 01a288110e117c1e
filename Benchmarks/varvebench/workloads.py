"""Many kinds of work, a few days of each: what every tool stores of it."""

import os
import shutil
from dataclasses import dataclass, replace

from .comparison import Comparison
from .process import CommandFailed
from .workload import Cloned, Reloaded, Workload

#: The one that varve has to be no larger than; and those whose best it is compared with.
BASE, PEERS = "restic", ("restic", "borg", "borg-fixed")
#: Small logs, so that the growth is that of the databases.
LAYOUT = ("--log-size", str(4 << 20))


@dataclass
class Scenario:
    """A kind of work: a few words on it, how it differs from the uniform one, how its days are made."""

    name: str
    text: str
    changed: dict
    kind: type = Workload


SCENARIOS = (
    Scenario("uniform", "1 % updated, 0.1 % inserted, everywhere alike", {}),
    Scenario("skewed", "1 % updated by Zipf's law", {"changes": ("--zipf",)}),
    Scenario("appends", "2 % inserted after all others", {
        "update": 0.0, "insert": 0.02, "changes": ("--append",),
    }),
    Scenario("compact", "5 % deleted, then DB->compact", {
        "update": 0.0, "insert": 0.0, "delete": 0.05, "changes": ("--compact",),
    }),
    Scenario("hash", "as uniform, a hash", {"method": "hash"}),
    Scenario("queue", "1 % updated; 2 % consumed, 2 % appended; extents of 1024 pages", {
        "method": "queue", "insert": 0.02, "delete": 0.02, "layout": LAYOUT + ("--queue-extent", "1024"),
    }),
    Scenario("heap", "as uniform, a heap", {"method": "heap"}),
    Scenario("reload", "as uniform, then dump and load into a new file", {}, Reloaded),
    Scenario("clone", "the first environment cloned under a new home each day, then as uniform", {}, Cloned),
    Scenario("64 KiB pages", "as uniform, pages of 65536 bytes", {"page_size": 65536}),
    Scenario("encrypted", "as uniform, an encrypted environment", {"password_file": "yes"}),
)  # fmt: skip


def measure(parameters, names, days, work, say, scenarios=SCENARIOS):
    """Returns ({scenario: what was measured}, {scenario: rows}); newest snapshots are restored, compared."""
    found, rows = {}, {}
    for scenario in scenarios:
        say(f"workload {scenario.name}: {scenario.text}")
        directory = os.path.join(work, "workload")
        os.makedirs(directory)
        changed = dict({"layout": LAYOUT}, **scenario.changed)
        if "password_file" in changed:
            changed["password_file"] = os.path.join(directory, "password")
            with open(changed["password_file"], "w") as file:
                file.write("benchmark\n")
        chosen = replace(parameters, **changed)
        comparison = Comparison(chosen, names, 1, days, directory, say, scenario.kind)
        try:
            rows[scenario.name] = comparison.run()
        except CommandFailed as failure:
            # The work itself: no tool is to blame, and the other workloads can still be measured.
            found[scenario.name] = {"text": scenario.text, "reason": str(failure)}
            say(f"  {failure}")
        else:
            found[scenario.name] = {
                "text": scenario.text, "source_bytes": comparison.source_bytes,
                "tools": {name: vars(row) for name, row in rows[scenario.name].items()},
            }  # fmt: skip
        shutil.rmtree(directory)
    return found, rows


def best_peer(rows, measure_of):
    """The smallest value of a peer that has one, or None."""
    values = [measure_of(rows[name]) for name in PEERS if name in rows and not rows[name].failed]
    return min((value for value in values if value is not None), default=None)
