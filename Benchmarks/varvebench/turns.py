"""What measurements with several tools share: they take turns; one that fails is left out, with a reason."""

import os
import shutil
import statistics
from dataclasses import dataclass, field

from .process import CommandFailed
from .tools import ALL


@dataclass
class Row:
    """What was measured of one tool. A row with a `reason` says why there are no (further) figures."""

    name: str
    note: str = ""
    version: str = ""
    reason: str = ""
    failed: bool = False
    identical: bool = False
    values: dict = field(default_factory=dict)

    def add(self, **measured):
        for measure, value in measured.items():
            self.values.setdefault(measure, []).append(value)

    def median(self, measure):
        found = self.values.get(measure)
        return statistics.median(found) if found else None

    def fail(self, reason):
        self.reason, self.failed = reason, True


class Turns:
    """A row for each tool named, their repositories below `work`; `say` gets a line of progress."""

    def __init__(self, names, measures, work, say):
        self.work, self.say = work, say
        self.rows = {
            name: Row(name, ALL[name].note, values={measure: [] for measure in measures}) for name in names
        }

    def look_for_tools(self):
        for row in self.rows.values():
            tool = ALL[row.name](self.work)
            row.reason = tool.missing() or ""
            row.version = "" if row.reason else tool.version()

    def start(self, password_file=None):
        """The tools that are here and have not failed, each with a new, empty repository."""
        tools = {}
        for name, row in self.rows.items():
            if row.reason:
                continue
            directory = os.path.join(self.work, name)
            shutil.rmtree(directory, ignore_errors=True)
            os.makedirs(directory)
            tools[name] = ALL[name](directory)
            tools[name].password_file = password_file
            self.attempt(row, tools[name].init)
        return tools

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
