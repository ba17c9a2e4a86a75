"""The words of facts, and the setting that each is in, flow by flow; what is more than a value is in `settle`."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from reel.imports.draft import Refused, flag, number, seed, side, text, whole

Read = Callable[[Any], tuple[Any, str]]


@dataclass(frozen=True)
class Place:
    """The setting that a fact is in, and how its value is read."""

    key: str
    read: Read = text


def _skip(value: Any) -> tuple[Any, str]:
    """Their 1 leaves no layer of the text encoder out."""
    layers = whole(value)[0]
    return (layers - 1 if layers > 1 else None), ""


def _rate(value: Any) -> tuple[Any, str]:
    """Frames a second, or ``source``: every frame of the clip."""
    return (value, "") if value == "source" else number(value)


def _fuse(value: Any) -> tuple[Any, str]:
    names = {"pyramid": "pyramid", "flat": "flat", "overlap-linear": "overlap-linear"}
    if value in names:
        return value, ""
    return "pyramid", f"there is no fuse_method {value} here; pyramid is near"


def _filter(value: Any) -> tuple[Any, str]:
    if value in ("butterworth", "gaussian", "ideal"):
        return value, ""
    raise Refused(f"there is no filter {value}: butterworth, gaussian or ideal")


def _noise(value: Any) -> tuple[Any, str]:
    if value in ("default", "constant"):
        return value, ""
    raise Refused(f"there is no noise_type {value}: default or constant")


def _schedule_of_windows(value: Any) -> tuple[Any, str]:
    if value in ("standard-static", "standard-uniform", "looped-uniform"):
        return value, ""
    if value in ("uniform", "composite"):  # of prompt travel and of older nodes
        return "looped-uniform", "" if value == "uniform" else "composite is uniform here"
    raise Refused(f"there are no context windows of kind {value} here")


VACE_RATE = 16
"""Frames a second that VACE was trained at."""


def _vace_rate(value: Any) -> tuple[Any, str]:
    if number(value)[0] != VACE_RATE:
        raise Refused(f"it was trained at {VACE_RATE} frames a second, and is told no other rate")
    return VACE_RATE, ""


_FORMATS = {
    **{"mp4": "mp4", "h264": "mp4", "auto": "mp4", "gif": "gif", "webp": "webp", "webm": "webm", "vp9": "webm"},
    **{"png": "png", "prores": "prores", "ffv1": "ffv1"},
}


def _format(value: Any) -> tuple[Any, str]:
    word = str(value).lower()
    found = next((ours for theirs, ours in _FORMATS.items() if theirs in word), None)
    if found is None:
        raise Refused(f"{value} is not written here: mp4, prores, ffv1, webm, gif, webp or png")
    near = {"h265": "mp4", "hevc": "mp4"}.get(word.partition("/")[2].partition("-")[0])
    return near or found, f"{value} is written as {found}" if near else ""


_FINISHED: dict[str, Place] = {
    "format": Place("assemble.format", _format),
    "crf": Place("assemble.crf", whole),
    "name": Place("name"),
}
_ANIMATEDIFF: dict[str, Place] = {
    **_FINISHED,
    "prompt": Place("prompt"),
    "negative": Place("negative_prompt"),
    "seed": Place("seed", seed),
    "steps": Place("stylize.num_inference_steps", whole),
    "cfg": Place("stylize.guidance_scale", number),
    "clip_skip": Place("stylize.clip_skip", _skip),
    "windows.length": Place("stylize.windows.context_length", whole),
    "windows.overlap": Place("stylize.windows.context_overlap", whole),
    "windows.stride": Place("stylize.windows.context_stride", whole),
    "windows.schedule": Place("stylize.windows.context_schedule", _schedule_of_windows),
    "windows.fuse": Place("stylize.windows.fuse_method", _fuse),
    "windows.closed_loop": Place("stylize.windows.closed_loop", flag),
    "noise": Place("stylize.noise_type", _noise),
    "free_init.iterations": Place("stylize.free_init.iterations", whole),
    "free_init.method": Place("stylize.free_init.method", _filter),
    "free_init.order": Place("stylize.free_init.order", whole),
    "free_init.spatial": Place("stylize.free_init.spatial_stop_frequency", number),
    "free_init.temporal": Place("stylize.free_init.temporal_stop_frequency", number),
}
PLACES: dict[str, dict[str, Place]] = {
    "text2video": {
        **_ANIMATEDIFF,
        "frames": Place("frames", whole),
        "fps": Place("fps", number),
        "width": Place("width", side(8)),
        "height": Place("height", side(8)),
    },
    "dance": {
        **_ANIMATEDIFF,
        "strength": Place("stylize.strength", number),
        "frames": Place("extract.max_frames", whole),
        "fps": Place("extract.fps", _rate),
        "start": Place("extract.start", number),
        "width": Place("extract.width", side(8)),
        "height": Place("extract.height", side(8)),
    },
    "vace": {
        **_FINISHED,
        "prompt": Place("prompt"),
        "negative": Place("negative_prompt"),
        "seed": Place("seed", functools.partial(seed, bits=62)),
        "steps": Place("stylize.num_inference_steps", whole),
        "cfg": Place("stylize.guidance_scale", number),
        "shift": Place("stylize.flow_shift", number),
        "frames": Place("extract.max_frames", whole),
        "fps": Place("extract.fps", _vace_rate),
        "start": Place("extract.start", number),
        "width": Place("extract.width", side(16)),
        "height": Place("extract.height", side(16)),
    },
    "animate": {
        **_FINISHED,
        "prompt": Place("prompt"),
        "negative": Place("negative_prompt"),
        "seed": Place("seed", seed),
        "frames": Place("frames", whole),
        "fps": Place("fps", number),
        "width": Place("width", side(16)),
        "height": Place("height", side(16)),
        "steps": Place("animate.num_inference_steps", whole),
        "cfg": Place("animate.guidance_scale", number),
        "start_strength": Place("strength", number),
        "last_strength": Place("last_strength", number),
        "extra_frames": Place("animate.extra_frames", whole),
    },
}
"""Key of each fact in each flow, and in each renderer that has settings of its own (`Draft.takes`)."""
WHY = {
    "strength": "`{flow}` begins from noise alone",
    "start": "`{flow}` has no source",
    "clip": "`{flow}` takes no clip",
    "picture": "`{flow}` takes no first picture",
    "last": "`{flow}` takes no last picture",
    "sampler": "the model's own scheduler is used",
    "spacing": "the model's own scheduler is used",
    "motion": "`{flow}` has no motion modules",
    "vae": "the model's own VAE is used",
    "shift": "the family's own shift of its times",
    "reference": "`{flow}` takes no pictures of the character",
    "reference_film": "a picture stands for the character, and no film",
    "clip_skip": "`{flow}` reads the whole text encoder",
}
"""Why a flow has no place for a fact, where that is not plain."""
