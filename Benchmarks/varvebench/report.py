"""Results as text, Markdown and JSON."""

import json

#: Heading and measure of each ratio.
RATIOS = {
    "first wall": "first_wall", "first CPU": "first_cpu", "stored": "first_size",
    "next wall": "next_wall", "next CPU": "next_cpu", "growth": "growth",
    "restore": "restore_wall", "restore + sync": "restore_synced_wall", "verify": "verify_wall",
}  # fmt: skip


def seconds(value):
    return "–" if value is None else f"{value:.2f} s"


def size(value):
    """Decimal units, as disks and peers count."""
    if value is None:
        return "–"
    for unit, factor in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if abs(value) >= factor:
            scaled = value / factor
            return f"{scaled:.0f} {unit}" if scaled >= 100 else f"{scaled:.1f} {unit}"
    return f"{value:.0f} B"


def rate(value):
    return value if isinstance(value, str) else size(value) + "/s"


def table(header, rows):
    """A Markdown table whose columns are aligned, so that it reads well on a terminal too."""
    grid = [header] + rows
    widths = [max(len(line[column]) for line in grid) for column in range(len(header))]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths)) + " |" for line in grid
    ]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines)


def cell(row, prefix):
    """`wall (CPU, peak memory)`."""
    wall = row.median(f"{prefix}_wall")
    if wall is None:
        return "–"
    return f"{seconds(wall)} ({row.median(f'{prefix}_cpu'):.2f} s, {size(row.median(f'{prefix}_peak'))})"


def comparison_table(rows):
    # Each process cell is wall (CPU, peak memory).
    header = [
        "tool", "first backup", "stored", "next day's backup", "growth a day",
        "restore", "restore + sync", "verify all", "of", "restored bit for bit",
    ]  # fmt: skip
    lines = []
    for row in rows.values():
        if row.median("first_wall") is None:
            lines.append([row.name, row.reason] + ["–"] * (len(header) - 2))
            continue
        lines.append([
            row.name, cell(row, "first"), size(row.median("first_size")), cell(row, "next"),
            size(row.median("growth")), cell(row, "restore"), seconds(row.median("restore_synced_wall")),
            cell(row, "verify"), size(row.median("verified_size")),
            row.reason or ("yes" if row.identical else "no"),
        ])  # fmt: skip
    return table(header, lines)


def ratio_table(rows, base="restic"):
    """Every figure divided by the base's: below 1 is faster or smaller. A tool that failed earns no ratio."""
    if base not in rows or rows[base].failed or rows[base].median("first_wall") is None:
        return f"No ratios: {base} has no result."
    header = [f"÷ {base}", *RATIOS]
    lines = []
    for row in rows.values():
        values = []
        for measure in RATIOS.values():
            value, scale = row.median(measure), rows[base].median(measure)
            values.append("–" if row.failed or value is None or not scale else f"{value / scale:.2f}")
        lines.append([row.name] + values)
    return table(header, lines)


def limits_table(limits):
    return table(["limit of this machine", "rate"], [[name, rate(value)] for name, value in limits.items()])


def machine_lines(machine, rows):
    vectors = ", ".join(machine["vector_extensions"]) or "none of the vector extensions looked for"
    lines = [
        f"{machine['processor']} ({vectors}), {machine['cores']} cores, {size(machine['memory_bytes'])}",
        f"{machine['system']}, {machine['kernel']}",
    ]
    versions = [f"{row.name}: {row.version}" for row in rows.values() if row.version]
    return lines + versions


def document(result, rows, further=(), versions=None):
    """The whole report. `result` is what `--json` writes; a part that was not asked for is not there.

    `further` are parts that are text already; `versions` has a row of each tool of any part.
    """
    parts = []
    if rows:
        chosen = result["parameters"]
        parts.append(
            f"A btree environment of {size(result['source_bytes'])} (pages of {chosen['page_size']} bytes, "
            f"{chosen['records']} records); each day {chosen['update']:.2%} of the records are updated and "
            f"{chosen['insert']:.2%} inserted. Medians of {chosen['runs']} run(s) of {chosen['days']} day(s)."
        )
        parts.append(comparison_table(rows))
        parts.append(ratio_table(rows))
        parts.append("\n".join(f"- {row.name}: {row.note}." for row in rows.values()))
        parts.append(
            "In brackets: CPU (user + system of all processes) and peak memory (largest resident set of one "
            f"process; less than {size(result['peak_floor'])} cannot be told apart). Tools take turns; the "
            "files are in the page cache."
        )
    if result.get("live"):
        parts.append(live_table(result["live"]))
    if result.get("memory"):
        parts.append(memory_table(result["memory"]))
    if result.get("limits"):
        parts.append(limits_table(result["limits"]))
    parts += further
    if further:
        parts.append("## Machine and versions")
    parts.append("\n".join("- " + line for line in machine_lines(result["machine"], versions or rows)))
    return "\n\n".join(parts) + "\n"


def live_table(live):
    header = [
        "capture", "wall", "÷ offline", "CPU", "stored",
        "transactions/s before", "during", "longest checkpoint (ms) before", "during",
    ]  # fmt: skip
    noticed = ("rate_before", "rate_during", "checkpoint_before", "checkpoint_during")
    lines = []
    for name, values in live["captures"].items():
        limit = live["captures"][live["limits"][name]]["wall"]
        lines.append(
            [name, seconds(values["wall"]), f"{values['wall'] / limit:.2f}"]
            + [seconds(values["cpu"]), size(values["stored"])]
            + ["–" if values[key] is None else f"{values[key]:.0f}" for key in noticed]
        )
    title = f"Live against offline, the same environment of {size(live['source_bytes'])}"
    return f"{title}, {live['runs']} run(s):\n\n" + table(header, lines)


def memory_table(memory):
    header = ["step", "wall", "largest process", "all together", "each: resident (without file pages)"]
    lines = []
    for step in memory["steps"]:
        each = ", ".join(
            f"{name}: {size(peak['resident'])} ({size(peak['unreclaimable'])})"
            for name, peak in step["processes"].items()
        )
        lines.append([
            step["name"], seconds(step["wall"]), size(step["peak"]), size(step["together"]), each or "–",
        ])  # fmt: skip
    return f"Peak memory on an environment of {size(memory['source_bytes'])}:\n\n" + table(header, lines)


def as_json(result):
    return json.dumps(result, indent=2, ensure_ascii=False) + "\n"
