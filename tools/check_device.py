#!/usr/bin/env python3
"""Compares a device of ggml (a GPU) with the processor, on the built-in model and procedural questions.

    tools/check_device.py DEVICE [--limit N] [--benches LIST] [--winnow PATH] [--out DIR] [--jobs N]

Two tables in Markdown: the largest errors of one forward pass in float32, and for every method how often the device
gives the processor's answer and keeps its tokens. The processor itself is held to Hugging Face's results by the
tests. Sums in another order differ in the last bits, so near ties may fall otherwise; exit status 1 if a traced
tensor is off by more than 1e-3 of its largest value, or a method agrees on less than 90 % of the answers.
"""
import argparse
import array
import json
import os
import struct
import subprocess
import sys

# Of the built-in model's file, which holds no earlier tower blocks than it needs.
NEEDS_BLOCK = {"prumerge", "prumerge_plus", "mustdrop"}
NO_BUDGET = {"window_merge"}  # its threshold decides
TOLERANCE = 1e-3
LEAST_EQUAL = 0.9


def tensors(path):
    with open(path, "rb") as file:
        header = json.loads(file.read(struct.unpack("<Q", file.read(8))[0]))
        body = file.read()
    return {name: array.array("f", body[slice(*t["data_offsets"])])
            for name, t in header.items() if name != "__metadata__" and t["dtype"] == "F32"}


def call(command):
    print("==", " ".join(command), file=sys.stderr, flush=True)
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def trace(args, device):
    path = os.path.join(args.out, f"trace-{device}.safetensors")
    call([args.winnow, "trace", "--f32", "--device", device, "-i", args.image, "-p", "What is written on the sign?",
          "-o", path])
    return tensors(path)


def error_table(args):
    cpu, device = trace(args, "cpu"), trace(args, args.device)
    rows, worst = [], 0.0
    for name, reference in cpu.items():
        scale = max(1.0, max(map(abs, reference)))
        error = max(abs(a - b) for a, b in zip(device[name], reference)) / scale
        worst = max(worst, error)
        rows.append((error, name))
    print(f"| tensor of {len(rows)}, the five worst | error / largest value |\n|---|--:|")
    for error, name in sorted(rows, reverse=True)[:5]:
        print(f"| {name} | {error:.1e} |")
    print()
    return worst


def methods(winnow):
    listed = json.loads(subprocess.run([winnow, "methods", "--json"], check=True, capture_output=True).stdout)
    return [name + ":block=feature" if name in NEEDS_BLOCK else name for name in (m["name"] for m in listed)
            if name not in NO_BUDGET]


def run(args, device):
    out = os.path.join(args.out, f"run-{device}")
    call([args.winnow, "-q", "eval", "--bench", args.benches, "--data", "scenes", "--limit", str(args.limit),
          "--prune", ",".join(methods(args.winnow)), "--keep", "25%", "--kept", "--device", device,
          "--jobs", str(args.jobs if device == "cpu" else 1), "-o", out])
    with open(os.path.join(out, "rows.jsonl"), encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    return {(r["config"], r["benchmark"], r["question_id"]): r for r in rows}


def agreement_table(args):
    cpu, device = run(args, "cpu"), run(args, args.device)
    by_config = {}
    for key, row in cpu.items():
        by_config.setdefault(key[0], []).append((row, device[key]))
    print("| configuration | questions | equal answers | equal kept tokens | right, cpu | right, device |\n"
          "|---|--:|--:|--:|--:|--:|")
    least = 1.0
    for config, pairs in by_config.items():
        n = len(pairs)
        answers = sum(a.get("prediction") == b.get("prediction") and "error" not in b for a, b in pairs)
        kept = sum(a.get("kept") == b.get("kept") for a, b in pairs)
        right = [100 * sum(pair[i]["score"] for pair in pairs) / n for i in (0, 1)]
        print(f"| {config} | {n} | {100 * answers / n:.1f} % | {100 * kept / n:.1f} % | {right[0]:.1f} % | {right[1]:.1f} % |")
        least = min(least, answers / n)
    return least


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("device", help="as 'winnow --device' calls it: Vulkan0, CUDA0")
    parser.add_argument("--limit", type=int, default=20, help="questions of each benchmark")
    parser.add_argument("--benches", default="pope,gqa,textvqa,refcoco,haystack")
    parser.add_argument("--winnow", default="build/release/bin/winnow")
    parser.add_argument("--image", default="models/examples/reading.png")
    parser.add_argument("--out", default="build/device")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="of the processor's run")
    args = parser.parse_args()
    os.makedirs(args.out, exist_ok=True)
    worst = error_table(args)
    least = agreement_table(args)
    return 0 if worst <= TOLERANCE and least >= LEAST_EQUAL else 1


if __name__ == "__main__":
    sys.exit(main())
