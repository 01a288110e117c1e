"""Several copies as tables and goals."""

from .goals import copies_goals, goals_table, median, over
from .report import rate, seconds, size, table


def disks_table(found):
    slowest = max(median(disk["wall"]) for disk in found["disks"])
    header = [
        "first backup into", "wall", "CPU", "÷ the slowest alone", "cp + fsync of the packs",
    ]  # fmt: skip
    lines = [
        [disk["name"], seconds(median(disk["wall"])), seconds(median(disk["cpu"])),
         over(median(disk["wall"]), slowest, 2), seconds(median(disk["cp_wall"]))]
        for disk in found["disks"]
    ]  # fmt: skip
    lines.append([
        f"all {len(found['disks'])} at once", seconds(median(found["all_wall"])),
        seconds(median(found["all_cpu"])), over(median(found["all_wall"]), slowest, 2),
        seconds(median(found["limits"]["all_wall"])),
    ])  # fmt: skip
    return table(header, lines)


def steps_table(found):
    header = ["step", "wall", "CPU", "of", "rate", "÷ its limit"]
    lines, limits = [], found["limits"]

    def line(name, values, cpu, held, limit=None):
        wall = median(values)
        speed = rate(held / wall) if held and wall and wall > 0 else "–"
        lines.append([name, seconds(wall), seconds(median(cpu)), size(held), speed,
                      over(wall, median(limit or []), 2)])  # fmt: skip

    objects, packs, stored = found["object_bytes"], found["pack_bytes"], found["stored_bytes"]
    copied, copied_packs, direct = limits["objects_wall"], limits["packs_wall"], limits["direct_wall"]
    line("copy sync to an empty copy", found["sync_wall"], found["sync_cpu"], objects, copied)
    line("limit: cp + fsync of packs and manifests", copied, [], objects, copied)
    line("heal of a copy without packs", found["heal_wall"], found["heal_cpu"], packs, copied_packs)
    line("of it, after the reading of what is there", found["heal_after_wall"], [], packs, copied_packs)
    line("limit: cp + fsync of packs", copied_packs, [], packs, copied_packs)
    line("verify --media, cold", found["media_wall"], found["media_cpu"], stored, direct)
    line("limit: dd of the same bytes, direct", direct, [], stored, direct)
    line("verify --drill", found["drill_wall"], found["drill_cpu"], found["newest_bytes"])
    line("status", found["status_wall"], [], None)
    return table(header, lines)


def read_line(found):
    read = found["source_read"]
    if "reason" in read:
        return f"How often the source is read was not counted: {read['reason']}."
    parts = [
        f"{kind} ({size(there)}) {over(read['one'][kind], there)} times for one copy, "
        f"{over(read['all'][kind], there)} for all"
        for kind, there in read["source"].items()
    ]  # fmt: skip
    return f"How often a first backup reads the source (strace, runs of their own): {'; '.join(parts)}."


def copies_text(found, parameters):
    return "\n\n".join(part for part in [
        "## Several copies",
        f"A btree environment of {size(found['source_bytes'])} (pages of {parameters['page_size']} bytes, "
        f"{parameters['records']} records), {size(found['first_pack_bytes'])} in packs. Medians of "
        f"{found['runs']} run(s), files in the page cache; load before each: "
        f"{', '.join(f'{load:.1f}' for load in found['load'])}.",
        disks_table(found),
        read_line(found),
        f"Then {parameters['days']} day(s) of changes in the first; a second copy on the same file system:",
        steps_table(found),
        found["reason"] and f"FAILED: {found['reason']}.",
        goals_table(copies_goals(found)),
    ] if part)  # fmt: skip
