#!/usr/bin/env python3
"""Holds the structure of the sources: arrows between rooms, sizes, includes, characters.

    tools/check_layers.py [ROOT]     prints every finding as file:line: text; exit status 1 if there is one
"""

import os
import re
import sys

# The rooms each room may include, besides itself. docs/design.md says why.
ROOMS = {
    "base": set(),
    "prune": {"base"},
    "record": {"base"},
    "scenes": {"base"},
    "engine": {"prune", "base"},
    "convert": {"engine", "prune", "record", "base"},
    "eval": {"record", "base"},
    "sweep": {"eval", "scenes", "record", "engine", "prune", "base"},
    "study": {"sweep", "eval", "scenes", "record", "engine", "prune", "base"},
    "report": {"eval", "record", "base"},
    "server": {"engine", "prune", "base"},
    "capi": {"prune", "base"},
    "train": {"scenes", "record", "engine", "prune", "base"},
}
ROOMS["cli"] = set(ROOMS)

SIZED_FOLDERS = ("winnow", "tests", "bench", "fuzz")
ALL_FOLDERS = SIZED_FOLDERS + ("examples", "tools", "cmake")
CODE_ENDINGS = (".h", ".cpp", ".c")
TEXT_ENDINGS = CODE_ENDINGS + (".py", ".sh", ".cmake", ".in", "CMakeLists.txt")
MAX_FILE_LINES = 600
MAX_FUNCTION_LINES = 80

TOKENS_TO_BLANK = re.compile(
    r'R"(?P<mark>[^()\\\s]{0,16})\(.*?\)(?P=mark)"'  # raw string
    r"|//[^\n]*|/\*.*?\*/"                           # comments
    r'|"(?:\\.|[^"\\\n])*"'                          # string
    r"|(?<![0-9A-Za-z_])'(?:\\.|[^'\\\n])+'"         # character, not a digit separator
    r"|^[ \t]*\#(?:[^\n]*\\\n)*[^\n]*",              # preprocessor, with continued lines
    re.DOTALL | re.MULTILINE)


def blank(text):
    """The same text with comments, literals and preprocessor lines as spaces; lines stay where they are."""
    return TOKENS_TO_BLANK.sub(lambda match: re.sub(r"[^\n]", " ", match.group()), text)


def closing_brace(text, start):
    """Index of the brace that closes the one at `start`, or the end of the text."""
    depth = 0
    for match in re.compile(r"[{}]").finditer(text, start):
        depth += 1 if match.group() == "{" else -1
        if depth == 0:
            return match.start()
    return len(text) - 1


def functions(text):
    """Yields (first line, last line) of each function body at namespace or class level, 1-based."""
    text = blank(text)
    head_start = 0
    pos = 0
    while pos < len(text):
        char = text[pos]
        if char in ";}":
            head_start = pos + 1
        elif char == "{":
            head = re.sub(r"^\s*((public|private|protected)\s*:\s*)+", "", text[head_start:pos]).strip()
            end = closing_brace(text, pos)
            following = text[end + 1:end + 200].lstrip()[:1]
            if following in (",", "{"):  # a member initialised with braces: the head goes on
                pos = end + 1
                continue
            is_scope = re.search(r"\b(namespace|class|struct|union)\b[^()=]*$", head) or head.endswith("extern")
            if not is_scope:
                if ")" in head and not head.endswith("="):
                    offset = head_start + text[head_start:pos].index(head)
                    yield text.count("\n", 0, offset) + 1, text.count("\n", 0, end) + 1
                head_start = pos = end + 1
                continue
            head_start = pos + 1
        pos += 1


def check_includes(path, lines):
    parts = path.split("/")
    room = parts[1] if parts[0] == "winnow" and len(parts) > 2 else None
    if parts[0] == "winnow" and path.endswith(CODE_ENDINGS) and room not in ROOMS:
        yield 1, f"unknown room '{room or path}', expected one of {', '.join(sorted(ROOMS))}"
    for number, line in enumerate(lines, 1):
        match = re.match(r'\s*#\s*include\s*(["<])([^">]+)', line)
        if not match:
            continue
        quote, target = match.groups()
        target_parts = target.split("/")
        is_ours = target_parts[0] in SIZED_FOLDERS and len(target_parts) > 1
        if quote == '"' and not is_ours:
            yield number, f'include "{target}" is not written from the project root'
        if quote == "<" and is_ours:
            yield number, f"include <{target}> is ours, write it with quotes"
        if room in ROOMS and is_ours:
            other = target_parts[1] if target_parts[0] == "winnow" else target_parts[0]
            if target_parts[0] != "winnow":
                yield number, f"room '{room}' includes {target}, which is not part of the library"
            elif other not in ROOMS:
                yield number, f"include of unknown room '{other}'"
            elif other != room and other not in ROOMS[room]:
                allowed = ", ".join(sorted(ROOMS[room])) or "nothing"
                yield number, f"arrow {room} -> {other} is not allowed, '{room}' may include {allowed}"


def check_characters(lines):
    for number, line in enumerate(lines, 1):
        if not line.isascii():
            yield number, "character outside ASCII"
        if "\t" in line:
            yield number, "tab"
        if line != line.rstrip():
            yield number, "space at the end of the line"


def check_file(path, text):
    """Yields (line, finding) for one file; `path` is relative to the root, with slashes."""
    lines = text.split("\n")
    yield from check_characters(lines)
    if not path.startswith(tuple(folder + "/" for folder in SIZED_FOLDERS)) or not path.endswith(CODE_ENDINGS):
        return
    n_lines = len(lines) - (lines[-1] == "")
    if n_lines > MAX_FILE_LINES:
        yield n_lines, f"file has {n_lines} lines, at most {MAX_FILE_LINES}"
    for first, last in functions(text):
        if last - first + 1 > MAX_FUNCTION_LINES:
            yield first, f"function has {last - first + 1} lines, at most {MAX_FUNCTION_LINES}"
    yield from check_includes(path, lines)


def findings(root):
    for folder in ALL_FOLDERS:
        for base, folders, names in os.walk(os.path.join(root, folder)):
            folders[:] = sorted(name for name in folders if name not in ("data", "__pycache__"))
            for name in sorted(names):
                if not name.endswith(TEXT_ENDINGS):
                    continue
                full = os.path.join(base, name)
                path = os.path.relpath(full, root).replace(os.sep, "/")
                with open(full, encoding="utf-8", errors="replace") as file:
                    for line, finding in check_file(path, file.read()):
                        yield f"{path}:{line}: {finding}"


def main():
    root = sys.argv[1] if len(sys.argv) > 1 else os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
    found = list(findings(root))
    for line in found:
        print(line)
    print(f"check_layers: {len(found)} findings" if found else "check_layers: clean")
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
