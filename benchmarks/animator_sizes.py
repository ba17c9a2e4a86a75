"""Parameters and predicted memory of the image-to-video families at full size, without their weights.

    python -m benchmarks.animator_sizes
    python -m benchmarks.animator_sizes wan22 svd

Each family is written into a folder as its real one looks to `tasks.animate.memory`: settings, and files of weights
that have a header and no bytes behind it. The film is the advised one. What is told is what a render would be told:
bytes of each stage, and what each preset of conf/compute makes of it. Nothing of it was measured on a card.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.runs import ROOT
from reel.models.animator import Animator

GOLDEN = ROOT / "tests" / "golden" / "model_configs"
PRESETS = ("8gb", "t4", "16gb", "l4", "24gb")
"""Of conf/compute, the smallest first."""
ELSEWHERE = ("ltx",)
"""Families by the beginning of their names whose full-size settings are not among the golden ones."""


def is_told(model: Animator) -> bool:
    """Whether a family is one of those that are told of."""
    return model.base.kind == "hub" and not model.name.startswith(ELSEWHERE)


def models() -> list[Animator]:
    """The families that are told of."""
    from flows.commands.models import family, names

    return [one for one in map(family, names()) if isinstance(one, Animator) and is_told(one)]


def networks(model: Animator) -> list[str]:
    """Names of a family's parts that have weights, but what reads words that are to be seen in the picture."""
    from tasks.animate.catalogue import RECIPES

    recipe = RECIPES[model.architecture]
    aside = {*recipe.processors, "text_encoder_2"}
    return [name for name in recipe.classes if not name.startswith("tokenizer") and name not in aside]


def parameters(stem: str) -> int:
    """How many numbers a network of these settings has, counted on the meta device."""
    import diffusers
    import torch
    import transformers

    from tasks.animate.replay.shell import of_config

    name = _sources()[stem]["class"]
    with torch.device("meta"):
        kind = getattr(diffusers, name, None) or getattr(transformers, name)
        return sum(one.numel() for one in of_config(kind, _settings(stem)).parameters())


def write(folder: Path, model: Animator) -> dict[str, int]:
    """A family as it looks from outside; the numbers of each part."""
    found = {}
    for part in networks(model):
        stem = next(stem for stem, one in _sources().items() if f"{model.name}.{part}" in one.get("serves", []))
        found[part] = parameters(stem)
        (folder / part).mkdir(parents=True)
        (folder / part / "config.json").write_text(json.dumps(_settings(stem)))
        _hollow(folder / part / "model.safetensors", found[part])
    for part in ("text_encoder_2", "scheduler"):
        (folder / part).mkdir(exist_ok=True)
    return found


def _hollow(path: Path, count: int) -> None:
    """A safetensors file of one tensor whose bytes are a hole in the file."""
    header = json.dumps({"w": {"dtype": "BF16", "shape": [count], "data_offsets": [0, 2 * count]}}).encode()
    with path.open("wb") as file:
        file.write(len(header).to_bytes(8, "little") + header)
        file.truncate(8 + len(header) + 2 * count)


def _settings(stem: str) -> dict[str, Any]:
    return dict(json.loads((GOLDEN / f"{stem}.json").read_text()))


def _sources() -> dict[str, Any]:
    import yaml

    return dict(yaml.safe_load((GOLDEN / "sources.yaml").read_text()))


def told(model: Animator) -> list[str]:
    """A family's row: name, film, numbers, and GiB of its stages in bfloat16 with nothing done to save any; presets."""
    from reel.errors import UserError
    from tasks.animate import memory

    rows: dict[str, str] = {}
    for preset in ("24gb", *PRESETS):
        passes, compute = _passes(model, preset)
        embed, denoise, decode = passes.embed, passes.denoise, passes.decode
        if not rows:
            whole = compute.model_copy(update={"max_memory": None, "offload": "none"})
            size = f"{denoise.width}x{denoise.height}, {denoise.frames}"
            words = memory.embedding(embed, whole).total if embed is not None else 0.0
            each = (words, memory.denoising(denoise, whole).total, memory.decoding(decode, whole).total)
            rows |= {"film": size, **dict(zip(("embed", "denoise", "decode"), map(_gib, each), strict=True))}
            continue
        try:
            smaller = memory.fit(embed, denoise, decode, compute)
        except UserError:
            rows[preset] = "no"
            continue
        saved = [
            *(["float8"] if smaller[0].storage == "float8" else []),
            *(["tiles"] if smaller[1].tiling else []),
            *(["pieces"] if smaller[1].framewise else []),
            *(["layers"] if compute.offload == "sequential" else []),
        ]
        rows[preset] = ", ".join(saved) or "yes"
    return list(rows.values())


def _gib(count: float) -> str:
    return f"{count / 2**30:.1f}" if count else "-"


def _passes(model: Animator, preset: str) -> tuple[Any, Any]:
    """A film's settings under one of the presets of conf/compute."""
    from flows.animate.plan import passes_of
    from flows.animate.settings import Animate
    from flows.config.compose import plain_settings
    from flows.config.root import Root
    from reel.config import parse
    from tasks.animate.settings import Key

    base = f"model.base={{kind: embedded, id: {model.name}, files: null}}"
    overrides = [f"model={model.name}", base, f"compute={preset}", "prompt=''"]
    data = plain_settings(Root("animate", Animate), overrides)
    data["model"] |= {"parts": {}}  # all lie in one folder
    cfg = parse(Animate, data)
    size, length = model.advice.sizes[0], model.advice.frames
    keys = [Key(at=0), Key(at=length - 1)][: model.limits.least_pictures]
    return passes_of(cfg, keys, length, length, size.width, size.height, [""]), cfg.compute


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", help="names of conf/model; none: all")
    options = parser.parse_args(argv)
    print("| `model=` | film | denoiser, 10^9 | VAE | texts | embed | denoise | decode | " + " | ".join(PRESETS) + " |")
    print("|" + "---|" * (8 + len(PRESETS)))
    with tempfile.TemporaryDirectory() as folder:
        os.environ["ROTOSCOPE_MODELS"] = folder
        os.environ["ROTOSCOPE_CACHE"] = str(Path(folder) / "cache")
        for model in models():
            if options.models and model.name not in options.models:
                continue
            count = write(Path(folder) / model.name, model)
            denoiser = [one / 1e9 for name, one in count.items() if name.startswith(("transformer", "unet"))]
            texts = count.get("text_encoder", 0) / 1e9
            numbers = [
                f"{len(denoiser)} x {denoiser[0]:.2f}" if len(denoiser) > 1 else f"{denoiser[0]:.2f}",
                f"{count['vae'] / 1e9:.2f}",
                f"{texts:.2f}" if texts else "-",
            ]
            film, *rest = told(model)
            print("| " + " | ".join([f"`{model.name}`", film, *numbers, *rest]) + " |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
