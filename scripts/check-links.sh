#!/usr/bin/env python3
"""Checks the links of the documents. Exits with 1 and names each one that leads nowhere.

1. Each relative link in a Markdown file names a file or directory that exists.
2. Each anchor (`page.md#heading`, `#heading`) is a heading of that page.
3. Each `Documentation/….md` that a source, a script or a unit names exists.

    scripts/check-links.sh
"""
import os
import re
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
SKIPPED = {".git", ".build", "work", "__pycache__"}
LINK = re.compile(r"!?\[(?:[^\[\]]|\[[^\]]*\])*\]\(([^()\s]+)\)")
NAMED = re.compile(r"(?<![\w/.-])Documentation/[\w./-]*\.md")


def files():
    """The paths of all files, relative to the root."""
    for directory, names, leaves in os.walk(ROOT):
        names[:] = sorted(name for name in names if name not in SKIPPED)
        for leaf in sorted(leaves):
            yield os.path.relpath(os.path.join(directory, leaf), ROOT)


def text_of(path):
    """The text of a file; empty for what is no UTF-8."""
    try:
        with open(os.path.join(ROOT, path), encoding="utf-8") as file:
            return file.read()
    except (UnicodeDecodeError, OSError):
        return ""


def prose(text):
    """The lines outside of code blocks, with their numbers."""
    fence = None
    for number, line in enumerate(text.split("\n"), 1):
        start = re.match(r"\s*(```+|~~~+)", line)
        if fence:
            if start and start.group(1).startswith(fence):
                fence = None
        elif start:
            fence = start.group(1)
        else:
            yield number, line


def links(text):
    """The targets of all links, with their lines. The text of a link may go over several lines."""
    lines = [""] * (text.count("\n") + 1)
    for number, line in prose(text):
        lines[number - 1] = re.sub(r"`[^`]*`", "code", line)
    joined = "\n".join(lines)
    for match in LINK.finditer(joined):
        yield joined.count("\n", 0, match.end()) + 1, match.group(1)


def anchors(text):
    """The anchors of a page, as GitHub makes them from its headings."""
    seen = {}
    for _, line in prose(text):
        match = re.match(r"#{1,6}\s+(.*?)\s*#*$", line)
        if not match:
            continue
        title = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", match.group(1))
        title = title.replace("&lt;", "<").replace("&gt;", ">")
        slug = re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")
        count = seen.get(slug, 0)
        seen[slug] = count + 1
        yield slug if count == 0 else f"{slug}-{count}"


def main():
    problems = []
    pages = {}
    for path in files():
        if os.path.splitext(path)[1] in {".svg", ".json", ".png"}:
            continue
        text = text_of(path)
        for number, line in enumerate(text.split("\n"), 1):
            for name in NAMED.findall(line):
                if not os.path.exists(os.path.join(ROOT, name)):
                    problems.append(f"{path}:{number}: {name} does not exist")
        if not path.endswith(".md"):
            continue
        for number, link in links(text):
            if re.match(r"[a-z]+:", link):
                continue
            name, _, anchor = link.partition("#")
            target = os.path.normpath(os.path.join(os.path.dirname(path), name)) if name else path
            if not os.path.exists(os.path.join(ROOT, target)):
                problems.append(f"{path}:{number}: {link}: there is no {target}")
            elif anchor:
                if target not in pages:
                    pages[target] = set(anchors(text_of(target)))
                if anchor not in pages[target]:
                    problems.append(f"{path}:{number}: {link}: {target} has no heading #{anchor}")
    for problem in problems:
        print(problem, file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
