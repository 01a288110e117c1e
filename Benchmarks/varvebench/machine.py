"""The machine and what it can do at best: the scale on which every other figure is read."""

import os
import platform
import re
import shutil
import time

from .files import read_all, sync_directory
from .process import CommandFailed, executable, run

MEGABYTE = 1e6


def description():
    """Processor, cores, memory, kernel, system. No host name and no path: results are published."""
    model = "unknown"
    flags = ""
    with open("/proc/cpuinfo") as file:
        for line in file:
            key, _, value = line.partition(":")
            if key.strip() == "model name" and model == "unknown":
                model = value.strip()
            if key.strip() == "flags" and not flags:
                flags = value
    vectors = [name for name in ("avx2", "avx512f", "sha_ni") if name in flags.split()]
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return {
        "processor": model,
        "vector_extensions": vectors,
        "cores": len(os.sched_getaffinity(0)),
        "memory_bytes": memory,
        "kernel": f"{platform.system()} {platform.release()}",
        "system": operating_system(),
        "python": platform.python_version(),
    }


def operating_system():
    try:
        return platform.freedesktop_os_release().get("PRETTY_NAME", "unknown")
    except OSError:
        return "unknown"


def limits(path, scratch):
    """What copying, reading and compressing the file `path` costs here at best, as bytes per second.

    `scratch` is a directory on the disk that the repositories are on. Returns {name: rate or a reason}.
    """
    size = os.path.getsize(path)
    found = {}
    read_all(path)
    total, seconds = read_all(path)
    found["read, page cache"] = total / seconds
    found["read, cold"] = cold_read(path, size)
    found["cp + fsync"] = copy_and_sync(path, os.path.join(scratch, "copy"), size)
    for threads in (1, 0):
        label = "zstd -3, one core" if threads else "zstd -3, every core"
        found[label] = zstd_rate(path, threads)
    return found


def copy_and_sync(path, target, size):
    begin = time.monotonic()
    try:
        run(["cp", "--reflink=never", path, target])
        run(["sync", target])
        return size / (time.monotonic() - begin)
    finally:
        if os.path.exists(target):
            os.unlink(target)


def copy_files(names, source, target):
    """The limit of whatever brings files to a disk: `cp` of `names` below `source`, each with fsync; seconds."""
    os.makedirs(target)
    try:
        usage = run(["cp", "--parents", "--reflink=never", *names, os.path.abspath(target)], cwd=source)
        return usage.wall + sync_directory(target)
    finally:
        shutil.rmtree(target)


def direct_read(directory, scratch):
    """The limit of a verification: `dd`, past the page cache, of everything below a directory; seconds.

    One file with the same bytes, so that no process is started for each.
    """
    packed = os.path.join(scratch, "packed")
    try:
        with open(packed, "wb") as target:
            for parent, _, names in os.walk(directory):
                for name in names:
                    with open(os.path.join(parent, name), "rb") as source:
                        shutil.copyfileobj(source, target)
            target.flush()
            os.fsync(target.fileno())
        return run(["dd", f"if={packed}", "of=/dev/null", "bs=1M", "iflag=direct", "status=none"]).wall
    finally:
        os.unlink(packed)


def cold_read(path, size):
    """Reads around the page cache. A virtual disk's host may still have the file in memory."""
    try:
        run(["sync", path])
        return size / run(["dd", f"if={path}", "of=/dev/null", "bs=1M", "iflag=direct", "status=none"]).wall
    except CommandFailed as failure:
        return str(failure)


def zstd_rate(path, threads):
    """Compression only, from memory to memory, as `zstd -b3` measures it."""
    program = executable("zstd")
    if program is None:
        return "not installed: zstd"
    # Progress is drawn over itself with carriage returns; the last figure is the result.
    output = run([program, "-b3", "-i2", f"-T{threads}", path]).output
    rates = re.findall(r"([\d.]+) MB/s", output.split("->")[-1])
    return float(rates[0]) * MEGABYTE if rates else "zstd -b printed no rate"
