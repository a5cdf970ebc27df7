#!/usr/bin/env python3
"""Runs of `winnow eval` on the built-in model must come out the same however they are made.

    eval_runs.py WINNOW [MPIRUN]

One process is the reference. The rows (without their times) of a run that is killed again and again, of three shards put
together, and of `mpirun` must equal its rows. Then what a stranger does wrong, and questions that fail.
"""
import glob
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time

WINNOW = sys.argv[1]
MPIRUN = sys.argv[2] if len(sys.argv) > 2 else ""
N_KILLS = 8
WHAT = ["--bench", "pope,mme", "--data", "scenes", "--limit", "24", "--prune", "none,random,fastv,tome", "--keep", "25%"]
ENV = dict(os.environ, GOMP_SPINCOUNT="0", OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1")


def check(condition, message):
    if not condition:
        sys.exit(f"eval_runs: {message}")


def command(out, *more, threads=1):
    return [WINNOW, "eval", *WHAT, "-t", str(threads), "--out", out, *more]


def run(arguments, status=0):
    done = subprocess.run(arguments, env=ENV, capture_output=True, text=True, check=False)
    check(done.returncode == status, f"{arguments}: status {done.returncode}, expected {status}\n{done.stdout}{done.stderr}")
    return done


def rows(folder):
    """Rows without their times, in the file's order."""
    out = []
    with open(os.path.join(folder, "rows.jsonl"), encoding="utf-8") as file:
        for line in file:
            row = json.loads(line)
            del row["stage_ms"]
            out.append(row)
    return out


def size(path):
    return os.path.getsize(path) if os.path.exists(path) else 0


def killed_again_and_again(out):
    """Kills the process once it has written a few more rows, at a random moment; the last time it may finish."""
    path = os.path.join(out, "rows.jsonl")
    n_alive = 0
    for _ in range(N_KILLS):
        before = size(path)
        process = subprocess.Popen(command(out), env=ENV, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 60
        while process.poll() is None and size(path) <= before + 1500 and time.monotonic() < deadline:
            time.sleep(0.002)
        time.sleep(random.Random(before).random() * 0.02)
        n_alive += process.poll() is None
        process.kill()
        process.wait()
    check(n_alive >= 3, f"only {n_alive} of {N_KILLS} kills hit a running process")
    with open(path, "ab") as file:
        file.write(b'{"benchmark":"pope","ind')  # what a kill in the middle of a write leaves
    run(command(out))


def main():
    scratch = tempfile.mkdtemp(prefix="winnow-eval-")
    try:
        tests(scratch)
    finally:
        shutil.rmtree(scratch)
    print("eval_runs: all equal")


def tests(scratch):
    def folder(name):
        return os.path.join(scratch, name)

    whole = folder("whole")
    text = run(command(whole)).stdout
    check("pope f1" in text and "mme total" in text and "average of" in text, f"no result was printed:\n{text}")
    expected = rows(whole)
    n_questions = len({(row["benchmark"], row["index"]) for row in expected})
    check(len(expected) == 4 * n_questions and n_questions >= 48, f"{len(expected)} rows of {n_questions} questions")
    check({row["config"] for row in expected} == {"none", "random @ 25%", "fastv @ 25%", "tome @ 25%"}, "configurations")
    unpruned = [row["score"] for row in expected if row["config"] == "none"]
    check(sum(unpruned) > 0.75 * len(unpruned), "the built-in model answers")

    killed = folder("killed")
    killed_again_and_again(killed)
    check(rows(killed) == expected, "the rows of the killed run differ")
    before = os.stat(os.path.join(killed, "rows.jsonl")).st_mtime_ns
    run(command(killed))  # nothing left to do
    check(os.stat(os.path.join(killed, "rows.jsonl")).st_mtime_ns == before, "a finished run was written to")

    jobs = folder("jobs")
    run(command(jobs, "--jobs", "2", threads=2))
    check(rows(jobs) == expected, "the rows of two jobs differ")

    shards = [folder(f"shard{i}") for i in (1, 2, 3)]
    for i, shard in enumerate(shards, 1):
        run(command(shard, "--shard", f"{i}/3"))
    run([WINNOW, "merge", *reversed(shards), "--out", folder("merged")])
    check(rows(folder("merged")) == expected, "the merged rows differ")
    failed = run([WINNOW, "merge", *shards[:2], "--out", folder("half")], status=2)
    check("missing 3" in failed.stderr, failed.stderr)

    if MPIRUN:
        together = folder("together")
        mpi = [MPIRUN, "--oversubscribe", "-n", "3"]
        for _ in range(2):  # the second time everything is there
            run([*mpi, *command(together)])
            check(rows(together) == expected, "the rows of mpirun differ")
        failed = subprocess.run([*mpi, *command(folder("wrong"), "--shard", "1/2")], env=ENV, capture_output=True, text=True,
                                check=False)
        check(failed.returncode != 0 and "expected one of the two" in failed.stderr, failed.stderr)

    failed = run(command(whole, "--seed", "2"), status=2)
    check("seed, got 2, expected 0" in failed.stderr, failed.stderr)
    check(rows(whole) == expected, "a refused command changed the run")
    impossible = folder("impossible")
    failed = run(["prumerge" if part.startswith("none,") else part for part in command(impossible)], status=2)
    check("wide_cls_attention" in failed.stderr, failed.stderr)
    check(not os.path.exists(os.path.join(impossible, "run.json")), "a run that cannot be answered was begun")
    failed = run([WINNOW, "compare", shards[0]], status=2)
    check("rows are missing" in failed.stderr, failed.stderr)

    # Pictures that cannot be read become rows with an error; the others are answered.
    broken = folder("broken")
    shutil.copytree(os.path.join(whole, "scenes"), os.path.join(broken, "scenes"))
    pictures = sorted(glob.glob(os.path.join(broken, "scenes", "pope*", "**", "*.png"), recursive=True))
    check(len(pictures) >= 2, "no pictures")
    with open(pictures[0], "wb") as file:
        file.write(b"no picture")
    text = run(command(broken)).stdout
    bad = [row for row in rows(broken) if row.get("error")]
    check(bad and len(bad) % 4 == 0 and len(bad) < len(expected) / 4, f"{len(bad)} failed rows")
    check(all(row["score"] == 0 and row["prediction"] == "" for row in bad), "a failed row has an answer")
    check("questions failed and count as wrong" in text, text)


main()
