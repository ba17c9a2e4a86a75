"""The parts of a stock pipeline: loaded, or as shells that know their settings alone."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from reel.errors import UserError
from reel.models.source import LoraSource, ModelSource
from tasks.animate.catalogue import RECIPES
from tasks.animate.recipe import Recipe, loaded_class
from tasks.animate.replay.call import Stock
from tasks.animate.replay.shell import buffer_names, shell
from tasks.animate.settings import Denoise, Stage
from tasks.networks.files import BYTES, builder, read_json, source_bytes
from tasks.networks.quiet import quiet
from tasks.weights import fetch as weights
from tasks.weights.memory import LOADED

MANY = 1 << 16
"""Numbers of a buffer that is too large to be one of the small ones pipelines read."""


def recipe_of(cfg: Stage) -> Recipe:
    return RECIPES[cfg.architecture]


def stock_of(recipe: Recipe) -> Stock:
    return Stock(
        loaded_class(recipe.pipeline), init=recipe.init, denoisers=recipe.denoisers, embeddings=recipe.embeddings
    )


def dtype_of(cfg: Stage, name: str) -> str:
    """Number format in which a part works."""
    return "float32" if name in recipe_of(cfg).precise else cfg.dtype


def sources(cfg: Stage) -> list[ModelSource]:
    """What an op needs on this machine, and what is in its key."""
    return list(cfg.sources.values())


def loaded(cfg: Stage, name: str, device: str) -> Any:
    """A part with its weights, kept for the next render of this process.

    Raises:
        UserError: files that are not such a model.
    """
    source = cfg.sources[name]
    dtype = dtype_of(cfg, name)
    key = f"{name} {weights.content_id(source)} {dtype} {device}"
    return LOADED.get(key, source_bytes(source, BYTES[dtype]), lambda: built(cfg, name))


def built(cfg: Stage, name: str) -> Any:
    """A part with its weights, kept by nobody but the caller."""
    source, folder = cfg.sources[name], part_folder(cfg, name)
    kind = loaded_class(recipe_of(cfg).classes[name])
    dtype = dtype_of(cfg, name)
    with quiet():
        if not hasattr(kind, "parameters"):  # a tokenizer, or what prepares pictures for an encoder
            return kind.from_pretrained(str(folder), local_files_only=True)
        LOADED.make_room(source_bytes(source, BYTES[dtype]))
        return builder(kind, folder, dtype, source)().eval().requires_grad_(False)


def shells(cfg: Stage, names: Sequence[str], device: str) -> dict[str, Any]:
    """Parts without weights; the small buffers that pipelines read of a codec come from its file, if that is given."""
    import torch

    found = {}
    for name in names:
        named = name if name in cfg.sources else f"{name}:config"
        folder = part_folder(cfg, named)
        kind = loaded_class(recipe_of(cfg).classes[name])
        config, dtype = read_json(folder / "config.json"), getattr(torch, dtype_of(cfg, name))
        empty = shell(kind, config, dtype=dtype, device=device)
        buffers = _buffers(folder, buffer_names(empty)) if name in cfg.sources else {}
        found[name] = shell(kind, config, dtype=dtype, device=device, buffers=buffers) if buffers else empty
    return found


def around(cfg: Stage, real: Mapping[str, Any], device: str, film: Denoise) -> dict[str, Any]:
    """All parts that the pipeline's call reads: those that work, as they are, shells of the others, the scheduler.

    Args:
        film: whose call it is.
    """
    recipe = recipe_of(cfg)
    others = [name for name in recipe.shells if name not in real]
    return {
        **shells(cfg, others, device),
        **{name: built(cfg, name) for name in recipe.processors},
        **recipe.further(film),
        **real,
        "scheduler": scheduler_of(cfg, film.scheduler_config),
    }


def _buffers(folder: Path, names: Sequence[str]) -> dict[str, Any]:
    """Small tensors of those names out of a part's safetensors files, which are not read otherwise."""
    from safetensors import safe_open

    found = {}
    for file in sorted(folder.glob("*.safetensors")):
        with safe_open(str(file), "pt") as tensors:
            for name in set(names) & set(tensors.keys()):
                if tensors.get_slice(name).get_shape() <= [MANY]:
                    found[name] = tensors.get_tensor(name)
    return found


def scheduler_of(cfg: Stage, changes: Mapping[str, Any] | None = None) -> Any:
    """The family's scheduler.

    Raises:
        UserError: of a class that this pipeline is not run with.
    """
    settings = read_json(part_folder(cfg, "scheduler") / "scheduler_config.json")
    return loaded_class(scheduler_class(recipe_of(cfg), settings)).from_config({**settings, **(changes or {})})


def scheduler_class(recipe: Recipe, settings: Mapping[str, Any]) -> str:
    """Raises: UserError: a scheduler of another class than this pipeline is run with."""
    if recipe.sampler:
        return recipe.sampler
    name = str(settings.get("_class_name"))
    if name not in recipe.schedulers:
        raise UserError(
            f"scheduler_config.json names {name}, which {recipe.name} is not run with",
            fix=f"a family with {' or '.join(recipe.schedulers)}",
        )
    return recipe.schedulers[name]


def part_folder(cfg: Stage, name: str) -> Path:
    """The folder of a part: inside the source's folder by its name, or that folder itself."""
    root = weights.path(cfg.sources[name])
    inner = root / name.partition(":")[0]
    return inner if inner.is_dir() else root


def codec_settings(cfg: Stage) -> dict[str, Any]:
    """What the file of the VAE's settings says."""
    name = "vae" if "vae" in cfg.sources else "vae:config"
    return read_json(part_folder(cfg, name) / "config.json")


def denoisers(cfg: Stage, device: str, storage: str, loras: Sequence[LoraSource]) -> dict[str, Any]:
    """The parts that the loop runs, as asked.

    Args:
        storage: ``float8``: weights wait in 8 bits and are made ``cfg.dtype`` where they work.
    """
    names = recipe_of(cfg).denoisers
    if storage == "same" and not loras:
        return {name: loaded(cfg, name, device) for name in names}
    found = {}
    for name in names:
        source = cfg.sources[name]
        own = [[weights.content_id(lora.source), lora.weight] for lora in loras]
        key = f"{name} {weights.content_id(source)} {cfg.dtype} {device} {storage} {own}"
        build = functools.partial(_changed, cfg, name, storage, loras)
        found[name] = LOADED.get(key, source_bytes(source, BYTES[cfg.dtype]), build)
    return found


def _changed(cfg: Stage, name: str, storage: str, loras: Sequence[LoraSource]) -> Any:
    import torch

    from tasks.animate.loras import apply

    model = built(cfg, name)
    if loras:
        apply(stock_of(recipe_of(cfg)), name, model, loras)
    if storage == "float8":
        model.enable_layerwise_casting(torch.float8_e4m3fn, getattr(torch, cfg.dtype))
    return model
