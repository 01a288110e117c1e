"""The work and varve itself, small. Needs a release build: VARVE_BIN_DIR, or .build/release."""

import json
import os
import sys
import tempfile
import unittest
from dataclasses import replace
from unittest import mock

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.dirname(HERE)]

from test_copies import directories  # noqa: E402
from varvebench import goals, process, workloads  # noqa: E402
from varvebench.copies import Copies  # noqa: E402
from varvebench.series import Series, growth  # noqa: E402
from varvebench.workload import Parameters, Workload  # noqa: E402

BUILT = os.environ.get("VARVE_BIN_DIR") or os.path.join(HERE, "..", "..", ".build", "release")
SMALL = Parameters(4096, 4000, 290, 0.01, 0.001, 1)


def built():
    return all(os.access(os.path.join(BUILT, name), os.X_OK) for name in ("varve", "bdb-workload"))


@unittest.skipUnless(built(), "no release build")
class RealTests(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.work = directory.name
        patch = mock.patch.dict(os.environ, {"VARVE_BIN_DIR": os.path.abspath(BUILT)})
        patch.start()
        self.addCleanup(patch.stop)

    def test_every_workload_comes_back_bit_for_bit(self):
        found, rows = workloads.measure(SMALL, ["varve"], 2, self.work, lambda text: None)
        self.assertEqual(list(rows), [scenario.name for scenario in workloads.SCENARIOS], found)
        for name, own in rows.items():
            self.assertTrue(own["varve"].identical, f"{name}: {own['varve'].reason}")

    def test_a_series(self):
        one = Series(SMALL, ["varve"], 3, 1, self.work, lambda text: None)
        found = one.run()
        row = one.rows["varve"]
        self.assertTrue(row.identical, row.reason)
        logs = [all_of - alone for all_of, alone in zip(row.values["growth"], row.values["databases"])]
        # A log is new each day; a database whose every extent were stored again would take 500 kB a day.
        self.assertTrue(all(size > 1000 for size in logs), logs)
        self.assertTrue(5_000 < growth(row, "databases") < 100_000, row.values)
        self.assertTrue(1 < found["decoded_per_byte"] < 2.5, found)

    def test_copies(self):
        found = Copies(SMALL, 1, 1, self.work, lambda text: None, directories).run()
        self.assertEqual(len(found["heal_wall"]), 1)
        self.assertEqual(len(goals.copies_goals(found)), 5)
        read = found["source_read"]
        self.assertEqual(read.get("one"), read.get("all"))

    def test_what_the_application_does_is_whole(self):
        for method, steps in (
            ("btree", ["compact", "reload"]), ("hash", ["reload"]),
            ("recno", []), ("queue", []), ("heap", []),
        ):  # fmt: skip
            with self.subTest(method=method):
                home = os.path.join(self.work, method)
                changes = ("--compact",) if "compact" in steps else ()
                one = Workload(home, replace(SMALL, method=method, delete=0.05, insert=0.03, changes=changes))
                one.generate(7)
                days = [json.loads(one.day(8).output)]
                if "reload" in steps:
                    one.call("reload", 8, "--remove-logs")
                days.append(json.loads(one.day(9).output))
                checked = json.loads(one.call("check", 0, "--generated").output)
                # A btree or hash has the meta record among the others.
                expected = SMALL.records + (1 if method in ("btree", "hash") else 0)
                expected += sum(day["inserted"] - day["deleted"] for day in days)
                self.assertEqual((checked["day"], checked["records"]), (2, expected))
                self.assertTrue(all(day["deleted"] > 150 and day["updated"] > 30 for day in days), days)
                process.run(["db5.3_verify", "-h", home, os.path.join(home, "main.db")])


if __name__ == "__main__":
    unittest.main()
