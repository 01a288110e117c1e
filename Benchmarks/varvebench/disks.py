"""Directories on different disks, as far as the machine has them: a loop device and memory stand in for some."""

import contextlib
import os
import shutil
import tempfile
from dataclasses import dataclass

from .process import CommandFailed, run

SHARED_MEMORY = "/dev/shm"


@dataclass(frozen=True)
class Disk:
    #: Says what it is; without a path, as results are published.
    name: str
    path: str


@contextlib.contextmanager
def three_disks(work, size, say):
    """The work directory's disk, an ext4 of `size` bytes on a loop device, and a tmpfs.

    What can't be mounted is a directory in /dev/shm, and its name says so.
    """
    with contextlib.ExitStack() as stack:
        first = os.path.join(work, "first")
        os.makedirs(first)
        found = [Disk(f"{file_system(first)}, the work directory's", first)]
        for mounted in (loop_mounted, in_memory):
            try:
                found.append(stack.enter_context(mounted(work, size)))
            except (CommandFailed, OSError) as failure:
                say(f"copies: {failure}: /dev/shm instead")
                found.append(stack.enter_context(in_shared_memory(len(found) + 1)))
        yield found


@contextlib.contextmanager
def loop_mounted(work, size):
    image, path = os.path.join(work, "second.image"), os.path.join(work, "second")
    os.makedirs(path)
    try:
        with open(image, "wb") as file:
            os.posix_fallocate(file.fileno(), 0, size)
        # Nothing is left for the kernel to initialize while something is measured.
        run(["mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=0,lazy_journal_init=0", image])
        # Direct: else every byte would be in the page cache twice.
        device = run(["losetup", "--find", "--show", "--direct-io=on", image]).output.split()[0]
        try:
            run(["mount", "-o", "noatime", device, path])
        finally:
            # It is taken apart when it is unmounted.
            run(["losetup", "--detach", device])
        with unmounting(path):
            yield Disk(f"ext4, a loop device, its image on the first ({file_system(work)})", path)
    finally:
        os.unlink(image)


@contextlib.contextmanager
def in_memory(work, size):
    path = os.path.join(work, "third")
    os.makedirs(path)
    run(["mount", "-t", "tmpfs", "-o", f"size={size}", "varvebench", path])
    with unmounting(path):
        yield Disk("tmpfs", path)


@contextlib.contextmanager
def unmounting(path):
    try:
        yield
    finally:
        # Lazy: what an interrupt left running must not keep it from going.
        run(["umount", "--lazy", path])


@contextlib.contextmanager
def in_shared_memory(number):
    path = tempfile.mkdtemp(prefix="varvebench-", dir=SHARED_MEMORY)
    try:
        yield Disk(f"tmpfs, /dev/shm, directory {number}", path)
    finally:
        shutil.rmtree(path, ignore_errors=True)


def file_system(path):
    """The type of the file system that a path is on."""
    path, best, kind = os.path.realpath(path), "", "unknown"
    with open("/proc/self/mountinfo") as file:
        for line in file:
            fields, _, described = line.partition(" - ")
            mounted = fields.split()[4].rstrip("/")
            # Of two at the same place the later one covers the other.
            if (path + "/").startswith(mounted + "/") and len(mounted) >= len(best):
                best, kind = mounted, described.split()[0]
    return kind
