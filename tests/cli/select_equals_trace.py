#!/usr/bin/env python3
"""`winnow select` on the file of `winnow trace --signals` must make the plan that the engine made.

    select_equals_trace.py WINNOW DATA     the program, tests/data

For every method of `winnow methods`: one forward pass with pruning, then the method alone on each signal file. Kept
tokens, plan and scores must be equal to the last bit, and the output vectors must be the rows that the decoder read. Of a picture cut into
tiles the tokens that the method keeps of each tile must be those that the whole run kept.
"""
import array
import glob
import json
import os
import struct
import subprocess
import sys
import tempfile

IMAGE_TOKEN = 500
N_VISUAL = 36
SEED = "7"
IN_TOWER = -3


def read(path):
    """Tensors as {name: (shape, values)} and metadata."""
    with open(path, "rb") as file:
        header = json.loads(file.read(struct.unpack("<Q", file.read(8))[0]))
        data = file.read()
    metadata = header.pop("__metadata__", {})
    tensors = {}
    for name, entry in header.items():
        begin, end = entry["data_offsets"]
        values = array.array({"F32": "f", "I32": "i"}[entry["dtype"]], data[begin:end])
        tensors[name] = (entry["shape"], values)
    return tensors, metadata


def of_picture(tile, cell):
    """Number of a tile's token among the 52 of the picture of llava_next: 4 x 4 of the whole, then rows of two tiles of 2 x 4 and a newline."""
    return cell if tile == 0 else 16 + ((tile - 1) // 2 * 2 + cell // 4) * 9 + (tile - 1) % 2 * 4 + cell % 4


def rows(tensor, wanted):
    shape, values = tensor
    width = shape[-1]
    return [values[row * width:(row + 1) * width] for row in wanted]


class Comparison:
    def __init__(self, program, data, folder):
        self.program, self.all_data, self.data, self.folder = program, data, os.path.join(data, "llava15"), folder
        ids = list(read(os.path.join(self.data, "exact.safetensors"))[0]["input_ids"][1])
        self.first = ids.index(IMAGE_TOKEN)
        self.ids = ids
        self.problems, self.n_files = [], 0
        self.before_projector = set()

    def run(self, *arguments):
        return subprocess.run([self.program, "-q", *arguments], capture_output=True, text=True, check=False,
                              stdin=subprocess.DEVNULL, cwd=self.folder)

    def compare(self, use, keep, n_images=1, layer=None):
        """One forward pass, then `select` on each of its signal files."""
        for old in glob.glob(os.path.join(self.folder, "*")):
            os.remove(old)
        with open(os.path.join(self.folder, "ids"), "w", encoding="utf-8") as file:
            file.write(" ".join(map(str, self.ids * n_images)))
        models = ["-m", os.path.join(self.data, "text.gguf"), "--mmproj", os.path.join(self.data, "mmproj-all.gguf")]
        images = ["--image", os.path.join(self.data, "exact.png")] * n_images
        done = self.run("trace", *models, *images, "--image-fit", "crop", "--ids", "ids", "--image-token",
                        str(IMAGE_TOKEN), "--f32", "-t", "1", "--prune", use, *(["--keep", keep] if keep else []),
                        *(["--layer", str(layer)] if layer else []), "--seed", SEED, "--out", "trace.safetensors",
                        "--signals", "signals.safetensors")
        if done.returncode != 0:
            self.problems.append(f"trace --prune {use}: {done.stderr}")
            return
        trace, metadata = read(os.path.join(self.folder, "trace.safetensors"))
        files = sorted(glob.glob(os.path.join(self.folder, "signals*.safetensors")))
        n_steps = sum(name.endswith(".layer") and int(layer) != IN_TOWER for name, layer in metadata.items())
        if len(files) != n_steps * n_images:
            self.problems.append(f"{use}: {len(files)} signal files of {n_steps} steps and {n_images} images")
        for path in files:
            self.n_files += 1
            self.problems += [f"{use} --keep {keep}, {os.path.basename(path)}: {problem}"
                              for problem in self.problems_of(path, trace, n_images)]

    def compare_tiles(self, use, keep):
        """A step after the tower on a picture cut into tiles: the union of what `select` keeps of each."""
        for old in glob.glob(os.path.join(self.folder, "*")):
            os.remove(old)
        data = os.path.join(self.all_data, "llava_next")
        done = self.run("trace", "-m", os.path.join(data, "text.gguf"), "--mmproj", os.path.join(data, "mmproj.gguf"), "--image",
                        os.path.join(data, "image.png"), "-p", "hi", "--f32", "-t", "1", "--prune", use, "--keep", keep, "--seed", SEED, "--out",
                        "trace.safetensors", "--signals", "signals.safetensors")
        if done.returncode != 0:
            self.problems.append(f"tiles, trace --prune {use}: {done.stderr}")
            return
        trace = read(os.path.join(self.folder, "trace.safetensors"))[0]
        kept = []
        for path in sorted(glob.glob(os.path.join(self.folder, "signals*.safetensors"))):
            self.n_files += 1
            metadata = read(path)[1]
            done = self.run("select", metadata["method"], "--signals", path, "--keep", metadata["n_keep"], "--seed", SEED, "--out", "plan.out")
            if done.returncode != 0:
                self.problems.append(f"tiles, select {use}: {done.stderr}")
                return
            plan = read(os.path.join(self.folder, "plan.out"))[0]
            kept += [of_picture(int(metadata["tile"]), cell) for cell in plan["kept"][1]]
        if "prune.0.kept" not in trace:
            return
        if sorted(kept) != sorted(trace["prune.0.kept"][1]):
            self.problems.append(f"tiles, {use}: select keeps {sorted(kept)}, the engine {list(trace['prune.0.kept'][1])}")

    def problems_of(self, path, trace, n_images):
        metadata = read(path)[1]
        n_keep, image = (int(metadata[name]) for name in ("n_keep", "image"))
        done = self.run("select", metadata["method"], "--signals", path, *(["--keep", str(n_keep)] if n_keep >= 0 else []),
                        "--seed", SEED, "--out", "plan.out")
        if done.returncode != 0:
            return [f"select failed: {done.stderr}"]
        plan = read(os.path.join(self.folder, "plan.out"))[0]
        step = f"prune.{metadata['step']}."
        problems = []
        if step + "kept" in trace:
            kept = [i - image * N_VISUAL for i in trace[step + "kept"][1] if i // N_VISUAL == image]
            if kept != list(plan["kept"][1]):
                problems.append(f"select keeps {list(plan['kept'][1])}, the engine {kept}")
        if n_images > 1:
            return problems
        for name in ("offsets", "index", "weight", "scores"):
            if step + name in trace and trace[step + name] != plan.get(name):
                problems.append(f"{name} differ from the engine's")
        return problems + self.problems_of_rows(plan, metadata, step, trace)

    def problems_of_rows(self, plan, metadata, step, trace):
        """The merged vectors against what the decoder read."""
        layer = int(metadata["layer"])
        if "merged" not in plan:
            return ["no output vectors"]
        if metadata["method"].split(":")[0] in self.before_projector:
            return []  # a whole run projects merged tower features
        merged = rows(plan["merged"], range(plan["merged"][0][0]))
        if layer < 0:
            read_by_decoder = rows(trace["llm.embeds"], range(self.first, self.first + len(merged)))
        elif step == "prune.0." and step + "kept" in trace:  # the layer before saw every token
            before = trace["llm.embeds" if layer == 0 else f"llm.{layer - 1}.out"]
            read_by_decoder = rows(before, [self.first + cell for cell in plan["kept"][1]])
        else:
            return []
        return [] if merged == read_by_decoder else ["output vectors differ from the rows that the decoder read"]


def main():
    program, data = map(os.path.abspath, sys.argv[1:3])
    with tempfile.TemporaryDirectory() as folder:
        comparison = Comparison(program, data, folder)
        methods = [method for method in json.loads(comparison.run("methods", "--json").stdout)
                   if method["stage"] not in ("in_tower", "before_tower")]
        comparison.before_projector = {method["name"] for method in methods if method["before_projector"]}
        for method in methods:
            if method["name"] != "none":
                comparison.compare(method["name"], "9")
        comparison.compare("pooling:window=2x2", "")
        comparison.compare("window_fastv:window=3x3", "25%", layer=1)
        comparison.compare("balanced:importance=cls,redundancy=mean", "5", layer=3)
        comparison.compare("random", "11", layer=2)
        comparison.compare("then(tome, divprune, fastv@2)", "50%,50%,3")
        for method in methods:
            if method["stage"] == "after_tower" and not method["across_tiles"]:
                comparison.compare_tiles(method["name"], "15")
        comparison.compare_tiles("random", "15")
        for use in ("random", "fastv"):  # a stream of random numbers for each picture
            comparison.compare(use, "17", n_images=2)
    for problem in comparison.problems:
        print(f"FAILED {problem}")
    print(f"{comparison.n_files} signal files of {len(methods)} methods compared")
    return 1 if comparison.problems or comparison.n_files < 12 else 0


if __name__ == "__main__":
    sys.exit(main())
