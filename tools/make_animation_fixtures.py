#!/usr/bin/env python3
"""Writes tests/data/animations: small animated GIFs and what Pillow makes of their frames.

Needs Pillow (Debian: python3-pil). Usage: make_animation_fixtures.py [OUT_DIR]
"""
import json
import pathlib
import random
import struct
import sys

from PIL import Image

WIDTH, HEIGHT = 9, 7
WHOLE = (0, 0, WIDTH, HEIGHT)
KEEP, BACKGROUND, PREVIOUS = 1, 2, 3  # disposal methods

# Of every frame: its rectangle, and what stands in front of it.
ANIMATIONS = {
    "keep": [{"at": WHOLE, "then": KEEP}, {"at": (2, 1, 4, 5), "clear": 3, "then": KEEP},
             {"at": (0, 2, 9, 3), "own_palette": True, "clear": 5}, {"at": (1, 1, 3, 3)}],
    "background": [{"at": WHOLE, "clear": 4, "then": BACKGROUND}, {"at": (2, 1, 4, 5), "clear": 3, "then": BACKGROUND},
                   {"at": (5, 2, 4, 4), "clear": 7, "then": BACKGROUND, "own_palette": True}, {"at": (0, 0, 2, 2), "clear": 3}],
    "background_opaque": [{"at": WHOLE}, {"at": (2, 1, 4, 5), "then": BACKGROUND}, {"at": (5, 2, 4, 4), "then": BACKGROUND},
                          {"at": (0, 0, 2, 2)}],
    "previous": [{"at": WHOLE, "then": KEEP}, {"at": (2, 1, 4, 5), "clear": 3, "then": PREVIOUS},
                 {"at": (5, 2, 4, 4), "then": PREVIOUS, "interlaced": True}, {"at": (0, 0, 2, 2), "clear": 3, "then": KEEP},
                 {"at": (1, 1, 2, 2)}],
    "small_first": [{"at": (3, 2, 4, 3), "clear": 2, "then": KEEP}, {"at": WHOLE, "clear": 3, "then": KEEP}],
    "no_palette": [{"at": WHOLE, "own_palette": True, "then": KEEP},
                   {"at": (2, 1, 4, 5), "clear": 3, "own_palette": True, "then": BACKGROUND},
                   {"at": (0, 0, 2, 2), "own_palette": True}],
}


def lzw(indices, bits):
    """Codes of one width: the table is cleared before it grows."""
    clear, codes = 1 << bits, []
    for i, index in enumerate(indices):
        if i % (clear - 2) == 0:
            codes.append(clear)
        codes.append(index)
    codes.append(clear + 1)
    value = sum(code << (bits + 1) * i for i, code in enumerate(codes))
    data = value.to_bytes(((bits + 1) * len(codes) + 7) // 8, "little")
    blocks = [data[i:i + 255] for i in range(0, len(data), 255)]
    return bytes([bits]) + b"".join(bytes([len(block)]) + block for block in blocks) + b"\0"


def gif(frames, seed):
    """Random pixels of 16 colours, the same on every machine."""
    rng = random.Random(seed)

    def palette():
        return bytes(rng.randrange(256) for _ in range(3 * 16))

    shared = not all(frame.get("own_palette") for frame in frames)
    out = b"GIF89a" + struct.pack("<HHBBB", WIDTH, HEIGHT, 0x83 if shared else 0, 6, 0) + (palette() if shared else b"")
    for frame in frames:
        flags = frame.get("then", 0) << 2 | ("clear" in frame)
        out += b"\x21\xf9\x04" + struct.pack("<BHBB", flags, 10, frame.get("clear", 0), 0)
        own, interlaced = frame.get("own_palette", False), frame.get("interlaced", False)
        out += b"\x2c" + struct.pack("<HHHHB", *frame["at"], (0x83 if own else 0) | (0x40 if interlaced else 0))
        out += palette() if own else b""
        width, height = frame["at"][2:]
        rows = [[rng.randrange(16) for _ in range(width)] for _ in range(height)]
        passes = [(0, 8), (4, 8), (2, 4), (1, 2)] if interlaced else [(0, 1)]
        out += lzw([v for first, step in passes for row in rows[first::step] for v in row], 4)
    return out + b"\x3b"


def seen(path):
    """Every frame as Pillow shows it: count and pixels."""
    image = Image.open(path)
    pixels = []
    for i in range(image.n_frames):
        image.seek(i)
        pixels.append(image.convert("RGB").tobytes())
    return image.n_frames, b"".join(pixels)


def main():
    root = pathlib.Path(__file__).resolve().parent.parent
    out = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else root / "tests/data/animations"
    out.mkdir(parents=True, exist_ok=True)
    header, data = {}, b""
    for seed, (name, frames) in enumerate(sorted(ANIMATIONS.items())):
        path = out / f"{name}.gif"
        path.write_bytes(gif(frames, seed))
        n, pixels = seen(path)
        header[name] = {"dtype": "U8", "shape": [n, HEIGHT, WIDTH, 3], "data_offsets": [len(data), len(data) + len(pixels)]}
        data += pixels
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    (out / "frames.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + data)


if __name__ == "__main__":
    main()
