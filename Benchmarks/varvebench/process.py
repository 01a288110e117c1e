"""Running a command and knowing what it cost."""

import os
import subprocess
import tempfile
import time
from dataclasses import dataclass


class CommandFailed(Exception):
    """A command ended with an exit code other than 0; the message holds the last line it wrote to stderr."""

    #: Everything that it wrote.
    output = ""


@dataclass
class Usage:
    """What a command and every child it waited for cost.

    `peak_bytes` is the largest resident set of any single process of the tree (`wait4`). Linux counts the
    resident set of the process that forked as well, so no value is below this interpreter's: `peak_floor()`.
    """

    wall: float
    cpu: float
    peak_bytes: int
    output: str = ""


def executable(name):
    """The path of a program: in VARVE_BIN_DIR when set, else on PATH; None when there is none."""
    directory = os.environ.get("VARVE_BIN_DIR")
    if directory and os.access(os.path.join(directory, name), os.X_OK):
        return os.path.join(directory, name)
    for directory in os.environ.get("PATH", "").split(os.pathsep):
        if os.access(os.path.join(directory, name), os.X_OK):
            return os.path.join(directory, name)
    return None


def run(arguments, cwd=None, environment=None, while_running=None, expected=0):
    """Runs a command to its end. Raises `CommandFailed` unless it exits with `expected`.

    `while_running(pid)` is called right after the start and returns a function that is called after the end.
    """
    merged = dict(os.environ, **(environment or {}))
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        begin = time.monotonic()
        process = subprocess.Popen(
            arguments, cwd=cwd, env=merged, stdin=subprocess.DEVNULL, stdout=output, stderr=errors
        )
        after = while_running(process.pid) if while_running else None
        try:
            _, status, usage = os.wait4(process.pid, 0)
        except BaseException:
            process.kill()
            raise
        finally:
            if after:
                after()
        wall = time.monotonic() - begin
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        text = output.read().decode(errors="replace")
        errors.seek(0)
        complaint = errors.read().decode(errors="replace").strip()
    if process.returncode != expected:
        last = (complaint or text.strip() or "no message").splitlines()[-1]
        failure = CommandFailed(f"{os.path.basename(arguments[0])} exited with {process.returncode}: {last}")
        failure.output = text + complaint
        raise failure
    # Kept together: some programs (zstd -b) print what they measured on stderr.
    return Usage(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024, text + complaint)


def shell(script, cwd=None, environment=None):
    """Runs a pipeline with bash; a failure in any part of it is a failure."""
    return run(["bash", "-c", "set -eu -o pipefail; " + script], cwd, environment)


def peak_floor():
    """The smallest `peak_bytes` that can be measured here."""
    return run(["true"]).peak_bytes


def version_of(arguments):
    """The first line that an installed program prints about itself, or what it said instead."""
    try:
        return run([executable(arguments[0])] + arguments[1:]).output.strip().splitlines()[0]
    except (CommandFailed, IndexError) as failure:
        return f"version unknown ({failure})"
