#!/usr/bin/env python3
"""Keeps machine-specific names out of the repository and its first pages short.

    tools/check_text.py [ROOT]     prints every finding as file:line: text; exit status 1 if there is one
"""

import os
import re
import sys

SKIPPED_FOLDERS = {".git", ".deps", "build", "node_modules", "__pycache__"}
MAX_LINES = {"README.md": 150, "CONTRIBUTING.md": 80}
MAX_ROOM_README_LINES = 40

# Written in two pieces, so that this file does not find itself.
FORBIDDEN = [
    ("a path of a build machine", re.compile(r"(?<![\w.}*/-])/wor" + r"k/")),
    ("the host of a package mirror", re.compile(r"(deb|ftp|security|snapshot)\.debian" + r"\.org")),
    ("the host of a package mirror", re.compile(r"registry\.npm" + r"js")),
    ("the host of a package mirror", re.compile(r"(archive|ports)\.ubuntu" + r"\.com")),
]


def text_files(root):
    """Yields (relative path, text) of every file that is text."""
    for base, folders, names in os.walk(root):
        folders[:] = sorted(name for name in folders if name not in SKIPPED_FOLDERS)
        for name in sorted(names):
            full = os.path.join(base, name)
            if os.path.islink(full) or not os.path.isfile(full):
                continue
            with open(full, "rb") as file:
                if b"\0" in file.read(4096):
                    continue
                file.seek(0)
                data = file.read()
            try:
                yield os.path.relpath(full, root).replace(os.sep, "/"), data.decode("utf-8")
            except UnicodeDecodeError:
                continue


def findings(root):
    for path, text in text_files(root):
        for number, line in enumerate(text.split("\n"), 1):
            for what, pattern in FORBIDDEN:
                if pattern.search(line):
                    yield f"{path}:{number}: {what}"
        limit = MAX_LINES.get(path)
        if re.fullmatch(r"winnow/\w+/README\.md", path):
            limit = MAX_ROOM_README_LINES
        n_lines = text.count("\n")
        if limit and n_lines > limit:
            yield f"{path}:{n_lines}: {n_lines} lines, at most {limit}"


def main():
    root = sys.argv[1] if len(sys.argv) > 1 else os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
    found = list(findings(root))
    for line in found:
        print(line)
    print(f"check_text: {len(found)} findings" if found else "check_text: clean")
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
