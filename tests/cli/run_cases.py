#!/usr/bin/env python3
"""Runs the command line through a file of cases: run_cases.py WINNOW DATA CASES [NAME-PART]

A case is a block of `word: value` lines, blocks are parted by empty lines, # begins a comment.
  case    its name; must be first
  each    NAME = a b c: the block once for each word, as $NAME
  make    a file in the folder of the case: `PATH text WORDS`, `PATH empty`, `PATH cut FROM BYTES`,
          `PATH patch FROM OFFSET HEX`, `PATH swap FROM OLD NEW` (equally long), `PATH folder`, `PATH copy FROM`
  env     NAME=VALUE
  program a path in the folder of the case, to which winnow is copied to be run from there
  run     the arguments of winnow, as a shell would split them
  status  expected exit status; 0 if not given
  stdout, stderr  a regular expression that must be found there; several lines: all of them
  quiet   a stream (stdout, stderr) that must stay empty
  json    dotted fields that must be in the JSON object on stdout, or in a file: `@PATH field field`
  png, safetensors  a file that must have been written, with the right first bytes
Variables: $tiny (a model pair made once per run, as arguments), $tiny_text, $tiny_mmproj, $merged and $pooled (the same
with a projector that merges 2 x 2 patches or averages them), $next and $qwen (the LLaVA-NeXT and Qwen2-VL pairs of tests/data), $onevision ($onevision_text, $onevision_mmproj: synth's small LLaVA-OneVision), $merged_mmproj, $pooled_mmproj, $wide_mmproj (of another
width), $signals (what trace --signals wrote for fastv on the tiny model), $data (tests/data), $here (this folder), $image,
$dir (the folder of the case).
Every failing command must print one line "winnow: error: ..." and nothing on stdout unless the case says otherwise.
"""
import concurrent.futures
import json
import os
import re
import shlex
import shutil
import string
import subprocess
import sys
import tempfile

TIMEOUT_S = 120
MODELS = ("tiny", "merged", "pooled", "next", "onevision", "qwen")  # variables that are several arguments


def read_cases(path):
    cases, case = [], None
    with open(path, encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            line = line.strip()
            if not line or line.startswith("#"):
                continue
            word, _, value = line.partition(":")
            if word == "case":
                case = {"case": [value.strip()]}
                cases.append(case)
            elif case is None or word not in ("each", "make", "env", "program", "run", "status", "stdout", "stderr", "quiet",
                                              "json", "png", "safetensors"):
                sys.exit(f"{path}:{number}: unknown line '{line}'")
            else:
                case.setdefault(word, []).append(value.strip())
    return [one for case in cases for one in expanded(case)]


def expanded(case):
    if "each" not in case:
        return [case]
    name, _, words = case["each"][0].partition("=")
    out = []
    for word in shlex.split(words):
        copy = {k: [v.replace("$" + name.strip(), word) for v in values] for k, values in case.items() if k != "each"}
        copy["case"] = [f"{case['case'][0]} [{word}]"]
        out.append(copy)
    return out


def make(command, folder, variables):
    words = [string.Template(w).safe_substitute(variables) for w in shlex.split(command)]
    path, how, rest = os.path.join(folder, words[0]), words[1], words[2:]
    if how == "folder":
        os.mkdir(path)
        return
    content = b""
    if how == "text":
        content = (" ".join(rest) + "\n").encode()
    elif how != "empty":
        with open(os.path.join(folder, rest[0]), "rb") as file:
            content = bytearray(file.read())
    if how == "cut":
        end = int(rest[1])
        content = content[:end]  # a negative number counts from the end
    elif how == "patch":
        at, new = int(rest[1]), bytes.fromhex(rest[2])
        content[at:at + len(new)] = new
    elif how == "swap":
        old, new = rest[1].encode(), rest[2].encode()
        assert len(old) == len(new) and old in content, command
        content = content.replace(old, new, 1)
    else:
        assert how in ("text", "empty", "copy"), command
    with open(path, "wb") as file:
        file.write(content)


def has_field(value, dotted):
    for part in dotted.split("."):
        if isinstance(value, list):
            value = value[int(part)] if part.isdigit() and int(part) < len(value) else None
        elif isinstance(value, dict):
            if part not in value:
                return False
            value = value[part]
        else:
            return False
    return True


def json_problems(line, folder, out):
    words = line.split()
    text = out
    if words[0].startswith("@"):
        with open(os.path.join(folder, words.pop(0)[1:]), encoding="utf-8") as file:
            text = file.read()
    try:
        value = json.loads(text)
    except ValueError as error:
        return [f"no JSON: {error}"]
    return [f"JSON has no '{word}'" for word in words if not has_field(value, word)]


def file_problems(case, folder):
    problems = []
    for kind, right in (("png", lambda b: b.startswith(b"\x89PNG")), ("safetensors", lambda b: b[8:9] == b"{")):
        for name in case.get(kind, []):
            path = os.path.join(folder, name)
            if not os.path.isfile(path):
                problems.append(f"{name} was not written")
            else:
                with open(path, "rb") as file:
                    if not right(file.read(16)):
                        problems.append(f"{name} is no {kind} file")
    return problems


def problems_of(case, program, variables):
    with tempfile.TemporaryDirectory() as folder:
        for command in case.get("make", []):
            make(command, folder, variables)
        values = dict(variables, dir=folder)
        arguments = [string.Template(w).safe_substitute(values) for w in shlex.split(
            string.Template(case["run"][0]).safe_substitute({name: variables[name] for name in MODELS}))]
        environment = dict(os.environ, **dict(
            string.Template(e).safe_substitute(values).split("=", 1) for e in case.get("env", [])))
        for place in case.get("program", []):
            os.makedirs(os.path.dirname(os.path.join(folder, place)))
            program = shutil.copy(program, os.path.join(folder, place))
        try:
            done = subprocess.run([program, *arguments], cwd=folder, env=environment, capture_output=True,
                                  timeout=TIMEOUT_S, stdin=subprocess.DEVNULL)
        except subprocess.TimeoutExpired:
            return [f"took longer than {TIMEOUT_S} s"]
        streams = {"stdout": done.stdout.decode("utf-8", "replace"), "stderr": done.stderr.decode("utf-8", "replace")}
        status = int(case.get("status", ["0"])[0])
        problems = [] if done.returncode == status else [f"exit status {done.returncode}, expected {status}"]
        for name, text in streams.items():
            problems += [f"{name} has no match of '{pattern}'" for pattern in case.get(name, [])
                         if not re.search(pattern, text, re.S)]
            if text and (name in case.get("quiet", []) or (status == 2 and name == "stdout" and name not in case)):
                problems.append(f"{name} is not empty")
        if status == 2 and len(re.findall(r"^winnow: error: ", streams["stderr"], re.M)) != 1:
            problems.append("stderr has no 'winnow: error: ' line")
        for line in case.get("json", []):
            problems += json_problems(line, folder, streams["stdout"])
        problems += file_problems(case, folder)
        if problems:
            problems += [f"--- {name}\n{text[:2000]}" for name, text in streams.items()]
        return problems


def main():
    program, data, path = map(os.path.abspath, sys.argv[1:4])
    part = sys.argv[4] if len(sys.argv) > 4 else ""
    cases = [case for case in read_cases(path) if part in case["case"][0]]
    if not cases:
        sys.exit(f"{path}: no cases")
    with tempfile.TemporaryDirectory() as models:
        for shape in ("tiny", "tiny-onevision"):
            subprocess.run([program, "-q", "synth", "--like", shape, "--type", "f32", "--out", models], check=True,
                           stdout=subprocess.DEVNULL)
        for kind in ("merge", "pool"):
            subprocess.run([program, "-q", "synth", "--like", "tiny", "--type", "f32", f"--{kind}", "2", "--out", models],
                           check=True, stdout=subprocess.DEVNULL)
        text, mmproj = (os.path.join(models, f"tiny-{kind}-f32.gguf") for kind in ("text", "mmproj"))
        merged, pooled = (os.path.join(models, f"tiny-{kind}2-mmproj-f32.gguf") for kind in ("merge", "pool"))
        next_text, next_mmproj = (os.path.join(data, "llava_next", f"{kind}.gguf") for kind in ("text", "mmproj"))
        qwen_text, qwen_mmproj = (os.path.join(data, "qwen2_vl", f"{kind}.gguf") for kind in ("text", "mmproj"))
        onevision_text, onevision_mmproj = (os.path.join(models, f"tiny-onevision-{kind}-f32.gguf")
                                            for kind in ("text", "mmproj"))
        variables = {"tiny": f"-m {text} --mmproj {mmproj} -t 1", "tiny_text": text, "tiny_mmproj": mmproj,
                     "next": f"-m {next_text} --mmproj {next_mmproj} -t 1",
                     "onevision": f"-m {onevision_text} --mmproj {onevision_mmproj} -t 1",
                     "onevision_text": onevision_text, "onevision_mmproj": onevision_mmproj,
                     "qwen": f"-m {qwen_text} --mmproj {qwen_mmproj} -t 1",
                     "merged": f"-m {text} --mmproj {merged} -t 1", "merged_mmproj": merged,
                     "pooled": f"-m {text} --mmproj {pooled} -t 1", "pooled_mmproj": pooled,
                     "wide_mmproj": os.path.join(data, "llava15", "mmproj-all.gguf"), "data": data,
                     "here": os.path.dirname(os.path.abspath(__file__)),
                     "image": os.path.join(data, "images", "rgb8.png")}
        variables["signals"] = os.path.join(models, "fastv.safetensors")
        subprocess.run([program, "-q", "trace", *shlex.split(variables["tiny"]), "-i", variables["image"], "-p", "hi",
                        "--prune", "fastv", "--keep", "4", "-o", os.path.join(models, "trace.safetensors"),
                        "--signals", variables["signals"]], check=True, stdout=subprocess.DEVNULL)
        with concurrent.futures.ThreadPoolExecutor(max_workers=2) as pool:
            results = list(pool.map(lambda case: problems_of(case, program, variables), cases))
    bad = 0
    for case, problems in zip(cases, results):
        if problems:
            bad += 1
            print(f"FAILED {case['case'][0]}\n  winnow {case['run'][0]}\n  " + "\n  ".join(problems))
    print(f"{len(cases) - bad} of {len(cases)} cases passed")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
