"""The benchmark must notice what it is there to notice. Run: python3 -m unittest discover tests"""

import os
import stat
import sys
import tempfile
import unittest
from unittest import mock

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from varvebench import files, process, report, sampling, tools  # noqa: E402
from varvebench.comparison import Comparison  # noqa: E402
from varvebench.workload import Parameters  # noqa: E402

FAKE_WORKLOAD = """\
#!/bin/sh
# generate|day --home H ...: a database that a day changes.
date +%s%N >> "$3/main.db"; head -c 3000000 /dev/zero >> "$3/main.db"; echo log > "$3/log.0000000001"
"""


class Copies(tools.TarZstd):
    """A peer that needs nothing installed; `damage` is what it does to the file it restores."""

    name = "copies"
    program = "sh"
    damage = ":"

    def version(self):
        return "1"

    def backup(self, home, names, day):
        return process.shell(f"cp -a {home} {self.repository}/newest.tmp && rm -rf {self.repository}/newest "
                             f"&& mv {self.repository}/newest.tmp {self.repository}/newest")  # fmt: skip

    def restore(self, target):
        return process.shell(f"cp -a {self.repository}/newest {target}; cd {target}; {self.damage}")

    def verify(self):
        return process.run(["true"])


class Absent(Copies):
    name = "absent"
    program = "no-such-program-anywhere"


class ComparisonTests(unittest.TestCase):
    def compare(self, kind):
        with tempfile.TemporaryDirectory() as work:
            workload = os.path.join(work, "bdb-workload")
            with open(workload, "w") as file:
                file.write(FAKE_WORKLOAD)
            os.chmod(workload, stat.S_IRWXU)
            with mock.patch.dict(tools.ALL, {kind.name: kind}), \
                    mock.patch.dict(os.environ, {"VARVE_BIN_DIR": work}):  # fmt: skip
                chosen = Parameters(4096, 100, 290, 0.01, 0.001, 1)
                rows = Comparison(chosen, [kind.name], 2, 2, work, lambda text: None).run()
        return rows[kind.name]

    def test_a_faithful_tool_has_every_figure(self):
        row = self.compare(Copies)
        self.assertEqual((row.reason, row.failed, row.identical), ("", False, True))
        self.assertEqual(len(row.values["next_wall"]), 4)
        self.assertTrue(all(row.values.values()), row.values)
        self.assertIn("yes", report.comparison_table({"copies": row}))
        # The fake environment grows by 3 MB a day, and the repository is a copy of it.
        self.assertAlmostEqual(row.median("growth"), 3e6, delta=1e4)

    def test_one_wrong_byte_is_found(self):
        damage = "printf x | dd of=main.db bs=1 seek=2000000 conv=notrunc status=none"
        row = self.compare(type("Flips", (Copies,), {"damage": damage}))
        self.assertTrue(row.failed)
        self.assertEqual(row.reason, "restored files differ: main.db: differs at offset 2000000")
        self.assertEqual(report.ratio_table({"copies": row}, "copies"), "No ratios: copies has no result.")

    def test_a_tool_that_restores_nothing_is_found(self):
        row = self.compare(type("Lazy", (Copies,), {"restore": lambda self, target: process.run(["true"])}))
        self.assertEqual(row.reason, "restored files differ: main.db: not restored")

    def test_a_missing_log_is_found(self):
        row = self.compare(type("Forgets", (Copies,), {"damage": "rm log.0000000001"}))
        self.assertEqual(row.reason, "restored files differ: log.0000000001: not restored")

    def test_a_short_file_is_found(self):
        row = self.compare(type("Truncates", (Copies,), {"damage": "truncate -s 5000 main.db"}))
        self.assertEqual(row.reason, "restored files differ: main.db: differs at offset 5000")

    def test_a_failing_tool_says_why(self):
        row = self.compare(type("Fails", (Copies,), {"damage": "echo out of paper >&2; exit 7"}))
        self.assertTrue(row.failed)
        self.assertEqual(row.reason, "bash exited with 7: out of paper")

    def test_a_tool_that_is_not_installed_says_so(self):
        row = self.compare(Absent)
        self.assertEqual((row.reason, row.failed), ("not installed: no-such-program-anywhere", False))
        self.assertIn("not installed", report.comparison_table({"absent": row}))


class MeasuringTests(unittest.TestCase):
    HUNGRY = "x = bytearray(120_000_000); import time; time.sleep(0.3)"

    def test_memory_of_a_grandchild_counts(self):
        small = process.shell("true").peak_bytes
        large = process.shell(f"{sys.executable} -c '{self.HUNGRY}'; true").peak_bytes
        self.assertLess(small, 100e6)
        self.assertGreater(large, 120e6)

    def test_the_sampler_tells_processes_apart(self):
        samplers = []

        def watch(pid):
            samplers.append(sampling.TreeSampler(pid))
            return samplers[0].stop

        process.run(["sh", "-c", f"{sys.executable} -c '{self.HUNGRY}'; true"], while_running=watch)
        peaks = samplers[0].peaks
        shell = next(peak for name, peak in peaks.items() if name in ("sh", "dash", "bash"))
        hungry = next(peak for name, peak in peaks.items() if name.startswith("python"))
        self.assertLess(shell["resident"], 60e6)
        self.assertGreater(hungry["unreclaimable"], 120e6)

    def test_processor_time_of_a_pipeline_counts(self):
        usage = process.shell(f"{sys.executable} -c 'sum(range(10**7))' | cat")
        self.assertGreater(usage.cpu, 0.05)

    def test_sizes(self):
        self.assertEqual(
            [report.size(value) for value in (0, 999, 12_345, 187_000_000, 1_500_000_000, None)],
            ["0 B", "999 B", "12.3 kB", "187 MB", "1.5 GB", "–"],
        )

    def test_regions_are_no_files_of_an_environment_but_their_namesakes_are(self):
        with tempfile.TemporaryDirectory() as home:
            regions = ["__db.001", "__db.register"]
            for name in regions + ["z.db", "log.0000000010", "__dbq.jobs.0", "log.0000000002", "a.db"]:
                open(os.path.join(home, name), "w").close()
            expected = ["__dbq.jobs.0", "a.db", "z.db", "log.0000000002", "log.0000000010"]
            self.assertEqual(files.environment_files(home), expected)


if __name__ == "__main__":
    unittest.main()
