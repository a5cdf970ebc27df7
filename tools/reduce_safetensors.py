#!/usr/bin/env python3
"""Copy some tensors of a safetensors file into a new one, with the standard library alone.

usage: reduce_safetensors.py IN OUT PATTERN [PATTERN ...]
A PATTERN is a shell pattern on the whole name, for example 'vis.*.out' (here * stands for a number or a word without a dot).
Exit status 1 if a pattern matches nothing.
"""
import json, re, struct, sys


def matcher(pattern):
    return re.compile(re.escape(pattern).replace(r"\*", r"[^.]+") + r"\Z").match


def main():
    if len(sys.argv) < 4:
        sys.exit(__doc__)
    source, target, patterns = sys.argv[1], sys.argv[2], sys.argv[3:]
    with open(source, "rb") as f:
        header = json.loads(f.read(struct.unpack("<Q", f.read(8))[0]))
        body = f.read()
    header.pop("__metadata__", None)
    for pattern in patterns:
        if not any(matcher(pattern)(name) for name in header):
            sys.exit(f"{source}: no tensor matches {pattern}")
    out, data = {}, b""
    for name in sorted(header):
        if not any(matcher(pattern)(name) for pattern in patterns):
            continue
        begin, end = header[name]["data_offsets"]
        out[name] = {**header[name], "data_offsets": [len(data), len(data) + end - begin]}
        data += body[begin:end]
    text = json.dumps(out, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(target, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text + data)
    print(f"{target}: {len(out)} tensors, {8 + len(text) + len(data)} bytes")


if __name__ == "__main__":
    main()
