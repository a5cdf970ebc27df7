#!/usr/bin/env python3
"""Writes the small made-up runs of tests/data/report: sample_run.py FOLDER

gqa/ and pope/ are two runs of one model, data/ has GQA's questions and pictures (none of POPE), bench.json the times with
several sessions at once. The model's words try to leave the page that shows them.
"""

import json
import os
import random
import shutil
import sys

EVIL = "</script><script>window.broken = 1</script><img src=x onerror='window.broken = 1'>"
METHODS = {
    "none": ("none", ""), "random": ("random@tower", "25%"), "pooling": ("pooling@tower", "25%"), "fastv": ("fastv@2", "25%"),
    "balanced:alpha=0": ("balanced:alpha=0,features=hidden@2", "25%"),
    "balanced:alpha=1": ("balanced:alpha=1,features=hidden@2", "25%"),
}
SIDE, N_QUESTIONS = 4, 6
N_TOKENS = SIDE * SIDE


def name(method):
    return method if method == "none" else method + " @ 25%"


def header(benchmark):
    return {
        "schema": "winnow.run", "version": 1, "winnow": "0.1.0", "commit": "0123456789ab",
        "model": {"text": "text<b>.gguf", "text_sha256": "a1" * 32, "mmproj": "mmproj.gguf", "mmproj_sha256": "b2" * 32},
        "convention": "llava", "benchmarks": [{"name": benchmark, "split": "", "questions": N_QUESTIONS, "questions_sha256": "c3" * 32}],
        "configurations": [{"name": name(m), "method": text, "keep": keep} for m, (text, keep) in METHODS.items()],
        "parameters": {"budget": "exact", "image_fit": "pad", "limit": "0", "scenes_seed": "", "template": EVIL},
        "seed": 0, "threads": 2, "jobs": 1, "hardware": "a machine", "shard": {"number": 1, "count": 1},
        "started": "2025-01-02T03:04:05Z", "data": "data",
    }


def kept(method, rng):
    if method == "none":
        return list(range(N_TOKENS))
    if method in ("fastv", "balanced:alpha=1"):  # the end of the sequence
        return sorted(rng.sample(range(N_TOKENS // 2, N_TOKENS), N_TOKENS // 4))
    return sorted(rng.sample(range(N_TOKENS), N_TOKENS // 4))


def row(benchmark, index, method, rng):
    right = method == "none" or rng.random() < (0.8 if method in ("random", "pooling", "balanced:alpha=0") else 0.4)
    truth = "yes" if index % 2 else "no"
    said = truth if right else EVIL if benchmark == "gqa" else "no" if truth == "yes" else "yes"
    after = N_TOKENS if method == "none" else N_TOKENS // 4
    out = {
        "benchmark": benchmark, "index": index, "question_id": f"{index:08}", "convention": "llava", "config": name(method),
        "prediction": said, "answer": truth, "score": float(right), "extracted": said, "valid": said != EVIL, "group": f"{index:08}",
        "category": "random" if benchmark == "pope" else "verify", "subcategory": "", "split": "",
        "prompt": "<image>\nIs it so? " + EVIL, "ended": True, "decode_tokens": 1, "seed": index, "text_tokens": 8,
        "visual_tokens": {"before": N_TOKENS, "after": after, "layer_average": float(after)},
        "kv_bytes": 64 * (8 + after), "kv_bytes_unpruned": 64 * (8 + N_TOKENS),
        "stage_ms": {"image": 1.0, "tower": 20.0, "projector": 1.0, "select": 0.1, "gather": 0.1, "prefill": 2.0 * (8 + after), "decode": 5.0},
    }
    if method != "pooling":
        out["kept"] = [kept(method, rng)]
        out["kept_maps"] = [[{"rows": SIDE, "cols": SIDE, "box": [0.0, 0.0, 1.0, 1.0], "kept": out["kept"][0]}]]
        if benchmark == "gqa":  # a tile beside the whole picture
            out["kept_maps"][0].append({"rows": 2, "cols": SIDE, "box": [0.5, -0.1, 1.0, 1.1], "kept": [0, 5]})
    if benchmark == "pope" and index == 3 and method == "fastv":
        out.update(prediction="", extracted="", score=0.0, valid=False, error="[engine.image] a picture is broken " + EVIL)
    return out


def write_run(folder, benchmark):
    rng = random.Random(benchmark)
    os.makedirs(folder)
    with open(os.path.join(folder, "run.json"), "w", encoding="utf-8") as file:
        json.dump(header(benchmark), file, indent=1)
    with open(os.path.join(folder, "rows.jsonl"), "w", encoding="utf-8") as file:
        for index in range(N_QUESTIONS):
            for method in METHODS:
                file.write(json.dumps(row(benchmark, index, method, rng)) + "\n")


def write_gqa(folder):
    questions = {f"{i:08}": {"imageId": "picture", "question": "Is it so?", "answer": "yes" if i % 2 else "no"} for i in range(N_QUESTIONS)}
    os.makedirs(folder)
    with open(os.path.join(folder, "testdev_balanced_questions.json"), "w", encoding="utf-8") as file:
        json.dump(questions, file)
    here = os.path.dirname(os.path.abspath(__file__))
    shutil.copy(os.path.join(here, "../data/images/baseline_420.jpg"), os.path.join(folder, "picture.jpg"))


def spread(ms):
    return {"median": ms, "q1": 0.95 * ms, "q3": 1.1 * ms}


def bench_row(method, load):
    after = N_TOKENS if method == "none" else N_TOKENS // 4
    prefill = 2.0 * (8 + after) + (4.0 if method == "fastv" else 0.0)
    stages = {"image": 1.0, "tower": 20.0, "projector": 1.0, "select": 0.2, "gather": 0.1, "prefill": prefill, "decode": 30.0}
    first = sum(stages.values()) - stages["decode"]
    ideal = (8 + N_TOKENS) / (8 + after)
    out = {
        "name": name(method), "prompt_tokens": 8 + N_TOKENS, "stage_ms": {k: spread(v) for k, v in stages.items()},
        "ttft_ms": spread(first), "decode_tokens_per_s": 500.0, "ttft_speedup": 70.3 / first,
        "visual_tokens": {"before": N_TOKENS, "after": after, "layer_average": float(after)}, "prefill_flops": 1e9 * (8 + after),
        "tower_flops": 2e10, "kv_bytes": 64 * (8 + after), "kv_bytes_unpruned": 64 * (8 + N_TOKENS),
        "prefill_speedup": {"realised": 48.0 / prefill, "ideal_flops": ideal, "ideal_tokens": ideal},
        "amdahl_ceiling": 70.3 / 22.0,
    }
    if load:
        out["load"] = [{"sessions": n, "threads_per_session": 2 // n or 1, "answers_per_s": 10.0 * min(n, 3),
                        "ttft_ms": {"median": first * n, "p90": 1.3 * first * n}, "answer_ms": {"median": 2 * first * n, "p90": 3 * first * n},
                        "kv_bytes": 1000 * n, "peak_rss_bytes": 10**8 + 10**6 * n} for n in (1, 2, 4)]
    return out


def write_bench(path):
    bench = {"winnow": "0.1.0", "model": "text.gguf", "backend": "cpu: a machine", "threads": 2, "repetitions": 3, "warmup": 1,
             "decode_tokens": 16, "peak_rss_bytes": 123456789,
             "configurations": [bench_row(m, m in ("none", "fastv")) for m in METHODS]}
    with open(path, "w", encoding="utf-8") as file:
        json.dump(bench, file, indent=1)


def write_all(folder):
    for benchmark in ("gqa", "pope"):
        write_run(os.path.join(folder, benchmark), benchmark)
    write_gqa(os.path.join(folder, "data", "gqa"))
    write_bench(os.path.join(folder, "bench.json"))


if __name__ == "__main__":
    write_all(sys.argv[1])
