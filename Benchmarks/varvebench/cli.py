"""The command line of the benchmark."""

import argparse
import os
import shutil
import statistics
import sys
import time

from . import live, machine, memory, report
from .comparison import Comparison
from .process import CommandFailed, peak_floor
from .tools import ALL
from .workload import Parameters, program

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
    run.add_argument("--tools", default=",".join(ALL), help="which to compare, separated by commas")
    run.add_argument("--work", default=os.path.join(HERE, "work"), metavar="DIR", help="scratch directory")
    run.add_argument("--keep", action="store_true", help="leave the last environment in DIR")
    more = one.add_argument_group("instead of the comparison")
    more.add_argument("--live", action="store_true", help="live capture against offline capture")
    more.add_argument("--live-records", type=positive, default=300_000, help="in each of its two databases")
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
    names = [name for name in chosen.tools.split(",") if name]
    unknown = [name for name in names if name not in ALL]
    if unknown:
        one.error(f"no such tool: {', '.join(unknown)} (there are {', '.join(ALL)})")
    if chosen.save and os.sep in chosen.save:
        one.error("--save takes a name, not a path")
    parameters = Parameters(
        chosen.page_size, chosen.records, chosen.value_size, chosen.update, chosen.insert, chosen.seed
    )
    begin = time.monotonic()

    def say(text):
        print(f"[{time.monotonic() - begin:6.1f} s] {text}", file=sys.stderr, flush=True)

    work = os.path.join(chosen.work, "varvebench")
    shutil.rmtree(work, ignore_errors=True)
    os.makedirs(work)
    try:
        program()
        result, rows = measure(chosen, parameters, names, work, say)
    except (CommandFailed, OSError) as failure:
        print(f"bench: {failure}", file=sys.stderr)
        return 1
    finally:
        if not chosen.keep:
            shutil.rmtree(work, ignore_errors=True)
    text = report.document(result, rows)
    print(text, end="")
    write(chosen, result, text)
    return 1 if any(row.failed for row in rows.values()) else 0


def measure(chosen, parameters, names, work, say):
    """Everything that was asked for: the values for JSON, and the rows of the comparison."""
    result = {"machine": machine.description(), "peak_floor": peak_floor()}
    rows = {}
    if chosen.live:
        result["live"] = live.measure(parameters, chosen.live_records, chosen.runs, work, say)
    if chosen.memory:
        result["memory"] = memory.measure(parameters, chosen.memory, work, say)
    if chosen.live or chosen.memory:
        return result, rows
    comparison = Comparison(parameters, names, chosen.runs, chosen.days, work, say)
    rows = comparison.run()
    result["parameters"] = dict(vars(parameters), runs=chosen.runs, days=chosen.days)
    result["source_bytes"] = int(statistics.median(comparison.source_bytes))
    result["tools"] = {name: vars(row) for name, row in rows.items()}
    say("limits")
    result["limits"] = machine.limits(os.path.join(work, "environment", "main.db"), work)
    return result, rows


def write(chosen, result, text):
    if chosen.json:
        with open(chosen.json, "w") as file:
            file.write(report.as_json(result))
    if chosen.save:
        directory = os.path.join(HERE, "results")
        os.makedirs(directory, exist_ok=True)
        with open(os.path.join(directory, chosen.save + ".json"), "w") as file:
            file.write(report.as_json(result))
        with open(os.path.join(directory, chosen.save + ".md"), "w") as file:
            file.write(text)
