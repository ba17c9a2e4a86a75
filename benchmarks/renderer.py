"""The renderer without a flow: its four ops' settings from one flat set of keys, for benchmarks and tests."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reel.compute import Compute
from reel.config import parse
from reel.models.animatediff import AnimateDiff
from reel.schedule.compile import PromptTrack
from tasks.stylize.settings.controls import ControlSettings
from tasks.stylize.settings.reference import PicturePrompts
from tasks.stylize.settings.regions import Region
from tasks.stylize.settings.sampling import Sampling
from tasks.stylize.settings.sparse import Sparse
from tasks.stylize.settings.split import Stages, split

PLAIN = {"device": "cpu", "dtype": "float32", "memory_format": "contiguous"}
"""The same on every machine."""


def stages(model: Mapping[str, Any], track: PromptTrack | None = None, **given: Any) -> Stages:
    """Settings of encode, embed, denoise and decode.

    Args:
        model: a family, as conf/model/ has it.
        track: prompts over the frames, instead of ``prompt``.
        given: settings of `stylize`, of `compute` and of the render: ``prompt``, ``negative_prompt``, ``seed``,
            ``controls`` (a list as ``weight_schedule``), ``sparse``, ``picture_prompts``, ``regions``,
            ``strength_schedule``, ``guidance_schedule``, ``from_noise``.

    Raises:
        UserError: settings that cannot be, or do not go together.
    """
    schedules = {name: given.pop(name, None) for name in ("strength_schedule", "guidance_schedule")}
    per_frame = {name: values for name, values in schedules.items() if values is not None}
    controls = {}
    for name, one in given.pop("controls", {}).items():
        own = dict(one)
        if (weights := own.pop("weight_schedule", None)) is not None:
            per_frame[f"controls.{name}.weight_schedule"] = weights
        controls[name] = parse(ControlSettings, own, f"controls.{name}")
    regions = {name: parse(Region, one, f"regions.{name}") for name, one in given.pop("regions", {}).items()}
    sparse = {name: parse(Sparse, one, f"sparse.{name}") for name, one in given.pop("sparse", {}).items()}
    pictured, from_noise = given.pop("picture_prompts", None), given.pop("from_noise", False)
    compute = {name: given.pop(name) for name in Compute.model_fields if name in given}
    words = {name: given.pop(name) for name in ("prompt", "negative_prompt", "seed") if name in given}
    return split(
        parse(Sampling, given, "stylize"),
        parse(AnimateDiff, model, "model"),
        parse(Compute, {**PLAIN, **compute}, "compute"),
        **{"prompt": "", **words},
        track=track,
        controls=controls,
        sparse=sparse,
        picture_prompts=pictured and parse(PicturePrompts, pictured, "picture_prompts"),
        regions=regions,
        per_frame=per_frame,
        from_noise=from_noise,
    )
