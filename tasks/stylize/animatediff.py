"""The `stylize` op: frames and control maps to animation, with an AnimateDiff family.

Every check that needs no model runs first. AnimateDiff: arXiv:2307.04725; ControlNet: arXiv:2302.05543.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from reel.clip import Clip, ClipWriter
from reel.errors import UserError
from reel.op import Context, op
from reel.prompt import plain
from tasks import weights
from tasks.stylize import load, memory
from tasks.stylize.device import check_device, resolve_device
from tasks.stylize.prompt_tokens import report_prompts
from tasks.stylize.settings import Animatediff, Control, canonical, live_controls, sources
from tasks.weights_memory import LOADED

__all__ = ["Animatediff", "Control", "animatediff", "canonical", "check_clip", "live_controls"]


@op(
    "stylize",
    "animatediff",
    version=1,
    config=Animatediff,
    inputs=("frames", "map_*"),
    distributions=(
        "diffusers",
        "torch",
        "transformers",
        "accelerate",
        "peft",
        "numpy",
        "pillow",
        "opencv-python-headless",
    ),
    models=sources,
    gives="frames",
)
def animatediff(cfg: Animatediff, inputs: Mapping[str, str], ctx: Context) -> str:
    """Render ``inputs["frames"]`` anew, guided by ``inputs["map_<control>"]`` (same size and length).

    Returns:
        Digest of a clip of kind ``rgb`` with the frames' size and times.

    Raises:
        UserError: settings, sizes or lengths that do not go together, models that cannot be had, memory that ran out.
    """
    cfg = canonical(cfg)
    clip = Clip.open(ctx.store, inputs["frames"])
    maps = {name: _map(ctx, inputs, name, clip) for name in cfg.controls}
    check_clip(cfg, clip.width, clip.height, len(clip))
    weights.fetch(sources(cfg))
    _check_window(cfg, len(clip), int(load.motion_settings(cfg)["motion_max_seq_length"]), "its config.json says")
    texts = {"prompt": plain(cfg.prompt), "negative_prompt": plain(cfg.negative_prompt)}
    reports = report_prompts(load.tokenizer_dir(cfg), texts)
    device = resolve_device(ctx.compute)
    check_device(device)
    started = time.perf_counter()
    frames = _render(cfg, clip, maps, replace(ctx, compute=ctx.compute.model_copy(update={"device": device})))
    steps = int(cfg.num_inference_steps * cfg.strength)
    ctx.note(
        device=device,
        render_seconds=round(time.perf_counter() - started, 2),
        steps=steps,
        prompt_tokens=reports["prompt"].tokens,
        **{f"{key}_unseen": report.beyond for key, report in reports.items() if report.beyond},
    )
    with ClipWriter(ctx.store, kind="rgb", like=clip) as writer:
        for frame in frames:
            writer.add(frame)
    return writer.digest


def check_clip(cfg: Animatediff, width: int, height: int, count: int) -> None:
    """Whether the family can render frames of this size and a clip of this length. Needs no files.

    Raises:
        UserError: naming the nearest size, or what to set for a long clip.
    """
    if cfg.model.architecture != "sd15":
        raise UserError(
            f"model {cfg.model.name} is an {cfg.model.architecture.upper()} family; stylize renders SD 1.5 families",
            fix="model=sd15, or another family marked sd15 in `rotoscope models`",
        )
    unit = cfg.model.multiple_of
    if width % unit or height % unit:
        near = f"{max(unit, width // unit * unit)}x{max(unit, height // unit * unit)}"
        raise UserError(
            f"model {cfg.model.name}: sides must be multiples of {unit} px: {width}x{height} -> {near}",
            fix=f"extract.multiple_of={unit}",
        )
    _check_window(cfg, count, cfg.model.motion_window, "its motion window is")


def _check_window(cfg: Animatediff, count: int, window: int, says: str) -> None:
    if cfg.free_noise is None and count > window:
        raise UserError(
            f"{count} frames are over the motion module's window: model {cfg.model.name}, {says} {window} frames",
            fix=f"stylize.free_noise.context_length={min(16, window)} (windows), or extract.max_frames={window}",
        )
    if cfg.free_noise is not None and cfg.free_noise.context_length > window:
        raise UserError(
            f"free_noise.context_length: {cfg.free_noise.context_length} is over the motion module's window, "
            f"{says} {window}",
            fix=f"stylize.free_noise.context_length={window}",
        )


def _map(ctx: Context, inputs: Mapping[str, str], name: str, clip: Clip) -> Clip:
    """The control's map, which must fit the frames."""
    if f"map_{name}" not in inputs:
        raise UserError(f"controls.{name}: no map was given for it", fix=f"set its weight to 0, or give map_{name}")
    found = Clip.open(ctx.store, inputs[f"map_{name}"])
    if (found.width, found.height, len(found)) != (clip.width, clip.height, len(clip)):
        raise UserError(
            f"controls.{name}: its map has {len(found)} frames of {found.width}x{found.height}, "
            f"the clip {len(clip)} of {clip.width}x{clip.height}",
            fix="make the maps from the same extracted frames",
        )
    return found


def _render(cfg: Animatediff, clip: Clip, maps: Mapping[str, Clip], ctx: Context) -> np.ndarray:
    """Render; when memory runs out, once more with every other loaded model freed."""
    from tasks.stylize.run import render

    live = live_controls(cfg.controls)
    tried: list[str] = []
    for attempt in (1, 2):
        try:
            return render(cfg, clip, maps, live, ctx)
        except (RuntimeError, MemoryError) as error:
            if not memory.is_out_of_memory(error):
                raise
        freed = LOADED.free(keep=frozenset([load.core_key(cfg, ctx.compute.device)])) if attempt == 1 else 0
        if freed == 0:
            break
        tried.append(f"freed {freed} other loaded models and started again")
    raise memory.explain(cfg, clip, ctx.compute, ctx.compute.device, tried)
