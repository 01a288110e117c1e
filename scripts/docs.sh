#!/usr/bin/env python3
"""Builds the documentation from the `.docc` catalogues, with the toolchain's own docc.

    scripts/docs.sh [BUILD]      an archive for each module in .build/docs, from what `swift build` left in BUILD
                                 (default: .build/release)
    scripts/docs.sh --code       only checks that the code in the catalogue of `Varve` is what Examples/ compile

`Varve.doccarchive` holds what is public. The other modules' archives hold what has `package` access. Exits with 1 for a
link that leads nowhere, for any other warning about `Varve`, and for code that no example has.
"""
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
SOURCES = ROOT / "Sources"
FENCE = re.compile(r"^```swift\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def lines(text):
    """Lines without their indentation; no empty ones."""
    return [line.strip() for line in text.split("\n") if line.strip()]


def missing_code():
    """Code of the catalogue that is in no example. A block is a part of one example, line for line. One that begins with
    `// Package.swift` shows another package's manifest, which no example can be."""
    examples = ["\n".join(lines(path.read_text())) + "\n" for path in sorted(ROOT.glob("Examples/*/main.swift"))]
    for page in sorted((SOURCES / "Varve/Varve.docc").glob("*.md")):
        for match in FENCE.finditer(page.read_text()):
            block = lines(match.group(1))
            if block and block[0] == "// Package.swift":
                continue
            if not any("\n" + "\n".join(block) + "\n" in "\n" + example for example in examples):
                line = page.read_text().count("\n", 0, match.start()) + 1
                yield f"{page.relative_to(ROOT)}:{line}: no example has this code: {block[0] if block else ''}"


def toolchain(name):
    """The tool beside `swift`."""
    swift = shutil.which(os.environ.get("SWIFT") or "swift")
    if swift is None:
        sys.exit("docs.sh: no swift is in PATH")
    beside = pathlib.Path(swift).resolve().parent / name
    return str(beside) if beside.exists() else name


def symbols(module, access, build, into):
    """The symbols of a module that was built, with their comments."""
    target = json.loads(subprocess.check_output([toolchain("swiftc"), "-print-target-info"]))["target"]["triple"]
    arguments = ["-I", str(build / "Modules")]
    for headers in [ROOT / ".build/checkouts/swift-system/Sources/CSystem/include", SOURCES / "CBlake2Lanes/include"]:
        arguments += ["-Xcc", f"-I{headers}"]
    for headers in sorted(build.glob("*.build/module.modulemap")) + sorted(SOURCES.glob("C*/module.modulemap")):
        arguments += ["-Xcc", f"-fmodule-map-file={headers}"]
    subprocess.run(
        [toolchain("swift-symbolgraph-extract"), "-module-name", module, "-target", target, "-skip-synthesized-members",
         "-minimum-access-level", access, "-output-dir", str(into)] + arguments, check=True)


def convert(module, build, output):
    """Writes the archive. Gives the problems that docc has found.

    Within the house a comment names the parameters that need words, not all: there that is no problem.
    """
    is_public = module == "Varve"
    graphs = output / "symbols" / module
    graphs.mkdir(parents=True)
    symbols(module, "public" if is_public else "package", build, graphs)
    report = graphs / "diagnostics.json"
    docc = subprocess.run(
        [toolchain("docc"), "convert", str(SOURCES / module / f"{module}.docc"), "--fallback-display-name", module,
         "--fallback-bundle-identifier", f"varve.{module}", "--additional-symbol-graph-dir", str(graphs),
         "--diagnostics-file", str(report), "--output-path", str(output / f"{module}.doccarchive")],
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False)
    problems = []
    for found in json.loads(report.read_text())["diagnostics"] if report.exists() else []:
        if is_public or not found["summary"].endswith("is missing documentation"):
            place = found.get("source", "").removeprefix("file://").removeprefix(f"{ROOT}/") or module
            line = found.get("range", {}).get("start", {}).get("line")
            problems.append(f"{place}:{line}: {found['summary']}")
    if docc.returncode != 0 and not problems:
        problems.append(f"{module}: docc ended with {docc.returncode}: {docc.stderr.strip()}")
    return problems


def main():
    problems = list(missing_code())
    if sys.argv[1:] != ["--code"]:
        build = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / ".build/release").resolve()
        output = ROOT / ".build/docs"
        shutil.rmtree(output, ignore_errors=True)
        for catalogue in sorted(SOURCES.glob("*/*.docc")):
            problems += convert(catalogue.stem, build, output)
    for problem in problems:
        print(problem, file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
