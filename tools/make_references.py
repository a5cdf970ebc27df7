#!/usr/bin/env python3
"""Tiny random-weight models and what Hugging Face transformers makes of them: the reference results of tests/data.

usage: make_references.py --out DIR
Needs torch, transformers 5, safetensors, numpy, Pillow and torchvision; no network and no file of this repository.
Writes DIR/qwen2_5_vl, DIR/llava_onevision and DIR/qwen2_vl_video: hf/ (the checkpoint in the key layout that the hub has, weights
in float16), the pictures, NAME.safetensors for each of them and meta.json. A model that fails leaves its traceback in error.txt.
Exit status 1 if one failed.
"""
import argparse, copy, inspect, json, re, shutil, sys, tempfile, traceback
from pathlib import Path

import numpy as np
import torch
import transformers
from PIL import Image
from safetensors.torch import save_file

VOCAB, VISION_START, VISION_END, IMAGE_TOKEN, VIDEO_TOKEN = 512, 497, 498, 500, 501
OPENAI_MEAN, OPENAI_STD = [0.48145466, 0.4578275, 0.40821073], [0.26862954, 0.26130258, 0.27577711]
PATCH, MERGE, FRAMES = 14, 2, 2
PIXELS = {"shortest_edge": 3136, "longest_edge": 50176}
N_GREEDY = 8
WARNINGS = []


def warn(text):
    print("warning:", text, flush=True)
    WARNINGS.append(text)


def guarded(what, function, fallback=None):
    """What the function returns, or the fallback and a warning."""
    try:
        return function()
    except Exception as error:
        warn(f"{what}: {type(error).__name__}: {str(error)[:300]}")
        return fallback


# Pictures


def picture(seed, width, height):
    """Coloured squares of 7 px under fine noise and a ramp: every patch differs from its neighbours."""
    rng = np.random.RandomState(seed)
    blocks = rng.randint(0, 200, (height // 7 + 2, width // 7 + 2, 3))
    pixels = blocks.repeat(7, axis=0).repeat(7, axis=1)[:height, :width].astype(np.int64)
    pixels += rng.randint(-20, 21, pixels.shape) + (np.arange(width) * 50 // width)[None, :, None]
    return np.clip(pixels, 0, 255).astype(np.uint8)


def video_frames(seed, n, width, height):
    """A window that moves over one picture, so that frames are alike and yet differ."""
    whole = picture(seed, width + 9 * n, height + 4 * n)
    return np.stack([whole[4 * i : 4 * i + height, 9 * i : 9 * i + width] for i in range(n)])


def cut_patches(frames):
    """uint8 [T, H, W, 3] -> patches [n, 3 * 2 * 14 * 14] as Qwen2-VL's image processor lays them, and the grid."""
    values = frames.astype(np.float32) / np.float32(255)
    values = (values - np.array(OPENAI_MEAN, np.float32)) / np.array(OPENAI_STD, np.float32)
    values = values.transpose(0, 3, 1, 2)
    if len(values) % FRAMES:
        values = np.concatenate([values, values[-1:]])
    t, h, w = len(values) // FRAMES, values.shape[2] // PATCH, values.shape[3] // PATCH
    cut = values.reshape(t, FRAMES, 3, h // MERGE, MERGE, PATCH, w // MERGE, MERGE, PATCH)
    cut = cut.transpose(0, 3, 6, 4, 7, 2, 1, 5, 8).reshape(t * h * w, 3 * FRAMES * PATCH * PATCH)
    return torch.from_numpy(np.ascontiguousarray(cut)), torch.tensor([[t, h, w]])


def find_class(names):
    for name in names:
        found = guarded(f"class {name}", lambda: getattr(transformers, name))
        if found is not None:
            return found
    return None


def processed_patches(names, frames, hf, meta, is_video):
    """pixel values and grid of the first processor class that works, else of cut_patches."""
    mine, grid = cut_patches(frames)

    def run(cls):
        processor = cls(size=dict(PIXELS), patch_size=PATCH, merge_size=MERGE, temporal_patch_size=FRAMES)
        if is_video:
            tensor = torch.from_numpy(frames.transpose(0, 3, 1, 2).copy())
            out = processor(videos=[tensor], return_tensors="pt", do_sample_frames=False)
            return processor, out["pixel_values_videos"], out["video_grid_thw"]
        out = processor(images=[Image.fromarray(frames[0])], return_tensors="pt")
        return processor, out["pixel_values"], out["image_grid_thw"]

    for name in names:
        cls = find_class([name])
        made = guarded(f"processor {name}", lambda: run(cls)) if cls else None
        if made is None:
            continue
        processor, values, its_grid = made
        values = torch.as_tensor(np.asarray(values)).float()
        if values.shape != mine.shape or its_grid.tolist() != grid.tolist():
            warn(f"{name} gives {tuple(values.shape)}, grid {its_grid.tolist()}; expected {tuple(mine.shape)}, {grid.tolist()}")
            continue
        meta["processor"] = name
        meta["processor_minus_own_patches"] = float((values - mine).abs().max())
        guarded("save processor", lambda: processor.save_pretrained(hf))
        return values, grid
    warn("no processor class worked: patches cut by cut_patches")
    meta["processor"] = "cut_patches"
    return mine, grid


def complete_json(path, needed):
    """Adds keys that are missing to a JSON file, which is made where there is none."""
    content = json.loads(path.read_text()) if path.exists() else {}
    added = [key for key in needed if content.get(key) is None]
    if added:
        warn(f"{path.name}: added {added}")
        content.update({key: needed[key] for key in added})
        path.write_text(json.dumps(content, indent=2) + "\n")


# Weights


def scale_of(name, shape):
    """Standard deviation of a weight. Queries and keys are large, so that attention is far from flat."""
    fan_in = int(np.prod(shape[1:])) if len(shape) > 1 else 1
    if "embed_tokens" in name:
        return 1.0
    if "position_embedding" in name:
        return 0.4
    if "image_newline" in name:
        return 0.5
    if "lm_head" in name:
        return 2.5 / fan_in**0.5
    if re.search(r"(q_proj|k_proj)\.weight", name):
        return 1.6 / fan_in**0.5
    if re.search(r"(o_proj|out_proj|down_proj|fc2|attn\.proj)\.weight", name):
        return 0.7 / fan_in**0.5
    return 1.0 / fan_in**0.5


def fill_weights(model, seed):
    """Random values that f16 holds exactly, each tensor from its name and the seed."""
    with torch.no_grad():
        for name, weight in sorted(model.named_parameters()):
            generator = torch.Generator().manual_seed(seed + sum(i * ord(c) for i, c in enumerate(name, 1)))
            values = torch.randn(weight.shape, generator=generator)
            is_norm = re.search(r"norm|ln_q", name) is not None
            if is_norm and name.endswith("weight"):
                values = 1.0 + 0.1 * values
            elif name.endswith("bias"):
                values = 0.1 * values
            else:
                values = values * scale_of(name, weight.shape)
                if name.endswith("qkv.weight"):
                    values[: 2 * weight.shape[0] // 3] *= 1.6
            weight.copy_(values.half().float())


def published_name(name, onevision):
    """Name of a tensor in checkpoints of the hub; names here are those of transformers 5."""
    if not onevision:
        return re.sub(r"^model\.visual\.", "visual.", re.sub(r"^model\.language_model\.", "model.", name))
    name = re.sub(r"^lm_head", "language_model.lm_head", name)
    name = re.sub(r"^model\.language_model\.", "language_model.model.", name)
    name = re.sub(r"^model\.(vision_tower|multi_modal_projector|image_newline)", r"\1", name)
    return re.sub(r"^vision_tower\.(?:vision_tower\.)?(?:vision_model\.)?", "vision_tower.vision_model.", name)


def save_checkpoint(model, hf, onevision, meta):
    hf.mkdir(parents=True, exist_ok=True)
    tensors = {published_name(k, onevision): v.detach().half().contiguous() for k, v in model.state_dict().items()}
    save_file(tensors, str(hf / "model.safetensors"), metadata={"format": "pt"})
    meta["checkpoint"] = sorted(tensors)

    def as_transformers_writes():
        from safetensors import safe_open

        with tempfile.TemporaryDirectory() as folder:
            model.save_pretrained(folder)
            for name in ("config.json", "generation_config.json"):
                if (Path(folder) / name).exists():
                    shutil.copy(Path(folder) / name, hf / name)
            with safe_open(str(Path(folder) / "model.safetensors"), "pt") as file:
                keys = set(file.keys())
        if keys != set(tensors):
            warn(f"save_pretrained's keys differ: {sorted(keys ^ set(tensors))[:8]} ...")

    guarded("save_pretrained", as_transformers_writes)
    if not (hf / "config.json").exists():
        guarded("config", lambda: (hf / "config.json").write_text(model.config.to_json_string(use_diff=False)))
    complete_json(hf / "config.json", {"architectures": [type(model).__name__], "model_type": model.config.model_type})


def build(cls, config, seed):
    model = guarded("_from_config", lambda: cls._from_config(config, attn_implementation="eager"))
    if model is None:
        config._attn_implementation = "eager"
        model = cls(config)
    if hasattr(model, "set_attn_implementation"):
        guarded("set_attn_implementation", lambda: model.set_attn_implementation("eager"))
    model = model.float().eval()
    fill_weights(model, seed)
    for name, module in model.named_modules():
        used = getattr(getattr(module, "config", None), "_attn_implementation", "eager")
        if used != "eager":
            warn(f"{name or 'model'}: attention is {used}")
            break
    return model


# What happens inside


def first_tensor(value):
    return value if torch.is_tensor(value) else first_tensor(value[0])


class Trace:
    """Tensors of one run by name, from hooks on modules and on eager attention."""

    PLACES = [  # module's name, what of it, the tensor's name
        (r"\.visual\.blocks\.0$", "in", "vis.in"),
        (r"\.visual\.blocks\.(\d+)$", "out", "vis.{}.out"),
        (r"\.visual\.merger$", "out", "vis.merger_raw"),
        (r"\.vision_tower\..*layers\.0$", "in", "vis.in"),
        (r"\.vision_tower\..*layers\.(\d+)$", "out", "vis.{}.out"),
        (r"\.vision_tower\..*post_layernorm$", "out", "vis.post_ln"),
        (r"\.multi_modal_projector$", "in", "selected"),
        (r"\.multi_modal_projector$", "out", "proj"),
        (r"\.language_model\.layers\.0$", "in", "llm.embeds"),
        (r"\.language_model\.layers\.(\d+)$", "out", "llm.{}.out"),
        (r"\.language_model\.norm$", "out", "llm.norm"),
    ]

    def __init__(self, model):
        self.tensors, self.flatness, self.handles, self.patched = {}, {}, [], []
        self.attention = {}
        found = set()
        for name, module in model.named_modules():
            for pattern, what, target in self.PLACES:
                match = re.search(pattern, "." + name)
                if match:
                    found.add(target)
                    self.add_hook(module, what, target.format(*match.groups()))
        for target in ("vis.in", "vis.{}.out", "llm.embeds", "llm.{}.out", "llm.norm"):
            if target not in found:
                warn(f"no module found for {target}")
        self.names = {id(module): name for name, module in model.named_modules()}
        for module_name in {type(module).__module__ for module in model.modules()}:
            self.patch(sys.modules.get(module_name))

    def keep(self, name, value):
        self.tensors[name] = first_tensor(value).detach().clone()

    def add_hook(self, module, what, target):
        def on_input(_, args, kwargs):
            value = args[0] if args else kwargs.get("hidden_states", next(iter(kwargs.values()), None))
            guarded(f"hook {target}", lambda: self.keep(target, value))

        def on_output(_, args, kwargs, out):
            guarded(f"hook {target}", lambda: self.keep(target, out))

        if what == "in":
            self.handles.append(module.register_forward_pre_hook(on_input, with_kwargs=True))
        else:
            self.handles.append(module.register_forward_hook(on_output, with_kwargs=True))

    def patch(self, module):
        original = getattr(module, "eager_attention_forward", None)
        if original is None:
            return

        def observed(attention, query, key, value, *args, **kwargs):
            out = original(attention, query, key, value, *args, **kwargs)
            guarded("attention", lambda: self.attention.setdefault(id(attention), []).append((key.detach(), out[1].detach())))
            return out

        module.eager_attention_forward = observed
        self.patched.append((module, original))

    def finish(self):
        """Removes the hooks; keys of the tower, the column means of its attention, and the last token's row of the decoder's."""
        for handle in self.handles:
            handle.remove()
        for module, original in self.patched:
            module.eager_attention_forward = original
        if not self.attention:
            warn("no attention was seen")
        for owner, calls in self.attention.items():
            guarded(f"attention of {self.names[owner]}", lambda: self.keep_attention(self.names[owner], calls))

    def keep_attention(self, name, calls):
        block = re.search(r"(?:blocks|layers)\.(\d+)", name).group(1)
        peaks = torch.cat([probs.max(dim=-1).values.flatten() for _, probs in calls])
        sizes = sum(probs.shape[-1] * probs[..., 0].numel() for _, probs in calls) / peaks.numel()
        part = "llm" if "language_model" in name else "vis"
        self.flatness[f"{part}.{block}"] = {"mean_peak": float(peaks.mean()), "mean_keys": sizes, "calls": len(calls)}
        if part == "llm":
            self.tensors[f"llm.{block}.attn.last"] = calls[0][1][0, :, -1].clone()
            return
        keys = torch.cat([key for key, _ in calls], dim=2)  # several calls: one for each window or step
        batched = calls[0][1].shape[0] > 1
        n = calls[0][1].shape[-2] if batched else keys.shape[2]
        columns = torch.cat([probs.sum(dim=-2) / n for _, probs in calls], dim=-1)
        self.tensors[f"vis.{block}.attn.k"] = keys.clone()
        self.tensors[f"vis.{block}.attn.columns"] = columns.clone()


def accepted(function, arguments):
    """The arguments that the function has by name."""
    names = inspect.signature(function).parameters
    return {k: v for k, v in arguments.items() if k in names}


def model_inputs(model, inputs):
    return {k: v for k, v in accepted(model.forward, inputs).items() if v is not None}


def rope_index(model, inputs):
    arguments = {k: v for k, v in inputs.items() if k in ("input_ids", "mm_token_type_ids", "image_grid_thw", "video_grid_thw")}
    arguments["attention_mask"] = torch.ones_like(inputs["input_ids"])
    function = model.model.get_rope_index
    return function(**accepted(function, arguments))


def greedy(model, inputs, margins):
    """Greedy tokens, each from a run over the whole sequence, and how far ahead of the next best each is."""
    state, tokens = dict(inputs), []
    for _ in range(N_GREEDY):
        logits = model(**model_inputs(model, {**state, "use_cache": False})).logits[0, -1]
        best = torch.topk(logits, 2)
        margins.append(float(best.values[0] - best.values[1]))
        token = best.indices[:1][None]
        tokens.append(int(token))
        state["input_ids"] = torch.cat([state["input_ids"], token], dim=1)
        if state.get("mm_token_type_ids") is not None:
            state["mm_token_type_ids"] = torch.cat([state["mm_token_type_ids"], torch.zeros_like(token)], dim=1)
        if state.get("position_ids") is not None:
            delta = state["rope_delta"]
            following = torch.full((3, 1, 1), state["input_ids"].shape[1] - 1 + delta)
            state["position_ids"] = torch.cat([state["position_ids"], following], dim=2)
    return tokens


def compare_runs(model, inputs, logits, tokens, record):
    """Other ways to the same results: position ids that the model makes itself, generate(), float64."""
    plain = {k: v for k, v in inputs.items() if k != "position_ids"}
    if "position_ids" in inputs:

        def own_positions():
            model.model.rope_deltas = None
            other = model(**model_inputs(model, {**plain, "use_cache": False})).logits
            record["own_position_ids"] = float((other - logits).abs().max())

        guarded("own position ids", own_positions)

    def generated():
        if hasattr(model.model, "rope_deltas"):
            model.model.rope_deltas = None
        arguments = model_inputs(model, plain)
        out = model.generate(**arguments, max_new_tokens=N_GREEDY, min_new_tokens=N_GREEDY, do_sample=False, pad_token_id=0)
        got = out[0, -N_GREEDY:].tolist()
        record["generate_equals_greedy"] = got == tokens
        if got != tokens:
            warn(f"generate gives {got}, greedy {tokens}")

    guarded("generate", generated)

    def in_double():
        wide = copy.deepcopy(model).double()
        arguments = {k: v.double() if torch.is_tensor(v) and v.is_floating_point() else v for k, v in inputs.items()}
        other = wide(**model_inputs(wide, {**arguments, "use_cache": False})).logits
        record["float64"] = float((other - logits).abs().max())

    guarded("float64", in_double)


def run_and_save(model, inputs, path, meta):
    """One picture or video through the model; writes path."""
    record = {}
    trace = Trace(model)
    out = model(**model_inputs(model, {**inputs, "use_cache": False}))
    trace.finish()
    tensors = trace.tensors
    tensors["logits"] = out.logits.detach()
    ids = inputs["input_ids"][0]
    visual = (ids == IMAGE_TOKEN) | (ids == VIDEO_TOKEN)
    if "llm.embeds" in tensors:
        tensors["packed" if "image_sizes" in inputs else "projected"] = tensors["llm.embeds"][0, visual].clone()
    for key in ("input_ids", "pixel_values", "pixel_values_videos", "image_sizes", "image_grid_thw", "video_grid_thw"):
        if inputs.get(key) is not None:
            tensors["pixel_values" if key == "pixel_values_videos" else key] = inputs[key]
    if inputs.get("position_ids") is not None:
        tensors["position_ids_thw"] = inputs["position_ids"][:, 0]
        tensors["rope_delta"] = torch.tensor([inputs["rope_delta"]])
    margins = []
    tokens = greedy(model, inputs, margins)
    tensors["greedy"] = torch.tensor(tokens)
    record["greedy_margins"] = margins
    record["logits_absmax"] = float(out.logits.abs().max())
    compare_runs(model, inputs, out.logits, tokens, record)
    record["image_start"], record["n_image_tokens"] = int(visual.nonzero()[0]), int(visual.sum())
    record["flatness"] = trace.flatness
    stored = {k: (v.float() if v.is_floating_point() else v.int()).contiguous().clone() for k, v in tensors.items()}
    record["tensors"] = {k: list(v.shape) for k, v in sorted(stored.items())}
    save_file(stored, str(path))
    meta.setdefault("runs", {})[path.stem] = record
    shown = {k: v for k, v in record.items() if k not in ("tensors", "flatness")}
    print(path, json.dumps(shown), flush=True)
    peaks = {k: round(v["mean_peak"] * v["mean_keys"], 1) for k, v in trace.flatness.items()}
    print("  mean peak of attention in times of a flat one:", peaks, flush=True)


# The models


def text_config(n_layer):
    return {
        "vocab_size": VOCAB, "hidden_size": 96, "intermediate_size": 192, "num_hidden_layers": n_layer, "num_attention_heads": 6,
        "num_key_value_heads": 2, "hidden_act": "silu", "max_position_embeddings": 2048, "rms_norm_eps": 1e-6,
        "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": None, "use_sliding_window": False,
    }  # fmt: skip


def make_config(cls, arguments):
    """The configuration; text_config with rope_theta at its top where the class knows no rope_parameters."""
    config = guarded("config", lambda: cls(**copy.deepcopy(arguments)))
    if config is None:
        text = arguments["text_config"]
        rope = dict(text.pop("rope_parameters"))
        text["rope_theta"] = rope.pop("rope_theta")
        if "mrope_section" in rope:
            text["rope_scaling"] = rope
        config = cls(**arguments)
    if isinstance(getattr(config, "text_config", None), dict):
        warn("text_config stayed a dict")
    return config


def qwen_config(cls, vision, n_layer):
    text = text_config(n_layer)
    text["rope_parameters"] = {"rope_theta": 1000000.0, "rope_type": "default", "mrope_section": [2, 3, 3]}
    config = make_config(
        cls,
        {
            "text_config": text, "vision_config": vision, "image_token_id": IMAGE_TOKEN, "video_token_id": VIDEO_TOKEN,
            "vision_start_token_id": VISION_START, "vision_end_token_id": VISION_END, "tie_word_embeddings": False,
        },
    )  # fmt: skip
    return config


def prompt_ids(seed, token, n, wrapped):
    """Text, the picture's places (between the vision tokens if wrapped), text; and the kind of every token."""
    rng = np.random.RandomState(seed)
    before, after = rng.randint(3, 490, 7).tolist(), rng.randint(3, 490, 9).tolist()
    middle = [VISION_START] + [token] * n + [VISION_END] if wrapped else [token] * n
    ids = torch.tensor([before + middle + after])
    kind = 1 if token == IMAGE_TOKEN else 2
    return ids, torch.where(ids == token, kind, 0)


def qwen_inputs(model, seed, token, values, grid):
    n = int(grid[0].prod()) // MERGE**2
    ids, kinds = prompt_ids(seed, token, n, True)
    inputs = {"input_ids": ids, "mm_token_type_ids": kinds}
    inputs["pixel_values" if token == IMAGE_TOKEN else "pixel_values_videos"] = values
    inputs["image_grid_thw" if token == IMAGE_TOKEN else "video_grid_thw"] = grid
    positions, deltas = rope_index(model, inputs)
    return {**inputs, "position_ids": positions, "rope_delta": int(deltas.flatten()[0])}


def complete_qwen_preprocessor(hf):
    complete_json(
        hf / "preprocessor_config.json",
        {
            "image_mean": OPENAI_MEAN, "image_std": OPENAI_STD, "patch_size": PATCH, "merge_size": MERGE,
            "temporal_patch_size": FRAMES, "size": PIXELS, "image_processor_type": "Qwen2VLImageProcessor",
            "do_resize": True, "do_rescale": True, "do_normalize": True, "rescale_factor": 1 / 255, "resample": 3,
        },
    )  # fmt: skip


def qwen2_5_vl(folder, meta):
    """5 x 9 groups of patches in windows of 4 x 4: 2 x 3 windows, the last of each direction narrower."""
    vision = {
        "depth": 4, "hidden_size": 64, "intermediate_size": 88, "num_heads": 4, "hidden_act": "silu", "in_channels": 3,
        "patch_size": PATCH, "spatial_merge_size": MERGE, "temporal_patch_size": FRAMES, "window_size": 112,
        "fullatt_block_indexes": [1, 3], "out_hidden_size": 96, "tokens_per_second": 2,
    }  # fmt: skip
    config = qwen_config(transformers.Qwen2_5_VLConfig, vision, 3)
    model = build(transformers.Qwen2_5_VLForConditionalGeneration, config, 2025)
    hf = folder / "hf"
    save_checkpoint(model, hf, False, meta)
    names = ["Qwen2VLImageProcessorPil", "Qwen2VLImageProcessor", "Qwen2VLImageProcessorFast"]
    for name, seed, width, height in (("image", 5, 252, 140), ("even", 6, 112, 224)):  # even: windows fill it
        pixels = picture(seed, width, height)
        Image.fromarray(pixels).save(folder / f"{name}.png")
        values, grid = processed_patches(names, pixels[None], hf, meta, False)
        inputs = qwen_inputs(model, 11 + seed, IMAGE_TOKEN, values, grid)
        run_and_save(model, inputs, folder / f"{name}.safetensors", meta)
    complete_qwen_preprocessor(hf)


def qwen2_vl_video(folder, meta):
    """5 frames, so the last one counts twice: 3 steps of 3 x 4 groups; and 7 of 2 x 2 groups, more steps than rows."""
    vision = {
        "depth": 4, "embed_dim": 64, "hidden_size": 96, "mlp_ratio": 2, "num_heads": 4, "hidden_act": "quick_gelu",
        "in_channels": 3, "patch_size": PATCH, "spatial_merge_size": MERGE, "temporal_patch_size": FRAMES,
    }  # fmt: skip
    config = qwen_config(transformers.Qwen2VLConfig, vision, 5)
    model = build(transformers.Qwen2VLForConditionalGeneration, config, 2024)
    hf = folder / "hf"
    save_checkpoint(model, hf, False, meta)
    names = ["Qwen2VLVideoProcessor", "Qwen2VLVideoProcessorFast"]
    for name, seed, n, width, height in (("frames", 7, 5, 112, 84), ("steps", 8, 7, 56, 56)):
        frames = video_frames(seed, n, width, height)
        (folder / name).mkdir(parents=True, exist_ok=True)
        for i, frame in enumerate(frames):
            Image.fromarray(frame).save(folder / name / f"{i}.png")
        values, grid = processed_patches(names, frames, hf, meta, True)
        inputs = qwen_inputs(model, 11 + seed, VIDEO_TOKEN, values, grid)
        run_and_save(model, inputs, folder / f"{name}.safetensors", meta)
    complete_qwen_preprocessor(hf)


TILE = 60  # 4 x 4 patches of 14 px, and a rest of 4 px in none, as 384 px have one


def tile_pixels(pixels, pinpoints, hf, meta):
    """The whole picture and its tiles [1, n, 3, 60, 60] as the image processor of LLaVA-OneVision that uses Pillow makes them."""
    arguments = {
        "size": {"height": TILE, "width": TILE}, "image_mean": [0.5] * 3, "image_std": [0.5] * 3, "resample": 3,
        "image_grid_pinpoints": pinpoints,
    }  # fmt: skip
    for name in ("LlavaOnevisionImageProcessorPil", "LlavaOnevisionImageProcessor", "LlavaOnevisionImageProcessorFast"):
        cls = find_class([name])

        def run():
            processor = cls(**arguments)
            return processor, processor(images=[Image.fromarray(pixels)], return_tensors="pt")

        made = guarded(f"processor {name}", run) if cls else None
        if made is None:
            continue
        processor, out = made
        meta["processor"] = name
        guarded("save processor", lambda: processor.save_pretrained(hf))
        values = torch.as_tensor(np.asarray(out["pixel_values"])).float()
        return values, torch.as_tensor(np.asarray(out["image_sizes"])).long()
    warn("no processor class worked: tiles cut by own code")
    return own_tiles(pixels, pinpoints)


def own_tiles(pixels, pinpoints):
    """For pictures that fit a resolution without being scaled."""
    height, width = pixels.shape[:2]
    rows, cols = min((r for r in pinpoints if r[0] >= height and r[1] >= width), key=lambda r: r[0] * r[1])
    canvas = np.zeros((rows, cols, 3), np.uint8)
    top, left = (rows - height) // 2, (cols - width) // 2
    canvas[top : top + height, left : left + width] = pixels
    tiles = [np.asarray(Image.fromarray(pixels).resize((TILE, TILE), Image.BICUBIC))]
    for y in range(0, rows, TILE):
        tiles += [canvas[y : y + TILE, x : x + TILE] for x in range(0, cols, TILE)]
    values = np.stack(tiles).astype(np.float32) / 127.5 - 1
    return torch.from_numpy(values.transpose(0, 3, 1, 2).copy())[None], torch.tensor([[height, width]])


def count_features(model, inputs):
    """How many visual tokens the picture has."""
    function = model.model.get_image_features
    arguments = accepted(function, inputs)
    out = guarded("get_image_features", lambda: function(**arguments))
    if out is None:  # where the defaults of the configuration are not filled in
        extra = {"vision_feature_layer": -1, "vision_feature_select_strategy": "full", "vision_aspect_ratio": "anyres_max_2"}
        out = function(**arguments, **accepted(function, extra))
    features = getattr(out, "pooler_output", None)
    features = out if features is None else features
    while isinstance(features, (list, tuple)) and len(features) and not torch.is_tensor(features[0]):
        features = features[0]
    return sum(f.shape[-2] for f in features) if isinstance(features, (list, tuple)) else features.shape[-2]


def llava_onevision(folder, meta):
    """150 x 120 px: 2 x 3 tiles, two columns of padding, shrunk to anyres_max_2. 90 x 60 px: 1 x 2 tiles, not shrunk."""
    pinpoints = [[TILE * rows, TILE * cols] for rows in (1, 2, 3) for cols in (1, 2, 3)]
    text = text_config(3)
    text["model_type"] = "qwen2"
    text["rope_parameters"] = {"rope_theta": 1000000.0, "rope_type": "default"}
    vision = {
        "model_type": "siglip_vision_model", "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 4,
        "num_attention_heads": 4, "num_channels": 3, "image_size": TILE, "patch_size": PATCH, "hidden_act": "gelu_pytorch_tanh",
        "layer_norm_eps": 1e-6, "vision_use_head": False,
    }  # fmt: skip
    arguments = {
        "text_config": text, "vision_config": vision, "image_token_index": IMAGE_TOKEN, "video_token_index": VIDEO_TOKEN,
        "projector_hidden_act": "gelu", "vision_feature_select_strategy": "full", "vision_feature_layer": -1,
        "vision_aspect_ratio": "anyres_max_2", "image_grid_pinpoints": pinpoints, "tie_word_embeddings": False,
    }  # fmt: skip
    config = make_config(transformers.LlavaOnevisionConfig, arguments)
    model = build(transformers.LlavaOnevisionForConditionalGeneration, config, 2023)
    hf = folder / "hf"
    save_checkpoint(model, hf, True, meta)
    for name, seed, width, height, expected in (("shrunk", 9, 150, 120, 16 + 5 * 7), ("image", 10, 90, 60, 16 + 4 * 7)):
        pixels = picture(seed, width, height)
        Image.fromarray(pixels).save(folder / f"{name}.png")
        values, sizes = tile_pixels(pixels, pinpoints, hf, meta)
        mine, _ = own_tiles(pixels, pinpoints)
        if mine.shape == values.shape:
            meta[f"processor_minus_own_tiles_{name}"] = float((values - mine).abs().max())
        inputs = {"pixel_values": values, "image_sizes": sizes, "batch_num_images": torch.tensor([1])}
        n = count_features(model, inputs)
        if n != expected:
            warn(f"{name}: {n} visual tokens, expected {expected}")
        ids, kinds = prompt_ids(11 + seed, IMAGE_TOKEN, n, False)
        run_and_save(model, {**inputs, "input_ids": ids, "mm_token_type_ids": kinds}, folder / f"{name}.safetensors", meta)
    complete_json(
        hf / "preprocessor_config.json",
        {
            "image_mean": [0.5] * 3, "image_std": [0.5] * 3, "size": {"height": TILE, "width": TILE}, "resample": 3,
            "image_processor_type": "LlavaOnevisionImageProcessor", "image_grid_pinpoints": pinpoints, "do_resize": True,
            "do_rescale": True, "do_normalize": True, "do_pad": True, "rescale_factor": 1 / 255,
        },
    )  # fmt: skip


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", required=True, type=Path)
    out = parser.parse_args().out
    torch.set_num_threads(4)
    torch.set_grad_enabled(False)
    n_failed = 0
    for family in (qwen2_5_vl, llava_onevision, qwen2_vl_video):
        print(f"== {family.__name__}", flush=True)
        folder = out / family.__name__
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "error.txt").unlink(missing_ok=True)
        WARNINGS.clear()
        versions = {"torch": torch.__version__, "transformers": transformers.__version__, "numpy": np.__version__}
        meta = {**versions, "python": sys.version.split()[0]}
        try:
            torch.manual_seed(0)
            family(folder, meta)
        except Exception:
            n_failed += 1
            text = traceback.format_exc()
            print(text, flush=True)
            (folder / "error.txt").write_text(text)
        meta["warnings"] = list(WARNINGS)
        (folder / "meta.json").write_text(json.dumps(meta, indent=1) + "\n")
    size = sum(path.stat().st_size for path in out.rglob("*") if path.is_file())
    print(f"{size / 1e6:.2f} MB, {n_failed} failed", flush=True)
    return 1 if n_failed else 0


if __name__ == "__main__":
    sys.exit(main())
