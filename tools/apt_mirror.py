#!/usr/bin/env python3
"""Prints the machine's own distribution mirror as one apt source line for another suite.

    tools/apt_mirror.py CODENAME SUITE [FILE ...]

CODENAME is the running release: the source that offers its main component is the mirror. Without FILE it reads
/etc/apt/sources.list and sources.list.d/, in both formats (one-line *.list, deb822 *.sources). Exit status 1 and no
output when there is none.
"""

import glob
import re
import sys


def one_line_sources(text):
    """Yields (types, uris, suites, components, options) of a *.list file."""
    for line in text.splitlines():
        line = line.split("#", 1)[0].strip()
        match = re.match(r"(deb|deb-src)\s+(?:\[([^\]]*)\]\s+)?(\S+)\s+(\S+)\s*(.*)$", line)
        if match:
            kind, options, uri, suite, components = match.groups()
            pairs = dict(pair.split("=", 1) for pair in (options or "").split() if "=" in pair)
            yield [kind], [uri], [suite], components.split(), pairs


def deb822_sources(text):
    """Yields the same of a *.sources file. A field continues on lines that start with a space."""
    text = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
    for stanza in re.split(r"\n[ \t]*\n", text):
        fields, key = {}, None
        for line in stanza.splitlines():
            if line[:1].isspace() and key:
                fields[key] += "\n" + line.strip()
            elif ":" in line:
                key, value = line.split(":", 1)
                key = key.strip().lower()
                fields[key] = value.strip()
        if fields.get("enabled", "yes").lower() in ("no", "false", "0"):
            continue
        options = {key: fields[key] for key in ("signed-by", "trusted") if key in fields}
        yield (fields.get("types", "").split(), fields.get("uris", "").split(),
               fields.get("suites", "").split(), fields.get("components", "").split(), options)


def source_line(files, codename, suite):
    """The apt line for `suite` on the mirror that offers `codename`, or None."""
    for name in files:
        try:
            with open(name, encoding="utf-8") as file:
                text = file.read()
        except OSError:
            continue
        read = deb822_sources if name.endswith(".sources") else one_line_sources
        for types, uris, suites, components, options in read(text):
            if "deb" not in types or codename not in suites or "main" not in components or not uris:
                continue
            kept = []
            if options.get("signed-by", "").startswith("/"):  # a key inside the file is not a path
                kept.append("signed-by=" + ",".join(options["signed-by"].replace(",", " ").split()))
            if options.get("trusted", "").lower() in ("yes", "true", "1"):
                kept.append("trusted=yes")
            return " ".join(["deb"] + ([f"[{' '.join(kept)}]"] if kept else []) + [uris[0], suite, "main"])
    return None


def main():
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    files = sys.argv[3:] or (["/etc/apt/sources.list"] + sorted(glob.glob("/etc/apt/sources.list.d/*.sources"))
                             + sorted(glob.glob("/etc/apt/sources.list.d/*.list")))
    line = source_line(files, sys.argv[1], sys.argv[2])
    if line is None:
        sys.exit(1)
    print(line)


if __name__ == "__main__":
    main()
