"""The command line of the benchmark."""

import argparse
import os
import shutil
import statistics
import sys
import time
from dataclasses import replace

from . import copies_report, goals, live, machine, memory, report, series_report, workloads
from .comparison import Comparison
from .copies import Copies
from .process import CommandFailed, peak_floor
from .series import Series
from .tools import ALL
from .workload import Parameters, program

#: `--all`: so long a series, and after it every kind of work.
SERIES_DAYS = 30
#: Which tools a part compares if none are named. tar | zstd shares nothing between days: its growth is known.
SERIES_TOOLS = ("varve", "restic", "borg", "borg-fixed")
WORKLOAD_TOOLS = ("varve", "restic", "borg")

HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def parser():
    one = argparse.ArgumentParser(
        prog="make bench BENCH=…",
        description="Backs up, restores and verifies one Berkeley DB environment with varve and its peers.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    work = one.add_argument_group("the work")
    work.add_argument("--page-size", type=int, default=4096)
    work.add_argument("--records", type=int, default=1_590_000, help="of the generated btree")
    work.add_argument("--value-size", type=int, default=290)
    work.add_argument("--days", type=int, default=2, help="backups after the first")
    work.add_argument("--update", type=share, default=0.01, help="share of the records updated a day")
    work.add_argument("--insert", type=share, default=0.001, help="share of the records inserted a day")
    work.add_argument("--seed", type=int, default=1)
    run = one.add_argument_group("the run")
    run.add_argument("--runs", type=positive, default=3, help="medians are taken of these")
    run.add_argument("--tools", help=f"which to compare, separated by commas, of {','.join(ALL)}")
    run.add_argument("--work", default=os.path.join(HERE, "work"), metavar="DIR", help="scratch directory")
    run.add_argument("--keep", action="store_true", help="leave the last environment in DIR")
    more = one.add_argument_group("instead of the comparison (several are done one after another)")
    more.add_argument("--all", action="store_true", help="the comparison, a series of 30 days, the workloads")
    more.add_argument("--series", type=positive, metavar="DAYS", help="growth over so many days")
    more.add_argument("--workloads", action="store_true", help="growth of every kind of work")
    more.add_argument("--workload-records", type=positive, default=300_000, help="of each of them")
    more.add_argument("--workload-days", type=positive, default=3, help="of each of them")
    more.add_argument("--only", metavar="NAMES", help="of the workloads, separated by commas")
    more.add_argument("--live", action="store_true", help="live capture against offline capture")
    more.add_argument("--live-records", type=positive, default=300_000, help="in each of its two databases")
    more.add_argument("--copies", action="store_true", help="several copies: backup, sync, heal, verify, drill")
    more.add_argument("--memory", type=float, metavar="GIB", help="peak memory on so large an environment")
    out = one.add_argument_group("the results")
    out.add_argument("--json", metavar="FILE", help="write every figure")
    out.add_argument("--save", metavar="NAME", help="write NAME.json and NAME.md into Benchmarks/results")
    return one


def share(text):
    value = float(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError("between 0 and 1")
    return value


def positive(text):
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("at least 1")
    return value


def main(arguments=None):
    """Returns the exit code: 0, or 1 when a tool that is here failed or restored something else."""
    one = parser()
    chosen = one.parse_args(arguments)
    check(one, chosen)
    parameters = Parameters(
        chosen.page_size, chosen.records, chosen.value_size, chosen.update, chosen.insert, chosen.seed
    )
    begin = time.monotonic()

    def say(text):
        print(f"[{time.monotonic() - begin:6.1f} s] {text}", file=sys.stderr, flush=True)

    work = os.path.join(chosen.work, "varvebench")
    shutil.rmtree(work, ignore_errors=True)
    os.makedirs(work)
    results = Results(chosen)
    try:
        program()
        measure(chosen, parameters, work, say, results)
    except (CommandFailed, OSError) as failure:
        print(f"bench: {failure}", file=sys.stderr)
        return 1
    finally:
        if not chosen.keep:
            shutil.rmtree(work, ignore_errors=True)
    print(results.text(), end="")
    return 1 if results.failed() else 0


def check(one, chosen):
    """Ends the program when what was asked for makes no sense."""
    for given, known, noun in (
        (chosen.tools, ALL, "tool"),
        (chosen.only, [scenario.name for scenario in workloads.SCENARIOS], "workload"),
    ):
        unknown = [name for name in (given or "").split(",") if name and name not in known]
        if unknown:
            one.error(f"no such {noun}: {', '.join(unknown)} (there are {', '.join(known)})")
    if chosen.save and os.sep in chosen.save:
        one.error("--save takes a name, not a path")
    if chosen.all:
        chosen.series, chosen.workloads = chosen.series or SERIES_DAYS, True


class Results:
    """What was measured so far: `values` is what goes into the JSON. Saved after each part."""

    def __init__(self, chosen):
        self.chosen = chosen
        self.values = {"machine": machine.description(), "peak_floor": peak_floor()}
        self.rows, self.series_rows, self.workload_rows = {}, {}, {}
        self.workload_tools = ()

    def every_row(self):
        return [self.rows, self.series_rows, *self.workload_rows.values()]

    def failed(self):
        broken = [found for found in self.values.get("workloads", {}).values() if "reason" in found]
        broken += [found for found in [self.values.get("copies", {})] if found.get("reason")]
        return bool(broken) or any(row.failed for rows in self.every_row() for row in rows.values())

    def text(self):
        parts = []
        if self.rows and self.values.get("limits"):
            reached = goals.comparison_goals(self.rows, self.values["source_bytes"], self.values["limits"])
            parts += [goals.goals_table(reached)] if reached else []
        if self.series_rows:
            parts.append(
                series_report.series_text(self.series_rows, self.values["series"], self.values["parameters"])
            )
            if self.chosen.save:
                parts.append(f"![growth over the days]({self.chosen.save}-growth.svg)")
        if self.workload_rows:
            parts.append(series_report.workloads_text(
                self.values["workloads"], self.workload_rows, self.workload_tools, self.chosen.workload_days
            ))  # fmt: skip
        if self.values.get("copies"):
            parts.append(copies_report.copies_text(self.values["copies"], self.values["parameters"]))
        versions = {row.name: row for rows in self.every_row() for row in rows.values()}
        return report.document(self.values, self.rows, parts, versions)

    def save(self):
        write(self.chosen.json, report.as_json(self.values))
        if not self.chosen.save:
            return
        directory = os.path.join(HERE, "results")
        os.makedirs(directory, exist_ok=True)
        start = os.path.join(directory, self.chosen.save)
        write(start + ".json", report.as_json(self.values))
        write(start + ".md", self.text())
        if self.series_rows:
            drawn = series_report.series_chart(
                self.series_rows, self.values["series"], self.values["machine"]
            )
            write(start + "-growth.svg", drawn)


def measure(chosen, parameters, work, say, results):
    """Everything that was asked for, into `results`."""
    values = results.values
    values["parameters"] = dict(vars(parameters), runs=chosen.runs, days=chosen.days)
    if chosen.live:
        values["live"] = live.measure(parameters, chosen.live_records, chosen.runs, work, say)
    if chosen.memory:
        # It sets the number of records.
        values["memory"] = memory.measure(replace(parameters), chosen.memory, work, say)
    if chosen.copies:
        values["copies"] = Copies(parameters, chosen.days, chosen.runs, work, say).run()
    if chosen.all or not (
        chosen.live or chosen.copies or chosen.memory or chosen.series or chosen.workloads
    ):
        comparison = Comparison(parameters, names(chosen, ALL), chosen.runs, chosen.days, work, say)
        results.rows = comparison.run()
        values["source_bytes"] = int(statistics.median(comparison.source_bytes))
        values["tools"] = {name: vars(row) for name, row in results.rows.items()}
        say("limits")
        values["limits"] = machine.limits(os.path.join(work, "environment", "main.db"), work)
        results.save()
    if chosen.series:
        series = Series(parameters, names(chosen, SERIES_TOOLS), chosen.series, chosen.runs, work, say)
        found = series.run()
        values["series"] = dict(found, tools={name: vars(row) for name, row in series.rows.items()})
        results.series_rows = series.rows
        results.save()
    if chosen.workloads:
        wanted = (chosen.only or "").split(",")
        scenarios = [one for one in workloads.SCENARIOS if not chosen.only or one.name in wanted]
        results.workload_tools = names(chosen, WORKLOAD_TOOLS)
        smaller = replace(parameters, records=chosen.workload_records)
        values["workloads"], results.workload_rows = workloads.measure(
            smaller, results.workload_tools, chosen.workload_days, work, say, scenarios
        )
    results.save()


def names(chosen, default):
    return [name for name in (chosen.tools or ",".join(default)).split(",") if name]


def write(path, text):
    if path:
        with open(path, "w") as file:
            file.write(text)
