"""The op `keyframe.draw`: words, and reference pictures, to a picture, by one call of a stock pipeline of diffusers."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reel.clip import Clip, ClipWriter
from reel.errors import UserError
from reel.models.source import ModelSource
from reel.op import Context, op
from reel.work import Extent, Work, choices, of_clip
from tasks.keyframe.catalogue import RECIPES
from tasks.keyframe.ip_adapter import adapt, eyes
from tasks.keyframe.settings import Draw
from tasks.networks.files import BYTES, builder, read_json, source_bytes
from tasks.networks.kernels import use_kernels
from tasks.networks.offload import layer_by_layer
from tasks.networks.quiet import quiet
from tasks.networks.retry import retry_offloaded
from tasks.networks.work import LIBRARIES, set_up
from tasks.weights import fetch as weights
from tasks.weights.memory import LOADED

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image

    from tasks.keyframe.recipe import Recipe

FIX = "a smaller size, compute.offload=model or sequential, or a smaller family (rotoscope models)"
"""What helps when a painter needs too much memory."""


def sources(cfg: Draw) -> list[ModelSource]:
    """What the op needs on this machine, and what is in its key."""
    return list(cfg.sources.values())


def _work(cfg: Draw, given: Mapping[str, Extent], ctx: Context) -> Work:
    width, height = cfg.at
    steps = cfg.num_inference_steps * width * height / 2**20
    picture = Extent(1, cfg.width, cfg.height)
    return Work({**of_clip(picture).amounts, "steps": steps}, choices(cfg), picture)


@op(
    "keyframe",
    "draw",
    version=1,
    config=Draw,
    inputs=("reference_*",),
    distributions=LIBRARIES,
    models=sources,
    gives="frames",
    work=_work,
)
def draw(cfg: Draw, inputs: Mapping[str, str], ctx: Context) -> str:
    """A picture of one frame; the same seed draws the same noise on every device.

    Inputs: ``reference_<n>``, clips of one frame each, for families that take some.

    Returns:
        digest of a clip of kind ``rgb``.

    Raises:
        UserError: a prompt of more tokens than the family reads, files that are not such a model, no numbers.
    """
    device = set_up(ctx, sources(cfg))
    recipe = RECIPES[cfg.architecture]
    _check_length(cfg, recipe, ctx)
    clips = [Clip.open(ctx.store, inputs[f"reference_{number}"]) for number in range(len(inputs))]
    references = [_picture(clip.array()[0]) for clip in clips]

    def attempt(offload: str) -> np.ndarray:
        return painted(cfg, recipe, references, device, offload)

    picture = smaller(eight_bit(retry_offloaded(attempt, device, ctx, FIX)), cfg.width, cfg.height)
    ctx.note(device=device, consistency=cfg.consistency(len(references)))
    with ClipWriter(ctx.store, "rgb", width=cfg.width, height=cfg.height, time_base=Fraction(1, 25)) as writer:
        writer.add(picture, 0)
    return writer.digest


def painted(cfg: Draw, recipe: Recipe, references: Sequence[Image.Image], device: str, offload: str) -> np.ndarray:
    """The picture ``(H, W, 3)`` from 0 to 1, as the stock pipeline gives it."""
    import numpy as np
    import torch

    parts = {name: part(cfg, recipe.classes[name], name) for name in recipe.classes}
    if cfg.reference_scale is not None:
        parts |= eyes(part(cfg, "transformers:CLIPVisionModelWithProjection", "image_encoder"))
    with quiet():
        pipe = assembled(recipe, {**parts, "scheduler": scheduler(cfg)})
        if cfg.reference_scale is not None:
            adapt(pipe, cfg.sources, cfg.reference_scale)
        networks = [one for one in parts.values() if hasattr(one, "parameters")]
        denoisers = [one for name, one in parts.items() if name in ("unet", "transformer")]
        with placed(pipe, networks, device, offload), use_kernels(denoisers, cfg.attention, False), torch.no_grad():
            generator = torch.Generator("cpu").manual_seed(cfg.seed)
            width, height = cfg.at
            sized = cfg.model_copy(update={"width": width, "height": height})
            found = pipe(**recipe.arguments(sized, references), generator=generator, output_type="np")
    return np.asarray(found.images[0])


def smaller(picture: np.ndarray, width: int, height: int) -> np.ndarray:
    """A picture ``(H, W, 3)`` uint8 at a size, px; as it is, if it has that."""
    import numpy as np
    from PIL import Image

    if picture.shape[:2] == (height, width):
        return picture
    return np.asarray(Image.fromarray(picture).resize((width, height), Image.Resampling.LANCZOS))


def assembled(recipe: Recipe, parts: Mapping[str, Any]) -> Any:
    """The stock pipeline of these parts; those that are not given are None."""
    import inspect

    kind = named(recipe.pipeline)
    taken = inspect.signature(kind.__init__).parameters
    absent = {name: None for name in taken if name != "self" and taken[name].default is inspect.Parameter.empty}
    pipe = kind(**{**absent, **parts, **recipe.init})
    pipe.set_progress_bar_config(disable=True)
    return pipe


@contextmanager
def placed(pipe: Any, networks: Sequence[Any], device: str, offload: str) -> Iterator[None]:
    """The pipeline's networks on the device: all of them, the one that works, or layer by layer."""
    if device == "cpu" or offload == "none":
        for one in networks:
            one.to(device)
        yield
        return
    if offload != "model":
        with layer_by_layer(networks, device, ahead=offload == "group"):
            yield
        return
    pipe.enable_model_cpu_offload(device=device)
    try:
        yield
    finally:
        pipe.remove_all_hooks()


def part(cfg: Draw, class_name: str, name: str) -> Any:
    """A part as its files hold it, kept for the next picture of this process: a UNet with an IP-Adapter for itself."""
    source, kind = cfg.sources[name], named(class_name)
    folder = part_folder(source, name)
    if not hasattr(kind, "forward"):  # a tokenizer
        with quiet():
            return kind.from_pretrained(str(folder), local_files_only=True)
    adapter = cfg.sources.get("ip_adapter") if name == "unet" else None
    on_it = "" if adapter is None else f" with {weights.content_id(adapter)}"
    key = f"{name} {weights.content_id(source)} {cfg.dtype}{on_it}"
    return LOADED.get(
        key,
        source_bytes(source, BYTES[cfg.dtype]),
        lambda: builder(kind, folder, cfg.dtype, source)().eval().requires_grad_(False),
    )


def scheduler(cfg: Draw) -> Any:
    """The family's scheduler, with its changes.

    Raises:
        UserError: its file names no scheduler of diffusers.
    """
    import diffusers

    source = cfg.sources["scheduler"]
    settings = read_json(part_folder(source, "scheduler") / "scheduler_config.json")
    name = str(settings.get("_class_name"))
    if not name.endswith("Scheduler") or not hasattr(diffusers, name):
        raise UserError(f"{source.label}: scheduler_config.json names {name}, which diffusers does not know")
    return getattr(diffusers, name).from_config({**settings, **cfg.scheduler_config})


def part_folder(source: ModelSource, name: str) -> Path:
    """The folder of a part: inside the source's folder by its name, or that folder itself."""
    root = weights.path(source)
    return root / name if (root / name).is_dir() else root


def _picture(pixels: np.ndarray) -> Image.Image:
    from PIL import Image

    return Image.fromarray(pixels)


def _check_length(cfg: Draw, recipe: Recipe, ctx: Context) -> None:
    """A prompt in tokens, before any network is loaded: pipelines cut off what is longer, with a line in their log."""
    first = recipe.tokenizers[0]
    tokenizer = part(cfg, recipe.classes[first], first)
    count = len(tokenizer(cfg.prompt).input_ids)
    ctx.note(prompt_tokens=count)
    if count > cfg.max_tokens:
        raise UserError(
            f"prompt: {count} tokens, {cfg.max_tokens} are the most that the key picture's model reads: "
            f"{cfg.prompt[:80]!r}",
            fix="fewer words in the shot's prompt, the style, or the characters' words",
        )


def eight_bit(picture: np.ndarray) -> np.ndarray:
    """A picture ``(H, W, 3)`` from 0 to 1 as uint8, by diffusers' own rule.

    Raises:
        UserError: not all of it are numbers.
    """
    import numpy as np

    if not np.isfinite(picture).all():
        raise UserError("the key picture's VAE gave pixels that are not numbers", fix="compute.dtype=bfloat16")
    return np.asarray((picture * 255).round().astype(np.uint8))


def named(name: str) -> Any:
    """The class that ``module:Class`` names."""
    module, _, attribute = name.partition(":")
    return getattr(importlib.import_module(module), attribute)
