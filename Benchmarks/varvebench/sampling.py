"""The memory of a running process tree, process by process."""

import os
import threading
import time

INTERVAL = 0.01


class TreeSampler:
    """Watches a process and its descendants until `stop`.

    `peaks[name]` holds for each program name (its first 15 characters: the kernel keeps no more):
    - `resident`: the largest VmHWM, the kernel's high-water mark, so that a peak between two samples counts;
    - `unreclaimable`: the largest sum of private and shared memory, without file pages such as a mapped
      index, which the kernel can drop.
    `together` is the largest sum of resident sets at one moment; shared memory counts twice in it.
    """

    def __init__(self, pid):
        self.pid = pid
        self.peaks = {}
        self.together = 0
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self.watch, daemon=True)
        self.thread.start()

    def stop(self):
        self.ended.set()
        self.thread.join()

    def watch(self):
        while not self.ended.is_set():
            together = 0
            for pid in descendants(self.pid):
                status = memory_of(pid)
                if status is None:
                    continue
                together += status["VmRSS"]
                peak = self.peaks.setdefault(status["Name"], {"resident": 0, "unreclaimable": 0})
                peak["resident"] = max(peak["resident"], status["VmHWM"])
                peak["unreclaimable"] = max(peak["unreclaimable"], status["RssAnon"] + status["RssShmem"])
            self.together = max(self.together, together)
            time.sleep(INTERVAL)


def descendants(pid):
    """A process and everything below it that is alive."""
    found, queue = [], [pid]
    while queue:
        one = queue.pop()
        found.append(one)
        try:
            for thread in os.listdir(f"/proc/{one}/task"):
                with open(f"/proc/{one}/task/{thread}/children") as file:
                    queue += [int(child) for child in file.read().split()]
        except OSError:
            continue  # it ended meanwhile
    return found


def memory_of(pid):
    """Name and memory figures in bytes of a process, or None when it has ended."""
    found = {}
    try:
        with open(f"/proc/{pid}/status") as file:
            for line in file:
                key, _, value = line.partition(":")
                if key == "Name":
                    found[key] = value.strip()
                elif key in ("VmHWM", "VmRSS", "RssAnon", "RssShmem"):
                    found[key] = int(value.split()[0]) * 1024
    except OSError:
        return None
    return found if len(found) == 5 else None
