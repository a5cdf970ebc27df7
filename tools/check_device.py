#!/usr/bin/env python3
"""Compares a device of ggml (a GPU) with the processor, on the built-in model and procedural questions.

    tools/check_device.py DEVICE [--limit N] [--benches LIST] [--winnow PATH] [--out DIR] [--jobs N]

Three tables in Markdown: the largest errors of one forward pass in float32; for every method, in float32, how often
the device gives the processor's answer and how many kept tokens they share; the same in the model's own types. The
processor itself is held to Hugging Face's results by the tests. ggml's Vulkan backend multiplies float32 matrices as
float16 where the device has matrix units, so they are switched off for the first two. Exit status 1 if a traced
tensor is off by more than 2e-3 of its largest value, or in float32 a method agrees on less than 90 % of the answers.
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
TOLERANCE = 2e-3  # Vulkan on an H100: 1.4e-3
LEAST_EQUAL = 0.9


def tensors(path):
    with open(path, "rb") as file:
        header = json.loads(file.read(struct.unpack("<Q", file.read(8))[0]))
        body = file.read()
    return {name: array.array("f", body[slice(*t["data_offsets"])])
            for name, t in header.items() if name != "__metadata__" and t["dtype"] == "F32"}


EXACT = {"GGML_VK_DISABLE_COOPMAT": "1", "GGML_VK_DISABLE_COOPMAT2": "1", "GGML_VK_DISABLE_F16": "1"}


def call(command, exact):
    print("==", " ".join(command), file=sys.stderr, flush=True)
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env={**os.environ, **(EXACT if exact else {})})


def trace(args, device):
    path = os.path.join(args.out, f"trace-{device}.safetensors")
    call([args.winnow, "trace", "--f32", "--device", device, "-i", args.image, "-p", "What is written on the sign?",
          "-o", path], exact=True)
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


def run(args, device, exact):
    out = os.path.join(args.out, f"run-{device}{'-f32' if exact else ''}")
    call([args.winnow, "-q", "eval", "--bench", args.benches, "--data", "scenes", "--limit", str(args.limit),
          "--prune", ",".join(methods(args.winnow)), "--keep", "25%", "--kept", "--device", device,
          "--jobs", str(args.jobs if device == "cpu" else 1), "-o", out] + (["--f32"] if exact else []), exact)
    with open(os.path.join(out, "rows.jsonl"), encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    return {(r["config"], r["benchmark"], r["question_id"]): r for r in rows}


def shared_tokens(a, b):
    """Intersection over union of what two rows keep; nothing where tokens are merged."""
    if "kept" not in a or "kept" not in b:
        return []
    pairs = [(set(x), set(y)) for x, y in zip(a["kept"], b["kept"])]
    return [len(x & y) / len(x | y) if x | y else 1.0 for x, y in pairs]


def agreement_table(args, exact):
    """Returns the least share of equal answers. A method that refuses the budget does so on both."""
    cpu, device = run(args, "cpu", exact), run(args, args.device, exact)
    by_config = {}
    for key, row in cpu.items():
        by_config.setdefault(key[0], []).append((row, device[key]))
    print(f"| configuration, {'float32' if exact else 'own types'} | questions | equal answers | kept tokens shared | right, cpu | "
          "right, device |\n|---|--:|--:|--:|--:|--:|")
    least = 1.0
    for config, pairs in by_config.items():
        n = len(pairs)
        answers = sum((a.get("prediction"), a.get("error")) == (b.get("prediction"), b.get("error")) for a, b in pairs)
        shared = [share for a, b in pairs for share in shared_tokens(a, b)]
        right = [100 * sum(pair[i]["score"] for pair in pairs) / n for i in (0, 1)]
        print(f"| {config} | {n} | {100 * answers / n:.1f} % | "
              f"{f'{100 * sum(shared) / len(shared):.1f} %' if shared else ''} | {right[0]:.1f} % | {right[1]:.1f} % |")
        least = min(least, answers / n)
    print()
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
    least = agreement_table(args, exact=True)
    agreement_table(args, exact=False)
    return 0 if worst <= TOLERANCE and least >= LEAST_EQUAL else 1


if __name__ == "__main__":
    sys.exit(main())
