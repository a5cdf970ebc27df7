#!/usr/bin/env python3
"""Every study runs on the built-in model with a few questions, and again without asking anything twice.

    studies.py WINNOW MODELS
"""
import os
import re
import subprocess
import sys
import tempfile

WINNOW, MODELS = sys.argv[1:]
PAIR = ",".join(os.path.join(MODELS, f"winnow-{part}-f16.gguf") for part in ("text", "mmproj"))
# Fewer benchmarks and questions: what is tested is that each study finds all that it reads.
STUDIES = {
    "baselines": ["--bench", "gqa", "--scale", "0.07"],
    "position": ["--scale", "0.004"],
    "language": ["--bench", "haystack,gqa", "--scale", "0.1"],
    "alpha": ["--auto", "--bench", "mme,textvqa,gqa", "--scale", "0.06"],
    "latency": ["--scale", "0.1"],
    "training": ["--bench", "gqa", "--scale", "0.2", "--variant", "same=" + PAIR],
    "equal-latency": ["--bench", "gqa", "--scale", "0.1"],
    "budget": ["--bench", "gqa", "--scale", "0.1"],
}


def check(condition, message):
    if not condition:
        sys.exit(f"studies: {message}")


def run(*arguments, status=0):
    done = subprocess.run([WINNOW, *arguments], capture_output=True, text=True, check=False)
    check(done.returncode == status, f"{arguments}: status {done.returncode}\n{done.stdout}{done.stderr}")
    return done


def shared_pictures(folder):
    """Pictures that are in a procedural benchmark's validation and test files, by their bytes."""
    found = {"val": set(), "test": set()}
    for where, _, names in os.walk(os.path.join(folder, "scenes")):
        split = "val" if "-val-" in where else "test"
        for name in names:
            if name.endswith((".png", ".jpg")):
                with open(os.path.join(where, name), "rb") as file:
                    found[split].add(file.read())
    check(found["val"] and found["test"], f"pictures of {folder}: {[len(v) for v in found.values()]}")
    return found["val"] & found["test"]


def rows(folder):
    count = 0
    for where, _, names in os.walk(folder):
        for name in names:
            if name == "rows.jsonl":
                with open(os.path.join(where, name), encoding="utf-8") as file:
                    count += len(file.readlines())
    return count


def check_choice_on_files(scratch):
    """Of questions in files one half chooses alpha: no validation split is asked, and both halves have questions."""
    data, out = os.path.join(scratch, "data"), os.path.join(scratch, "files")
    run("scenes", "--bench", "gqa", "--n", "10", "--seed", "3", "--out", data)
    text = run("study", "alpha", "--auto", "--data", data, "--bench", "gqa", "--out", out).stdout
    check("the best on one half of the questions, drawn by group" in text, text)
    check("| average, % of unpruned |" in text and "nan" not in text, text)
    check(not os.path.exists(os.path.join(out, "alpha", "validation")), "a validation split was asked")
    configurations = len(re.findall(r"\| alpha [\d.]+ ", text.split("**Here:**")[1].split("\n|---")[0])) + 1
    check(rows(out) == 10 * configurations, f"{rows(out)} rows of {configurations} configurations")


def main():
    with tempfile.TemporaryDirectory(prefix="winnow-studies-") as scratch:
        page = os.path.join(scratch, "page.md")
        known = re.findall(r"^  ([\w-]+) +\S.*\?$", run("study", "--help").stdout, re.M)
        check(set(STUDIES) <= set(known), f"--help names {known}")
        check(set(known) <= set(STUDIES), f"studies without a test: {known}")
        for name, options in STUDIES.items():
            out = os.path.join(scratch, name)
            command = ["study", name, "--out", out, "--page", page, *options]
            text = run(*command).stdout
            check(text.startswith(f"## {name}: ") and "**The paper:**" in text and "**Here:** " in text, f"{name}:\n{text}")
            check("|" in text.split("**Here:**")[1], f"{name} has no table")
            check("nan" not in text and "inf" not in text.replace("info", ""), f"{name} has numbers that are none:\n{text}")
            before = rows(out)
            check(before > 0 or name == "latency", f"{name} wrote no rows")
            again = run(*command).stdout
            check(rows(out) == before, f"{name} asked again")
            check("latency" in name or again == text, f"{name} gives another text from the same rows")
        with open(page, encoding="utf-8") as file:
            headings = re.findall(r"^## ([\w-]+):", file.read(), re.M)
        check(headings == list(STUDIES), f"the page has {headings}")
        alpha = os.path.join(scratch, "alpha")
        with open(os.path.join(alpha, "alpha.md"), encoding="utf-8") as file:
            text = file.read()
        check("of the validation split" in text and "| average, % of unpruned |" in text and " --auto " in text, text)
        check(not shared_pictures(alpha), "validation and test share pictures")
        check_choice_on_files(scratch)
        failed = run("study", "training", "--out", os.path.join(scratch, "x"), status=2)
        check("expected --variant NAME=TEXT.gguf,MMPROJ.gguf" in failed.stderr, failed.stderr)
    print("studies: all there")


main()
