"""Several copies, and the disks they are on. Run: python3 -m unittest discover tests"""

import contextlib
import functools
import io
import json
import os
import stat
import sys
import tempfile
import unittest
from unittest import mock

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.dirname(HERE)]

from test_series import FAKE_WORKLOAD, PARAMETERS  # noqa: E402
from varvebench import cli, copies, copies_report, disks, goals, process  # noqa: E402

# A copy's packs are the source's files as they are. DEFECT says what is done badly.
FAKE_VARVE = """\
#!/usr/bin/env python3
import os, sys, time
words, defect = sys.argv[1:], os.environ.get("DEFECT")

def after(option): return words[words.index(option) + 1]
def write(path, data):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file: file.write(data)
def read(path):
    with open(path, "rb") as file: return file.read()
def bring(source, target, dry=False):
    for name in sorted(os.listdir(source)):
        if not os.path.exists(os.path.join(target, name)):
            print("missing:", name)
            if not dry: write(os.path.join(target, name), read(os.path.join(source, name)))

if words == ["--version"]: sys.exit(print("1"))
own, command = after("-r"), " ".join(words[:2])
if words[0] == "init":
    others = [value for option, value in zip(words, words[1:]) if option == "--copy"]
    for path in [own] + others: os.makedirs(path + "/packs")
    write(own + "/copies", chr(10).join([own] + others).encode())
elif words[0] == "backup":
    home, paths = after("--bdb"), read(own + "/copies").decode().split()
    packs = {name: read(os.path.join(home, name)) for name in os.listdir(home)}
    for path in paths:
        if defect == "reads again": packs = {name: read(os.path.join(home, name)) for name in packs}
        if defect == "flips" and path != own: packs["main.db"] = b"!" + packs["main.db"][1:]
        for name, data in packs.items(): write(f"{path}/packs/{name}", data)
    for path in paths: write(path + "/manifests/1", b"")
    print('{"snapshot": "1"}')
    if defect == "slow" and len(paths) > 1: time.sleep(1)
elif words[0] == "restore":
    bring(own + "/packs", after("--target"))
    if defect == "forgets": os.unlink(after("--target") + "/main.db")
elif command == "copy add": os.makedirs(words[2] + "/packs")
elif command == "copy sync" and defect != "lazy":
    bring(own + "/packs", words[2] + "/packs"), bring(own + "/manifests", words[2] + "/manifests")
    if defect == "slow": time.sleep(1)
elif words[0] == "heal":
    dry = "--dry-run" in words
    if defect != "blind" or not dry: bring(own + "/packs", after("--copy") + "/packs", dry or defect == "unhealed")
    if defect == "slow" and not dry: time.sleep(1)
    sys.exit(dry)
elif command == "verify --drill" and defect == "undrilled":
    print("failed: db_verify fails", file=sys.stderr)
    sys.exit("varve: the drill has failed")
elif command == "verify --media" and defect == "slow": time.sleep(1)
elif words[0] == "status" and defect == "fails": sys.exit("out of paper")
"""


@contextlib.contextmanager
def directories(work, size, say):
    """Three directories of the same disk."""
    found = [disks.Disk(f"disk {number}", os.path.join(work, f"disk-{number}")) for number in (1, 2, 3)]
    for disk in found:
        os.makedirs(disk.path)
    yield found


def measured(defect, action):
    """Runs `action(work)` with a varve that has a defect and a fake `bdb-workload`."""
    with tempfile.TemporaryDirectory() as work:
        for name, text in (("bdb-workload", FAKE_WORKLOAD), ("varve", FAKE_VARVE)):
            program = os.path.join(work, name)
            with open(program, "w") as file:
                file.write(text)
            os.chmod(program, stat.S_IRWXU)
        with mock.patch.dict(os.environ, {"VARVE_BIN_DIR": work, "DEFECT": defect}):
            return action(work)


def run(defect="", runs=1):
    def action(work):
        return copies.Copies(PARAMETERS, 1, runs, work, lambda text: None, directories).run()

    return measured(defect, action)


def held(found):
    lines = goals.goals_table(goals.copies_goals(found)).splitlines()
    return {line.split("|")[1].strip(): line.split("|")[4].strip() for line in lines[2:]}


class CopiesTests(unittest.TestCase):
    def test_every_figure_is_there(self):
        found = run(runs=2)
        for measure in copies.MEASURES:
            self.assertEqual(len(found[measure]), 2, measure)
        self.assertEqual([len(found["limits"][limit]) for limit in copies.LIMITS[:3]], [2, 2, 2])
        self.assertEqual([len(disk["wall"]) for disk in found["disks"]], [2, 2, 2])
        # The fake stores what it is given: 3 MB at first, 3 more after a day.
        for size, expected in (("source_bytes", 3e6), ("first_pack_bytes", 3e6), ("object_bytes", 6e6)):
            self.assertAlmostEqual(found[size], expected, delta=1e3, msg=size)
        text = copies_report.copies_text(found, dict(vars(PARAMETERS), days=1))
        for words in ("| disk 3", "| all 3 at once", "| verify --drill", "| copy sync ÷ cp + fsync, seconds"):
            self.assertIn(words, text)

    def test_what_is_slow_misses_its_goal(self):
        found = held(run("slow"))
        for measure, answer in found.items():
            if not measure.startswith("bytes read"):
                self.assertEqual(answer, "no", measure)

    @unittest.skipUnless(process.executable("strace"), "strace is not installed")
    def test_a_source_that_is_read_for_each_copy_is_noticed(self):
        measure = "bytes read of the source, all copies ÷ one"
        found = run()
        self.assertEqual(found["source_read"]["one"], found["source_read"]["all"])
        self.assertEqual(found["source_read"]["one"], found["source_read"]["source"])
        self.assertEqual(held(found)[measure], "yes")
        found = run("reads again")
        self.assertEqual(dict((name, value) for name, _, value in goals.copies_goals(found))[measure], 2)
        self.assertEqual(held(found)[measure], "no")

    def test_what_is_wrong_is_a_failure(self):
        for defect, complaint in (
            ("flips", "the copies differ: packs/main.db: differs at offset 0"),
            ("forgets", "restored files differ: main.db: not restored"),
            ("lazy", "the copies differ: manifests/1: not restored"),
            ("blind", "heal does not miss 2 packs"),
            ("unhealed", "the copies differ: packs/log.0000000001: not restored"),
            ("fails", "varve exited with 1: out of paper"),
        ):  # fmt: skip
            with self.subTest(defect=defect):
                with self.assertRaisesRegex(process.CommandFailed, complaint):
                    run(defect)

    def test_without_strace_there_is_a_reason(self):
        with mock.patch.object(copies, "executable", lambda name: None):
            found = run()
        self.assertEqual(found["source_read"], {"reason": "not installed: strace"})
        self.assertEqual(held(found)["bytes read of the source, all copies ÷ one"], "–")
        self.assertIn("not installed: strace", copies_report.read_line(found))

    def test_the_mode_of_the_program(self):
        def action(work):
            kind = functools.partial(copies.Copies, disks=directories)
            with mock.patch.object(cli, "HERE", work), mock.patch.object(cli, "Copies", kind), \
                    contextlib.redirect_stdout(io.StringIO()) as printed, \
                    contextlib.redirect_stderr(io.StringIO()):  # fmt: skip
                code = cli.main(["--copies", "--runs", "1", "--days", "1", "--work", work, "--save", "here"])
            with open(os.path.join(work, "results", "here.json")) as file:
                return code, printed.getvalue(), json.load(file)

        code, text, values = measured("", action)
        self.assertEqual(code, 0, text)
        self.assertIn("## Several copies", text)
        self.assertEqual(len(values["copies"]["sync_wall"]), 1)
        self.assertNotIn("tools", values)
        # A drill that fails does not hide what else was measured.
        code, text, values = measured("undrilled", action)
        self.assertEqual(code, 1)
        self.assertIn("FAILED: the drill failed: db_verify fails.", text)
        self.assertEqual((values["copies"]["drill_wall"], len(values["copies"]["sync_wall"])), ([], 1))


class TraceTests(unittest.TestCase):
    def test_reads_below_the_home_count(self):
        lines = [
            'pread64(7</e/home/main.db>, ""..., 131072, 0) = 131072',
            'read(7</e/home/log.0000000001>, ""..., 131072) = 100',
            'preadv(8</e/home/a b.db>, [{iov_base=""..., iov_len=10}], 1, 0) = 10',
            'read(7</e/home/main.db>, ""..., 131072) = 0',
            'pread64(7</e/home/main.db>, 0x7ffe, 131072, 0) = -1 EIO (Input/output error)',
            'read(9</e/home-2/main.db>, ""..., 8) = 8',
            "write(7</e/home/main.db>, \"\"..., 5) = 5",
            "+++ exited with 0 +++",
        ]
        with tempfile.TemporaryDirectory() as traces:
            for number, part in enumerate((lines[:3], lines[3:])):
                with open(os.path.join(traces, f"trace.{number}"), "w") as file:
                    file.write("\n".join(part) + "\n")
            found = copies.bytes_read(traces, "/e/home")
        self.assertEqual(found, {"databases": 131082, "logs": 100})


class DiskTests(unittest.TestCase):
    def mounted(self, work):
        with open("/proc/self/mountinfo") as file:
            return [line for line in file if os.path.realpath(work) + "/" in line]

    def test_nothing_stays_mounted_after_a_failure(self):
        with tempfile.TemporaryDirectory() as work:
            with self.assertRaises(ZeroDivisionError):
                with disks.three_disks(work, 64 << 20, lambda text: None) as found:
                    self.assertEqual(len({disk.name for disk in found}), 3)
                    self.assertEqual(len({disk.path for disk in found}), 3)
                    for disk in found:
                        with open(os.path.join(disk.path, "file"), "w") as file:
                            file.write("x")
                    1 / 0
            self.assertEqual(self.mounted(work), [])
            self.assertEqual(os.listdir(os.path.join(work, "second")), [])

    def test_what_cannot_be_mounted_is_in_shared_memory(self):
        def refuse(arguments):
            raise process.CommandFailed(f"{arguments[0]}: permission denied")

        said = []
        with tempfile.TemporaryDirectory() as work, mock.patch.object(disks, "run", refuse):
            with disks.three_disks(work, 1 << 20, said.append) as found:
                paths = [disk.path for disk in found]
                self.assertEqual([disk.name.split(",")[0] for disk in found][1:], ["tmpfs", "tmpfs"])
                self.assertTrue(all(path.startswith(disks.SHARED_MEMORY) for path in paths[1:]), paths)
            self.assertEqual([os.path.exists(path) for path in paths], [True, False, False])
        self.assertEqual(len(said), 2)

    def test_file_systems_have_names(self):
        self.assertEqual(disks.file_system("/proc/self"), "proc")


if __name__ == "__main__":
    unittest.main()
