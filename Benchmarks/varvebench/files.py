"""Files: what is backed up, how much a repository holds, whether a restored file is what was backed up."""

import os
import re
import time

BLOCK = 1 << 20
REGION = re.compile(r"^__db\.(\d{3}|register|rep.*)$")


def environment_files(home):
    """Every file of an environment as a path relative to `home`: databases, then logs ascending.

    Shared regions and varve's own lock directory are not data and are left out.
    """
    found = []
    for directory, names, files in os.walk(home):
        names[:] = sorted(name for name in names if name != ".varve")
        for name in files:
            if not REGION.match(name):
                found.append(os.path.relpath(os.path.join(directory, name), home))
    return sorted(found, key=lambda path: (is_log(path), path))


def is_log(path):
    return re.match(r"^log\.\d{10}$", os.path.basename(path)) is not None


def tree_size(path):
    """Bytes of all files below a directory, or of one file."""
    if os.path.isfile(path):
        return os.path.getsize(path)
    return sum(
        os.lstat(os.path.join(directory, name)).st_size
        for directory, _, names in os.walk(path)
        for name in names
    )


def read_all(path):
    """Reads every file below a directory, so that it is in the page cache; returns bytes and seconds."""
    buffer = bytearray(BLOCK)
    total = 0
    begin = time.monotonic()
    paths = [path] if os.path.isfile(path) else [
        os.path.join(directory, name) for directory, _, names in os.walk(path) for name in names
    ]
    for name in paths:
        with open(name, "rb", buffering=0) as file:
            while count := file.readinto(buffer):
                total += count
    return total, time.monotonic() - begin


def sync_directory(path):
    """Writes everything below a directory to the disk, each with fsync; returns the seconds.

    Not `sync`: that would wait for whatever else the machine writes.
    """
    begin = time.monotonic()
    for directory, _, names in os.walk(path, topdown=False):
        for name in names + ["."]:
            full = os.path.join(directory, name)
            if os.path.islink(full) or not (os.path.isfile(full) or os.path.isdir(full)):
                continue
            descriptor = os.open(full, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
    return time.monotonic() - begin


def difference(source, target, names):
    """None when each of `names` below `source` is bit for bit the same file somewhere below `target`.

    Tools put a restored file beneath different directories, so it is looked for by the end of its path.
    Returns a sentence that names the first file that is missing, there twice, or different, and where.
    """
    restored = [
        os.path.join(directory, name) for directory, _, files in os.walk(target) for name in files
    ]
    for name in names:
        found = [path for path in restored if path.endswith(os.sep + name)]
        # main.db may stand at the top and in a subdirectory: the shortest path is the top one.
        found.sort(key=len)
        if not found or (len(found) > 1 and len(found[0]) == len(found[1])):
            return f"{name}: " + ("restored twice" if found else "not restored")
        offset = first_difference(os.path.join(source, name), found[0])
        if offset is not None:
            return f"{name}: differs at offset {offset}"
    return None


def first_difference(left, right):
    """The offset of the first byte in which two files differ (a shorter file differs at its end), or None."""
    offset = 0
    with open(left, "rb") as one, open(right, "rb") as other:
        while True:
            a, b = one.read(BLOCK), other.read(BLOCK)
            if a != b:
                common = next((i for i, (x, y) in enumerate(zip(a, b)) if x != y), min(len(a), len(b)))
                return offset + common
            if not a:
                return None
            offset += len(a)


def evict(path):
    """Takes every file below a directory out of the page cache, as far as the kernel lets go of it."""
    for directory, _, names in os.walk(path):
        for name in names:
            descriptor = os.open(os.path.join(directory, name), os.O_RDONLY)
            try:
                os.fsync(descriptor)
                os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
            finally:
                os.close(descriptor)
