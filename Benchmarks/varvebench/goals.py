"""What the project promises to reach, beside what was measured."""

import statistics

from .report import table
from .series import growth


def median(values):
    return statistics.median(values) if values else None


def over(value, scale, digits=3):
    return "–" if value is None or not scale else f"{value / scale:.{digits}f}"


def per_byte(row, measure):
    """Seconds of a verification for each byte that the repository holds."""
    value, sizes = row.median(measure), row.values.get("size")
    return None if value is None or not sizes else value / sizes[-1]


def kept(row):
    return row.values["size"][-1] if row.values.get("size") else None


def usable(rows, name, measure="size"):
    """The row of a tool that did not fail and has the measure, or None."""
    return rows[name] if name in rows and not rows[name].failed and rows[name].values.get(measure) else None


def against(rows, name, measure_of, measure="size"):
    """varve's figure ÷ a peer's, or None."""
    varve, peer = usable(rows, "varve", measure), usable(rows, name, measure)
    if varve is None or peer is None:
        return None
    mine, other = measure_of(varve), measure_of(peer)
    return mine / other if mine is not None and other else None


def comparison_goals(rows, source_bytes, limits):
    """[(measure, goal, measured or None)]: each is held when what was measured is not above the goal."""
    varve = usable(rows, "varve", "first_wall")
    if varve is None:
        return []
    rate = limits.get("zstd -3, every core")
    least = None if rate is None or isinstance(rate, str) else source_bytes / rate
    return [
        ("first backup, wall ÷ restic", 0.30, ratio(rows, "first_wall")),
        ("first backup, wall ÷ zstd -3 on every core", 1.5, least and varve.median("first_wall") / least),
        ("next day, wall ÷ restic", 0.25, ratio(rows, "next_wall")),
        ("peak memory of the first backup, MiB", 128, varve.median("first_peak") / (1 << 20)),
    ]


def ratio(rows, measure):
    return against(rows, "restic", lambda row: row.median(measure), measure)


def series_goals(rows, found):
    """As `comparison_goals`, of a series."""
    varve = usable(rows, "varve")
    if varve is None:
        return []
    copied, direct = median(found["limits"]["cp_wall"]), median(found["limits"]["direct_wall"])
    cold = varve.median("media_cold_wall")

    def daily(row):
        return growth(row, "databases")

    synced = varve.median("restore_synced_wall")
    media = against(
        rows, "restic", lambda row: per_byte(row, "media_wall" if row is varve else "verify_wall")
    )
    return [
        ("growth a day without logs ÷ restic", 1 / 30, against(rows, "restic", daily)),
        ("growth a day without logs ÷ borg", 1 / 30, against(rows, "borg", daily)),
        ("growth a day without logs ÷ borg-fixed", 1 / 7, against(rows, "borg-fixed", daily)),
        ("kept at the end, with logs ÷ restic", 1 / 12, against(rows, "restic", kept)),
        ("bytes decoded per byte restored", 2.5, found["decoded_per_byte"]),
        ("restore + sync ÷ cp + sync", 1.3, synced / copied if synced and copied else None),
        ("restore + sync ÷ restic", 0.8, ratio(rows, "restore_synced_wall")),
        ("verify --media, cached ÷ restic, per stored byte", 0.15, media),
        ("verify --media, cold ÷ dd, seconds", 1 / 0.9, cold / direct if cold and direct else None),
    ]


def copies_goals(found):
    """As `comparison_goals`, of several copies."""
    limits, read = found["limits"], found["source_read"]
    slowest = max(median(disk["wall"]) for disk in found["disks"])

    def times(measure, limit):
        value, scale = median(found[measure]), median(limits[limit])
        return value / scale if value is not None and scale else None

    once = None if "reason" in read else sum(read["all"].values()) / sum(read["one"].values())
    return [
        ("all copies at once ÷ the slowest disk alone, wall", 1.3, median(found["all_wall"]) / slowest),
        ("bytes read of the source, all copies ÷ one", 1.05, once),
        ("copy sync ÷ cp + fsync, seconds", 1 / 0.8, times("sync_wall", "objects_wall")),
        ("heal, after the reading ÷ cp + fsync, seconds", 1 / 0.8, times("heal_after_wall", "packs_wall")),
        ("verify --media, cold ÷ dd, seconds", 1 / 0.9, times("media_wall", "direct_wall")),
    ]


def goals_table(entries):
    return table(["measure", "goal: at most", "measured", "held"], [
        [name, f"{goal:.3f}", "–" if value is None else f"{value:.3f}",
         "–" if value is None else "yes" if value <= goal else "no"]
        for name, goal, value in entries
    ])  # fmt: skip
