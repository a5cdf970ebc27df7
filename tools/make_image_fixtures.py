#!/usr/bin/env python3
"""Writes tests/data/images: small files of every kind, and what Pillow makes of them.

Needs Pillow and NumPy (Debian: python3-pil, python3-numpy). Usage: make_image_fixtures.py [OUT_DIR]
"""
import json
import pathlib
import struct
import sys
import zlib

import numpy as np
from PIL import Image, ImageOps

WIDTH, HEIGHT = 13, 9
MEAN = (0.48145466, 0.4578275, 0.40821073)  # CLIP


def picture(width=WIDTH, height=HEIGHT, channels=3):
    """A gradient with an irregular texture, the same on every machine. [height, width, channels] uint8"""
    y, x, c = np.mgrid[0:height, 0:width, 0:channels]
    noise = ((x * 7919 + y * 104729 + c * 1299709) * 2654435761 % 4294967296) >> 26
    return ((x * 170 // width + y * (60 + 20 * c) // height + noise) % 256).astype(np.uint8)


def write_safetensors(path, arrays):
    header, data = {}, b""
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        kind = {"uint8": "U8", "float32": "F32"}[str(array.dtype)]
        header[name] = {"dtype": kind, "shape": list(array.shape), "data_offsets": [len(data), len(data) + array.nbytes]}
        data += array.tobytes()
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


def png_bytes(rows, color_type, depth, interlaced=False, extra=()):
    """rows [height, width * bytes a pixel] uint8; written by hand for what Pillow cannot write."""
    channels = {0: 1, 2: 3, 4: 2, 6: 4}[color_type]
    pixel_bytes = channels * depth // 8
    height, width = rows.shape[0], rows.shape[1] // pixel_bytes
    pixels = rows.reshape(height, width, pixel_bytes)
    adam7 = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]
    raw = b""
    for x0, y0, dx, dy in adam7 if interlaced else [(0, 0, 1, 1)]:
        part = pixels[y0::dy, x0::dx]
        if part.size:
            raw += b"".join(b"\0" + row.tobytes() for row in part)

    def chunk(name, body):
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    header = struct.pack(">IIBBBBB", width, height, depth, color_type, 0, 0, int(interlaced))
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + b"".join(chunk(*e) for e in extra)
            + chunk(b"IDAT", zlib.compress(raw, 9)) + chunk(b"IEND", b""))


def bmp_bytes(width, height, bits, rows, masks=(), os2_palette=None, top_down=False):
    """rows: the packed rows in the order of the file."""
    body = b"".join(row + b"\0" * (-len(row) % 4) for row in rows)
    if os2_palette is not None:
        info = struct.pack("<IHHHH", 12, width, height, 1, bits) + os2_palette
    else:
        info = struct.pack("<IiiHHIIiiII", 40, width, -height if top_down else height, 1, bits, 3 if masks else 0,
                           len(body), 2835, 2835, 0, 0) + b"".join(struct.pack("<I", m) for m in masks)
    at = 14 + len(info)
    return b"BM" + struct.pack("<IHHI", at + len(body), 0, 0, at) + info + body


def orientation_exif(value):
    exif = Image.Exif()
    exif[0x0112] = value
    return exif


def write_png(out, rgb, rgba):
    grey = rgb[:, :, 0]
    Image.fromarray(rgb).save(out / "rgb8.png")
    Image.fromarray(rgba).save(out / "rgba8.png")
    Image.fromarray(grey).save(out / "grey8.png")
    Image.fromarray(np.dstack([grey, rgba[:, :, 3]]), "LA").save(out / "grey_alpha8.png")
    Image.fromarray(grey > 90).save(out / "bilevel.png")
    palette = Image.fromarray(rgb).quantize(32)
    palette.save(out / "palette8.png")
    palette.save(out / "palette8_transparent.png", transparency=bytes(range(0, 256, 8)))
    Image.fromarray(rgb).quantize(11).save(out / "palette4.png", bits=4)
    Image.fromarray(rgb).save(out / "orientation6.png", exif=orientation_exif(6))

    def wide(array):  # 16 bits big-endian, low bytes that a wrong rounding would show
        low = (array.astype(np.int32) * 97 % 256).astype(np.uint8)
        return np.stack([array, low], axis=-1).reshape(array.shape[0], -1)

    (out / "rgb16.png").write_bytes(png_bytes(wide(rgb), 2, 16))
    (out / "rgba16.png").write_bytes(png_bytes(wide(rgba), 6, 16))
    (out / "grey16.png").write_bytes(png_bytes(wide(grey), 0, 16))
    (out / "rgb8_interlaced.png").write_bytes(png_bytes(rgb.reshape(HEIGHT, -1), 2, 8, interlaced=True))
    gamma = (b"gAMA", struct.pack(">I", 100000))
    (out / "rgb8_gamma.png").write_bytes(png_bytes(rgb.reshape(HEIGHT, -1), 2, 8, extra=[gamma]))


def write_jpeg(out, rgb):
    image = Image.fromarray(rgb)
    image.save(out / "baseline_420.jpg", quality=85)
    image.save(out / "baseline_444.jpg", quality=85, subsampling=0)
    image.save(out / "baseline_422.jpg", quality=85, subsampling=1)
    image.save(out / "progressive.jpg", quality=85, progressive=True)
    image.convert("L").save(out / "grey.jpg", quality=85)
    Image.fromarray(picture(channels=4), "CMYK").save(out / "cmyk.jpg", quality=85)
    for value in range(1, 9):
        image.save(out / f"orientation{value}.jpg", quality=50, exif=orientation_exif(value))


def write_gif(out, rgb):
    palette = Image.fromarray(rgb).quantize(32)
    others = [Image.fromarray(255 - rgb).quantize(16), Image.fromarray(rgb // 2).quantize(16)]
    palette.save(out / "still_interlaced.gif")
    palette.save(out / "animated.gif", save_all=True, append_images=others, interlace=0)
    palette.save(out / "transparent.gif", transparency=5, interlace=0)
    for name in ("still_interlaced", "transparent"):  # a screen larger than the frame leaves pixels open
        data = bytearray((out / f"{name}.gif").read_bytes())
        data[6:10] = struct.pack("<HH", WIDTH + 4, HEIGHT + 3)
        (out / f"{name}_wide_screen.gif").write_bytes(data)


def write_webp(out, rgb, rgba):
    Image.fromarray(rgb).save(out / "lossy.webp", quality=80)
    Image.fromarray(rgb).save(out / "lossless.webp", lossless=True)
    Image.fromarray(rgba).save(out / "alpha.webp", quality=80)
    Image.fromarray(rgba).save(out / "alpha_lossless.webp", lossless=True)
    Image.fromarray(rgb).save(out / "orientation8.webp", quality=80, exif=orientation_exif(8).tobytes())
    Image.fromarray(rgb).save(out / "animated.webp", lossless=True, save_all=True,
                              append_images=[Image.fromarray(255 - rgb)])


def write_bmp(out, rgb, rgba):
    grey = rgb[:, :, 0]
    Image.fromarray(rgb).save(out / "rgb24.bmp")
    Image.fromarray(rgba).save(out / "rgba32.bmp")
    Image.fromarray(grey).save(out / "grey8.bmp")
    Image.fromarray(grey > 90).save(out / "bilevel.bmp")
    Image.fromarray(rgb).quantize(32).save(out / "palette8.bmp")
    wide = rgb.astype(np.uint16)
    r, g, b = wide[:, :, 0], wide[:, :, 1], wide[:, :, 2]
    rows555 = [row.astype("<u2").tobytes() for row in (r >> 3) << 10 | (g >> 3) << 5 | b >> 3]
    rows565 = [row.astype("<u2").tobytes() for row in (r >> 3) << 11 | (g >> 2) << 5 | b >> 3]
    (out / "rgb555_top_down.bmp").write_bytes(bmp_bytes(WIDTH, HEIGHT, 16, rows555, top_down=True))
    (out / "rgb565.bmp").write_bytes(bmp_bytes(WIDTH, HEIGHT, 16, rows565, masks=(0xF800, 0x07E0, 0x001F)))
    colors = bytes(range(17, 17 + 48))
    nibbles = grey >> 4
    padded = np.pad(nibbles, ((0, 0), (0, WIDTH % 2)))
    rows4 = [row.tobytes() for row in (padded[:, 0::2] << 4 | padded[:, 1::2])]
    (out / "os2_palette4.bmp").write_bytes(bmp_bytes(WIDTH, HEIGHT, 4, rows4, os2_palette=colors))


def decode(path):
    if path.name == "grey16.png":  # the documented difference: high byte instead of clipping
        return np.repeat(picture()[:, :, :1], 3, axis=2)
    return np.asarray(ImageOps.exif_transpose(Image.open(path)).convert("RGB"))


def resized():
    """Pillow's resize of picture(w, h), by a name that says all sizes."""
    cases = {(37, 23): [(37, 23), (11, 7), (74, 46), (37, 10), (10, 23), (100, 23), (37, 64), (1, 1), (36, 24), (5, 61)],
             (1, 1): [(6, 4)], (1, 200): [(4, 9), (8, 800)], (300, 2): [(7, 5)], (640, 3): [(84, 84)]}
    return {f"{w}x{h}_to_{out_w}x{out_h}": np.asarray(Image.fromarray(picture(w, h)).resize((out_w, out_h), Image.BICUBIC))
            for (w, h), sizes in cases.items() for out_w, out_h in sizes}


def crop(image, size):
    """What CLIPImageProcessor does before it normalises."""
    width, height = image.size
    short, long = min(width, height), max(width, height)
    other = int(size * long / short)
    new_width, new_height = (size, other) if width <= height else (other, size)
    image = image.resize((new_width, new_height), Image.BICUBIC)
    left, top = (new_width - size) // 2, (new_height - size) // 2
    return np.asarray(image.crop((left, top, left + size, top + size)))


def pad(image, size):
    """What LLaVA's expand2square does before that."""
    width, height = image.size
    side = max(width, height)
    square = Image.new("RGB", (side, side), tuple(int(x * 255) for x in MEAN))
    square.paste(image, ((side - width) // 2, (side - height) // 2))
    return np.asarray(square.resize((size, size), Image.BICUBIC))


def fitted():
    shapes = [(37, 23), (23, 38), (28, 28), (1, 1000), (1000, 1), (3, 500), (131, 97), (1, 1)]
    result = {}
    for width, height in shapes:
        image = Image.fromarray(picture(width, height))
        result[f"crop_{width}x{height}"] = crop(image, 28)
        result[f"pad_{width}x{height}"] = pad(image, 28)
    return result


def main():
    root = pathlib.Path(__file__).resolve().parent.parent
    out = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else root / "tests" / "data" / "images"
    out.mkdir(parents=True, exist_ok=True)
    rgb, rgba = picture(), picture(channels=4)
    write_png(out, rgb, rgba)
    write_jpeg(out, rgb)
    write_gif(out, rgb)
    write_webp(out, rgb, rgba)
    write_bmp(out, rgb, rgba)
    kinds = (".png", ".jpg", ".gif", ".webp", ".bmp")
    files = sorted(p for p in out.iterdir() if p.suffix in kinds)
    write_safetensors(out / "decoded.safetensors", {p.name: decode(p) for p in files})
    write_safetensors(out / "resized.safetensors", resized())
    write_safetensors(out / "fitted.safetensors", fitted())
    print(f"{len(files)} images in {out}")


if __name__ == "__main__":
    main()
