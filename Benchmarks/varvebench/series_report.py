"""The series as tables, goals and a chart; the workloads as one table."""

import statistics

from . import chart
from .goals import kept, median, over, per_byte, series_goals, goals_table, usable
from .report import rate, seconds, size, table
from .series import growth
from .workloads import BASE, best_peer


def growth_table(rows, days):
    base = usable(rows, BASE)
    header = [
        "tool", "first backup", "a day, without logs", f"÷ {BASE}", "a day, with logs",
        f"{days} days kept, with logs", f"÷ {BASE}",
    ]  # fmt: skip
    lines = []
    for row in rows.values():
        if not row.values.get("size"):
            lines.append([row.name, row.reason] + ["–"] * (len(header) - 2))
            continue
        alone = growth(row, "databases")
        lines.append([
            row.name, size(row.values["size"][0]), size(alone),
            over(alone, base and growth(base, "databases")),
            size(growth(row)), size(kept(row)), over(kept(row), base and kept(base)),
        ])  # fmt: skip
    return table(header, lines)


def restore_table(rows, found):
    base, copied = usable(rows, BASE), median(found["limits"]["cp_wall"])
    header = [
        "tool", "restore", "CPU", "restore + sync", "÷ cp + sync", f"÷ {BASE}", "bit for bit",
    ]  # fmt: skip
    lines = []
    for row in rows.values():
        synced = row.median("restore_synced_wall")
        lines.append([
            row.name, seconds(row.median("restore_wall")), seconds(row.median("restore_cpu")),
            seconds(synced),
            over(synced, copied, 2), over(synced, base and base.median("restore_synced_wall"), 2),
            row.reason or ("yes" if row.identical else "no"),
        ])  # fmt: skip
    lines.append(["cp + sync", "–", "–", seconds(copied), "1.00", "–", "–"])
    return table(header, lines)


def verify_table(rows, found):
    base = usable(rows, BASE)
    header = ["verification", "wall", "CPU", "of", "rate", f"÷ {BASE} per stored byte", "runs"]
    lines = []

    def line(label, row, wall, cpu):
        values = row.values.get(wall)
        if not values:
            return
        held = row.values["size"][-1]
        lines.append([
            label, seconds(median(values)), seconds(row.median(cpu)) if cpu else "–", size(held),
            rate(held / median(values)), over(per_byte(row, wall), base and per_byte(base, "verify_wall")),
            str(len(values)),
        ])  # fmt: skip

    for row in rows.values():
        line(f"{row.name}, everything", row, "verify_wall", "verify_cpu")
        line(f"{row.name}, media, cached", row, "media_wall", "media_cpu")
        line(f"{row.name}, media, cold", row, "media_cold_wall", None)
    direct = found["limits"]["direct_wall"]
    if direct and "varve" in rows and rows["varve"].values["size"]:
        held = rows["varve"].values["size"][-1]
        lines.append([
            "dd of the same bytes, direct", seconds(median(direct)), "–", size(held),
            rate(held / median(direct)), "–", str(len(direct)),
        ])  # fmt: skip
    return table(header, lines)


def series_text(rows, found, parameters):
    parts = [
        f"## {found['days']} days of one environment",
        f"A btree environment of {size(found['source_bytes'][0])} at first, of them logs: "
        f"{size(found['log_bytes'][0])} (pages of {parameters['page_size']} bytes, {parameters['records']} "
        f"records); each day {parameters['update']:.2%} of the records are updated and "
        f"{parameters['insert']:.2%} inserted. One series; means of its days.",
        growth_table(rows, found["days"]),
        "Metadata is included everywhere. Without logs: varve's packs are read by the documented format, and "
        "what belongs to logs alone is left out; the others back up the databases first, then everything.",
        f"The newest snapshot at the end, medians of {found['runs']} run(s), files in the page cache:",
        restore_table(rows, found),
    ]
    if found["decoded_per_byte"] is not None:
        parts.append(
            f"varve decodes {found['decoded_per_byte']:.3f} bytes per byte restored (every chain, counted "
            "from the deltas; holes left out)."
        )
    parts += [verify_table(rows, found), goals_table(series_goals(rows, found))]
    return "\n\n".join(parts)


def series_chart(rows, found, machine):
    """The SVG: stored with logs, and a day's growth without them."""
    there = {
        f"{name}: {size(growth(row, 'databases'))} a day": row
        for name, row in rows.items() if row.values.get("size")
    }  # fmt: skip
    return chart.growth_chart(
        f"{found['days']} days, {size(found['source_bytes'][0])} of Berkeley DB, each tool's repository",
        "Left: with logs. Right: without logs, metadata included. "
        f"{machine['processor']}, {machine['cores']} cores; {machine['system']}.",
        {name: list(enumerate(row.values["size"])) for name, row in there.items()},
        {name: list(enumerate(row.values["databases"]))[1:] for name, row in there.items()},
    )


def first_size(row):
    return row.median("first_size")


def whole_size(row):
    first, days = first_size(row), row.values.get("growth")
    return None if first is None or not days else first + sum(days)


def mean_growth(row):
    days = row.values.get("growth")
    return statistics.mean(days) if days else None


def workloads_table(found, rows, names):
    """One line for each workload. `!` marks what varve has more of than restic."""
    header = ["workload", "source"] + [f"first {name}" for name in names]
    header += [f"a day {name}" for name in names]
    header += ["a day ÷ best peer", f"all kept ÷ {BASE}", "restored bit for bit"]
    lines = []
    for name, measured in found.items():
        if name not in rows:
            lines.append([name, measured["reason"]] + ["–"] * (len(header) - 2))
            continue
        own = rows[name]
        lines.append(
            [name, size(measured["source_bytes"][0])]
            + [size(first_size(own[tool])) + flag(own, tool, first_size) for tool in names]
            + [size(mean_growth(own[tool])) + flag(own, tool, mean_growth) for tool in names]
            + [ratio_to(own, mean_growth, best_peer(own, mean_growth)), ratio_to(own, whole_size, None)]
            + [restored(own)]
        )
    return table(header, lines)


def of_tool(rows, name, measure_of):
    return measure_of(rows[name]) if name in rows and not rows[name].failed else None


def flag(rows, name, measure_of):
    """`!` if this is varve and it has more of it than the base."""
    mine, base = of_tool(rows, name, measure_of), of_tool(rows, BASE, measure_of)
    return " !" if name == "varve" and mine is not None and base is not None and mine > base else ""


def ratio_to(rows, measure_of, scale):
    """varve's figure ÷ `scale` (by default the base's)."""
    other = of_tool(rows, BASE, measure_of) if scale is None else scale
    return over(of_tool(rows, "varve", measure_of), other) + flag(rows, "varve", measure_of)


def restored(rows):
    reasons = [f"{row.name}: {row.reason}" for row in rows.values() if row.failed or not row.identical]
    return "; ".join(reasons) or "all"


def workloads_text(found, rows, names, days):
    notes = "\n".join(f"- {name}: {measured['text']}." for name, measured in found.items())
    return "\n\n".join([
        "## Workloads",
        f"{days} days each, one run; databases, logs and metadata; means of the days. `!`: more than {BASE}.",
        workloads_table(found, rows, names), notes,
    ])  # fmt: skip
