"""The series, the workloads, the chart, and the reader of packs. Run: python3 -m unittest discover tests"""

import contextlib
import io
import json
import os
import stat
import sys
import tempfile
import unittest
import xml.etree.ElementTree
from unittest import mock

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.dirname(HERE)]

from test_varvebench import Copies  # noqa: E402
from varvebench import chart, cli, goals, series_report, stored, tools, workloads  # noqa: E402
from varvebench.series import MEASURES, Series, growth  # noqa: E402
from varvebench.turns import Row  # noqa: E402
from varvebench.workload import Cloned, Parameters  # noqa: E402

GOLDEN = os.path.join(HERE, "..", "..", "Fixtures", "repositories", "format-1")
# A day's database grows by 2 MB, its log by 1 MB; --compact fails, as a scenario whose work cannot be done.
FAKE_WORKLOAD = """\
#!/bin/sh
case "$*" in *--compact*) echo no room >&2; exit 3;; esac
head -c 2000000 /dev/zero >> "$3/main.db"; echo "$1" >> "$3/main.db"
head -c 1000000 /dev/zero >> "$3/log.0000000001"
"""
PARAMETERS = Parameters(4096, 100, 290, 0.01, 0.001, 1)


class Cumulative(Copies):
    """Holds one copy of what it was given last, whatever it was given."""

    def backup(self, home, names, day):
        kept = " ".join(names)
        return tools.shell(
            f"rm -rf {self.repository}/newest; mkdir -p {self.repository}/newest; "
            f"cp --parents {kept} {self.repository}/newest",
            cwd=home,
        )


def measured(kind, action):
    """Runs `action(work)` with one fake tool and a fake `bdb-workload`."""
    with tempfile.TemporaryDirectory() as work:
        program = os.path.join(work, "bdb-workload")
        with open(program, "w") as file:
            file.write(FAKE_WORKLOAD)
        os.chmod(program, stat.S_IRWXU)
        with mock.patch.dict(tools.ALL, {kind.name: kind}), \
                mock.patch.dict(os.environ, {"VARVE_BIN_DIR": work}):  # fmt: skip
            return action(work)


class SeriesTests(unittest.TestCase):
    def series(self, kind):
        def action(work):
            one = Series(PARAMETERS, [kind.name], 3, 2, work, lambda text: None)
            return one.run(), one.rows[kind.name]

        return measured(kind, action)

    def test_growth_with_and_without_logs(self):
        found, row = self.series(Cumulative)
        self.assertEqual((row.reason, row.failed, row.identical), ("", False, True))
        self.assertEqual(len(row.values["size"]), 4)
        self.assertAlmostEqual(growth(row), 3e6, delta=1e3)
        # The copy of the day before had its log, the one of the databases alone has none.
        self.assertAlmostEqual(growth(row, "databases"), 2e6 - sum(found["log_bytes"][:3]) / 3, delta=1e3)
        self.assertEqual(found["log_bytes"], [1e6, 2e6, 3e6, 4e6])
        self.assertEqual([len(row.values[name]) for name in ("restore_wall", "verify_wall")], [2, 1])
        self.assertEqual(len(found["limits"]["cp_wall"]), 2)
        text = series_report.series_text({"copies": row}, found, vars(PARAMETERS))
        self.assertIn("| copies ", text)

    def test_one_wrong_byte_at_the_end_is_found(self):
        damage = "printf x | dd of=main.db bs=1 seek=2000000 conv=notrunc status=none"
        _, row = self.series(type("Flips", (Cumulative,), {"damage": damage}))
        self.assertEqual((row.failed, row.identical), (True, False))
        self.assertEqual(row.reason, "restored files differ: main.db: differs at offset 2000000")


class WorkloadTests(unittest.TestCase):
    def test_work_that_cannot_be_done_says_so_and_the_others_are_measured(self):
        chosen = ("uniform", "compact", "clone", "encrypted")
        wanted = [one for one in workloads.SCENARIOS if one.name in chosen]
        found, rows = measured(Cumulative, lambda work: workloads.measure(
            PARAMETERS, ["copies"], 2, work, lambda text: None, wanted
        ))  # fmt: skip
        self.assertEqual(found["compact"]["reason"], "bdb-workload exited with 3: no room")
        self.assertEqual(list(rows), ["uniform", "clone", "encrypted"])
        self.assertTrue(all(row["copies"].identical for row in rows.values()), rows)
        text = series_report.workloads_text(found, rows, ["copies"], 2)
        self.assertIn("no room", text)

    def test_a_clone_begins_as_the_first_environment_did(self):
        def action(work):
            one = Cloned(os.path.join(work, "home"), PARAMETERS)
            one.generate(1)
            sizes = []
            for day in (1, 2):
                one.day(day)
                sizes.append((os.path.basename(one.home), one.size()))
            return sizes

        sizes = measured(Cumulative, action)
        self.assertEqual([home for home, _ in sizes], ["home-clone-1", "home-clone-2"])
        self.assertEqual(sizes[0][1], sizes[1][1])

    def test_more_than_restic_is_marked(self):
        def rows(varve, restic):
            return {
                name: Row(name, values={"first_size": [first], "growth": grown}, identical=True)
                for name, (first, grown) in {"varve": varve, "restic": restic}.items()
            }

        rows_failed = rows((100, [101]), (90, [100]))
        rows_failed["varve"].fail("out of ink")
        found = {"a": {"text": "", "source_bytes": [1]}, "b": {"text": "", "source_bytes": [1]}}
        own = {"a": rows((100, [5, 15]), (90, [100, 300])), "b": rows((100, [101]), (90, [100]))}
        lines = series_report.workloads_table(found, own, ["varve", "restic"]).splitlines()
        self.assertIn("| 0.050 ", lines[2])
        # Only the first backup is larger; in the second workload everything is.
        self.assertEqual([cell.strip() for cell in lines[2].split("|") if "!" in cell], ["100 B !"])
        self.assertEqual(lines[3].count("!"), 4, lines[3])
        self.assertIn("1.010 !", lines[3])
        only = {"a": found["a"]}
        lines = series_report.workloads_table(only, {"a": rows_failed}, ["varve", "restic"]).splitlines()
        self.assertNotIn("!", lines[2])
        self.assertIn("out of ink", series_report.restored(rows_failed))


class CommandLineTests(unittest.TestCase):
    def run_all(self, *arguments):
        """Exit code, and the files that `--save` wrote."""
        def action(work):
            with mock.patch.object(cli, "HERE", work), contextlib.redirect_stdout(io.StringIO()), \
                    contextlib.redirect_stderr(io.StringIO()):  # fmt: skip
                code = cli.main([
                    "--tools", "copies", "--runs", "1", "--days", "1", "--workload-days", "1",
                    "--work", work, "--save", "here", *arguments,
                ])  # fmt: skip
            saved = {}
            for name in os.listdir(os.path.join(work, "results")):
                with open(os.path.join(work, "results", name)) as file:
                    saved[name] = file.read()
            return code, saved

        return measured(Cumulative, action)

    def test_all_in_one_run(self):
        code, saved = self.run_all("--all", "--series", "2", "--only", "uniform,clone")
        self.assertEqual(code, 0, saved["here.md"])
        self.assertEqual(sorted(saved), ["here-growth.svg", "here.json", "here.md"])
        values = json.loads(saved["here.json"])
        self.assertEqual(values["series"]["tools"]["copies"]["identical"], True)
        self.assertEqual(list(values["workloads"]), ["uniform", "clone"])
        for words in (
            "first backup", "## 2 days of one environment", "here-growth.svg", "## Workloads", "copies: 1",
        ):  # fmt: skip
            self.assertIn(words, saved["here.md"])

    def test_work_that_cannot_be_done_is_a_failure(self):
        code, saved = self.run_all("--workloads", "--only", "uniform,compact")
        self.assertEqual(code, 1)
        self.assertEqual(list(json.loads(saved["here.json"])["workloads"]), ["uniform", "compact"])


class GoalTests(unittest.TestCase):
    def rows(self):
        def row(name, sizes, databases, wall):
            return Row(name, identical=True, values={
                **{measure: [] for measure in MEASURES}, "size": sizes, "databases": databases,
                "restore_synced_wall": [wall], "verify_wall": [10 * wall], "media_wall": [wall],
                "media_cold_wall": [2 * wall],
            })  # fmt: skip

        return {
            "varve": row("varve", [100, 110], [90, 5], 1.0),
            "restic": row("restic", [100, 400], [90, 300], 2.0),
        }

    FOUND = {"limits": {"cp_wall": [0.8, 9.0, 0.9], "direct_wall": [2.0]}, "decoded_per_byte": 2.6}

    def test_goals_are_held_or_not(self):
        found = {name: value for name, _, value in goals.series_goals(self.rows(), self.FOUND)}
        self.assertAlmostEqual(found["growth a day without logs ÷ restic"], 5 / 300)
        self.assertIsNone(found["growth a day without logs ÷ borg"])
        self.assertAlmostEqual(found["kept at the end, with logs ÷ restic"], 110 / 400)
        self.assertAlmostEqual(found["restore + sync ÷ cp + sync"], 1 / 0.9)
        self.assertAlmostEqual(
            found["verify --media, cached ÷ restic, per stored byte"], (1 / 110) / (20 / 400)
        )
        self.assertAlmostEqual(found["verify --media, cold ÷ dd, seconds"], 1.0)
        lines = goals.goals_table(goals.series_goals(self.rows(), self.FOUND)).splitlines()
        held = {line.split("|")[1].strip(): line.split("|")[4].strip() for line in lines[2:]}
        self.assertEqual(held["growth a day without logs ÷ restic"], "yes")
        self.assertEqual(held["bytes decoded per byte restored"], "no")
        self.assertEqual(held["growth a day without logs ÷ borg"], "–")

    def test_goals_of_the_comparison(self):
        rows = {
            name: Row(name, values={"first_wall": [wall], "next_wall": [1.0], "first_peak": [64 << 20]})
            for name, wall in {"varve": 1.0, "restic": 4.0}.items()
        }
        found = {
            name: value
            for name, _, value in goals.comparison_goals(rows, 800e6, {"zstd -3, every core": 400e6})
        }
        self.assertEqual(list(found.values()), [0.25, 0.5, 1.0, 64])
        found = goals.comparison_goals(rows, 800e6, {"zstd -3, every core": "not installed: zstd"})
        self.assertIsNone(found[1][2])

    def test_a_failed_tool_earns_no_ratio(self):
        rows = self.rows()
        rows["restic"].fail("out of paper")
        values = [value for name, _, value in goals.series_goals(rows, self.FOUND) if "restic" in name]
        self.assertEqual(values, [None] * 4)
        rows["varve"].fail("out of ink")
        self.assertEqual(goals.series_goals(rows, self.FOUND), [])


class ChartTests(unittest.TestCase):
    def test_ticks(self):
        self.assertEqual(chart.nice_ticks(6.1), [0, 2, 4, 6, 8])
        self.assertEqual(chart.nice_ticks(1000), [0, 200, 400, 600, 800, 1000])
        self.assertEqual(chart.log_ticks(3.2, 198), [1, 10, 100, 1000])
        self.assertEqual(chart.log_ticks(10, 10), [10, 100])

    def test_every_tool_has_a_line_in_both_panels_within_the_axes(self):
        days = {"varve": 3e6, "a<b>&": 190e6}
        held = {name: [(day, 2e8 + day * one) for day in range(31)] for name, one in days.items()}
        grown = {name: [(day, one) for day in range(1, 31)] for name, one in days.items()}
        grown["varve"][7] = (8, 0)  # has no place on a logarithmic axis
        root = xml.etree.ElementTree.fromstring(chart.growth_chart("30 days", "a machine", held, grown))
        name = "{http://www.w3.org/2000/svg}"
        words = [one.text for one in root.iter(name + "text")]
        self.assertTrue({"varve", "a<b>&", "30 days", "a machine", "0", "30", "day"} <= set(words), words)
        lines = [one.get("d") for one in root.iter(name + "path") if one.get("d").count("L") > 5]
        self.assertEqual([line.count("L") + 1 for line in lines], [31, 31, 29, 30])
        for line in lines:
            for point in line[1:].split("L"):
                x, y = map(float, point.split())
                self.assertTrue(chart.LEFT <= x <= chart.WIDTH and chart.TOP <= y)
                self.assertLessEqual(y, chart.TOP + chart.PANEL_HEIGHT + 0.1)
        # More is higher up.
        self.assertLess(float(lines[3].split()[1].split("L")[0]), float(lines[2].split()[1].split("L")[0]))


class StoredTests(unittest.TestCase):
    def setUp(self):
        self.stored = stored.Stored(GOLDEN)
        self.new = self.stored.update()
        self.manifests = []
        for name in sorted(os.listdir(os.path.join(GOLDEN, "manifests"))):
            with open(os.path.join(GOLDEN, "manifests", name), "rb") as file:
                self.manifests.append(json.loads(stored.unzstd(file.read())))

    def test_every_byte_of_the_packs_is_accounted_for(self):
        packs = [
            os.path.join(directory, name)
            for directory, _, names in os.walk(os.path.join(GOLDEN, "packs")) for name in names
        ]
        header_magic_and_trailer = 64 + 8 + 32
        expected = sum(os.path.getsize(path) - header_magic_and_trailer for path in packs)
        taken = sum(blob.taken - stored.INDEX_ENTRY for blob in self.stored.blobs.values())
        self.assertEqual(taken, expected)
        self.assertEqual(self.stored.update(), [])

    def test_logs_and_databases_are_told_apart(self):
        files = [entry for manifest in self.manifests for entry in manifest["files"]]
        kinds = {entry["kind"] for entry in files}
        parts = {kind: self.stored.taken(self.new, files, kind) for kind in kinds}
        self.assertTrue(parts["log"] > 0 and parts["database"] > 0, parts)
        self.assertLessEqual(sum(parts.values()), sum(blob.taken for blob in self.stored.blobs.values()))
        self.assertEqual(self.stored.taken([], files, "log"), 0)

    def test_decoded_bytes_count_the_chain(self):
        deltas = [blob for blob in self.stored.blobs.values() if blob.encoding == stored.DELTA]
        self.assertTrue(deltas)
        for blob in deltas:
            identity = next(one for one, other in self.stored.blobs.items() if other is blob)
            changed = stored.changed_bytes(self.stored.payload(blob), blob.decoded)
            base = self.stored.work(blob.base, {})
            self.assertGreater(changed, 0)
            self.assertEqual(self.stored.work(identity, {}), base + changed)
        for manifest in self.manifests:
            self.assertGreater(self.stored.decoded_per_byte(manifest["files"]), 1)
        self.assertIsNone(self.stored.decoded_per_byte([]))

    def test_changed_bytes_of_a_delta(self):
        # Base of 300 bytes, granules of 32: 2 from the start; 3 after a gap of 4, cut off at the end.
        payload = bytes([300 & 127 | 128, 300 >> 7, 5, 2, 0, 2, 4, 3])
        self.assertEqual(stored.changed_bytes(payload, 281), 64 + (281 - 192))
        self.assertEqual(stored.changed_bytes(payload, 300), 64 + 96)


if __name__ == "__main__":
    unittest.main()
