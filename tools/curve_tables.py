#!/usr/bin/env python3
"""Learning-curve tables of docs/model.md from a training's curve.jsonl, as Markdown.

    tools/curve_tables.py [models/curve.jsonl] [--every STEPS] [--kinds]

A row stands at every STEPS steps of a stage (400; of the tower 200) and at its end; losses and the tower's numbers are means over the
last five reports. --kinds also prints the last validation by kind of question.
"""
import argparse
import json
import sys


def read(path):
    reports, validations = {}, {}
    with open(path, encoding="utf-8") as file:
        for line in file:
            row = json.loads(line)
            into = validations if "validation_mean" in row else reports
            into.setdefault((row["stage_idx"], row["stage"]), []).append(row)
    return reports, validations


def mean(rows, key):
    rows = rows[-5:]
    return sum(row[key] for row in rows) / len(rows)


def marks(rows, every):
    last = rows[-1]["step"]
    steps = [step for step in range(every, last + 1, every)]
    if not steps or steps[-1] != last:
        steps.append(last)
    return steps


def tower_table(rows, every):
    print("| stage | step | minutes | loss | patch shape | letters | box error px | count |\n|---|---|---|---|---|---|---|---|")
    for step in marks(rows, every):
        until = [row for row in rows if row["step"] <= step]
        print(f"| tower | {step} | {until[-1]['seconds'] / 60:.1f} | {mean(until, 'loss'):.2f} | "
              f"{100 * mean(until, 'shape_right'):.0f} % | {100 * mean(until, 'glyph_right'):.0f} % | "
              f"{mean(until, 'box_error_px'):.1f} | {100 * mean(until, 'count_right'):.0f} % |")
    print()


def stage_rows(stage, rows, validations, every):
    for step in marks(rows, every):
        until = [row for row in rows if row["step"] <= step]
        seen = [row for row in validations if row["step"] <= step]
        right = f"{seen[-1]['validation_mean']:.1f} %" if seen else ""
        print(f"| {stage} | {step} | {until[-1]['seconds'] / 60:.1f} | {mean(until, 'loss'):.2f} | {right} |")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("path", nargs="?", default="models/curve.jsonl")
    parser.add_argument("--every", type=int, default=400)
    parser.add_argument("--kinds", action="store_true")
    args = parser.parse_args()
    if args.every < 2:
        parser.error(f"--every, got {args.every}, expected at least 2")
    try:
        reports, validations = read(args.path)
    except (OSError, ValueError, KeyError) as error:
        sys.exit(f"curve_tables: {args.path}: {error}")
    header = False
    for key in sorted(reports):
        if key[1] == "tower":
            tower_table(reports[key], args.every // 2)
            continue
        if not header:
            print("| stage | step | minutes | loss | validation, mean over kinds |\n|---|---|---|---|---|")
            header = True
        stage_rows(key[1], reports[key], validations.get(key, []), args.every)
    if args.kinds and validations:
        last = validations[max(validations)][-1]
        print("\n| kind | right |\n|---|---|")
        for kind, right in sorted(last["right"].items()):
            print(f"| {kind} | {right:.0f} % |")


if __name__ == "__main__":
    main()
