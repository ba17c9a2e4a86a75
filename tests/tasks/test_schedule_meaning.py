"""Pictures follow a prompt schedule: red top to blue top, a few frames by the embedded family, read by its probe."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import yaml

from benchmarks import renderer
from benchmarks import schedule_meaning as meaning
from benchmarks.runs import ROOT, SPRITE
from reel import op
from reel.clip import Clip, ClipWriter
from reel.compute import Compute
from reel.schedule.compile import PromptTrack
from reel.store import Store
from tasks.preprocess.pose_map import draw_poses
from tasks.sprite.clips import sampling_of
from tasks.sprite.poses import sized
from tasks.sprite.skeleton import random_clip
from tasks.sprite.spec import load as load_spec
from tasks.stylize.decode import decode
from tasks.stylize.denoise import denoise
from tasks.stylize.embed import embed_texts
from tasks.stylize.encode import encode

FRAMES, SEED = 8, 0
SIDE, HOW = load_spec(SPRITE).frame, sampling_of(SPRITE)


def clip(store: Store, kind: str, frames: list[np.ndarray]) -> str:
    with ClipWriter(store, kind, width=SIDE, height=SIDE, time_base=Fraction(1, 12)) as writer:
        for index, frame in enumerate(frames):
            writer.add(frame, index)
    return writer.digest


def rendered(store: Store, track: PromptTrack) -> np.ndarray:
    """(F, S, S, 3) of a dancer whom a drawn skeleton moves, by the four ops of the renderer."""
    model = yaml.safe_load((ROOT / "conf" / "model" / "sprite.yaml").read_text("utf-8"))
    given = {"strength": 1.0, "num_inference_steps": HOW.steps, "guidance_scale": HOW.guidance_scale, "seed": SEED}
    stages = renderer.stages(model, track, **given, controls={"pose": {"kind": "openpose", "weight": 1.0}})
    ctx = op.Context(store, Compute(device="cpu", threads=1))
    people = sized(random_clip(np.random.default_rng(SEED), FRAMES), SIDE)
    inputs = {
        "map_pose": clip(store, "map", [draw_poses([person], SIDE, SIDE) for person in people]),
        "latents": encode(
            stages.encode, {"frames": clip(store, "rgb", [np.full((SIDE, SIDE, 3), 128, np.uint8)] * FRAMES)}, ctx
        ),
        "embeddings": embed_texts(stages.embed, {}, ctx),
    }
    denoised = denoise(stages.denoise, inputs, ctx)
    return Clip.open(store, decode(stages.decode, {"latents": denoised}, ctx)).array()


@pytest.mark.slow
def test_red_becomes_blue_as_the_schedule_says(tmp_path: Path) -> None:
    for name, schedule in meaning.schedules(FRAMES).items():
        track = meaning.track(schedule, FRAMES)
        found = meaning.blueness(rendered(Store(tmp_path / name), track))
        weights = meaning.wanted(track)
        said, good = meaning.figures(name, found, weights)
        assert good, f"{said}: {found.round(2).tolist()}"
        assert not meaning.figures(name, 1 - found, weights)[1], "the other way round is no success"
