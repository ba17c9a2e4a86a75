"""Settings of a render with the toy family."""

from __future__ import annotations

from typing import Any

from benchmarks.renderer import stages
from reel.schedule.compile import PromptTrack
from tasks.stylize.settings.split import Stages
from tests.tasks.tiny_family import family_config


def settings(track: PromptTrack | None = None, **changes: Any) -> Stages:
    """What is not named is at its default, with the skeleton as the one control; see `benchmarks.renderer.stages`."""
    base = {"prompt": "a dancer", "num_inference_steps": 4, "controls": {"pose": {"kind": "openpose"}}}
    given = {"model": family_config("tiny"), **base, **changes}
    return stages(given.pop("model"), track, **given)


def engine_settings(track: PromptTrack | None = None, **changes: Any) -> Stages:
    """`settings` of a render with a negative prompt and a control below its full weight."""
    base = {"negative_prompt": "blurred", "seed": 3, "controls": {"pose": {"kind": "openpose", "weight": 0.8}}}
    return settings(track, **{**base, **changes})
