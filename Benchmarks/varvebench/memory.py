"""Peak memory of varve and of its helper on a large environment."""

import os
import shutil

from .files import difference, tree_size
from .process import CommandFailed
from .sampling import TreeSampler
from .tools import Varve
from .workload import Workload

#: Of a generated btree: a record of 290 bytes with its key takes this much of the file.
BYTES_PER_RECORD = 474


def measure(parameters, gibibytes, work, say):
    """First backup offline, first backup through the helper, restore, verify. Raises `CommandFailed`."""
    wanted = gibibytes * (1 << 30)
    parameters.records = int(wanted / BYTES_PER_RECORD)
    workload = Workload(os.path.join(work, "memory-environment"), parameters)
    say(f"memory: generate {parameters.records} records")
    workload.generate(parameters.seed, keep_regions=True)
    steps = []

    def step(name, action, *arguments):
        say(f"memory: {name}")
        samplers = []

        def watch(pid):
            samplers.append(TreeSampler(pid))
            return samplers[0].stop

        usage = action(*arguments, while_running=watch)
        steps.append({
            "name": name, "wall": usage.wall, "peak": usage.peak_bytes,
            "together": samplers[0].together, "processes": samplers[0].peaks,
        })  # fmt: skip

    directory = os.path.join(work, "memory-varve")
    for name, arguments in (("backup, offline", ["--offline"]), ("backup, through the helper", [])):
        shutil.rmtree(directory, ignore_errors=True)
        os.makedirs(directory)
        varve = Varve(directory)
        varve.init()
        step(name, lambda while_running: varve.call(
            "backup", "--bdb", workload.home, *arguments, while_running=while_running
        ))  # fmt: skip
    step("verify --content", varve.verify)
    step("verify --media", varve.verify_media)
    target = os.path.join(directory, "restored")
    step("restore", varve.restore, target)
    found = difference(workload.home, target, [name for name in workload.files() if name.endswith(".db")])
    if found is not None:
        raise CommandFailed(f"restored files differ: {found}")
    size = sum(tree_size(os.path.join(workload.home, name)) for name in workload.files())
    stored = tree_size(varve.repository)
    shutil.rmtree(directory)
    shutil.rmtree(workload.home)
    return {"source_bytes": size, "stored_bytes": stored, "steps": steps}
