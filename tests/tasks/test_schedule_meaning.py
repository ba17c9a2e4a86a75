"""Pictures follow a prompt schedule: red top to blue top, a few frames by the embedded family, read by its probe."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import yaml

from benchmarks import renderer
from benchmarks import schedule_meaning as meaning
from benchmarks.runs import ROOT
from reel import op
from reel.clip import Clip, ClipWriter
from reel.compute import Compute
from reel.schedule.compile import PromptTrack
from reel.store import Store
from tasks.preprocess.pose_map import draw_poses
from tasks.sprite.skeleton import FRAME, random_clip
from tasks.stylize.decode import decode
from tasks.stylize.denoise import denoise
from tasks.stylize.embed import embed_texts
from tasks.stylize.encode import encode

FRAMES, STEPS, SEED = 8, 6, 0


def clip(store: Store, kind: str, frames: list[np.ndarray]) -> str:
    with ClipWriter(store, kind, width=FRAME, height=FRAME, time_base=Fraction(1, 12)) as writer:
        for index, frame in enumerate(frames):
            writer.add(frame, index)
    return writer.digest


def rendered(store: Store, track: PromptTrack) -> np.ndarray:
    """(F, 128, 128, 3) of a dancer whom a drawn skeleton moves, by the four ops of the renderer."""
    model = yaml.safe_load((ROOT / "conf" / "model" / "sprite.yaml").read_text("utf-8"))
    given = {"strength": 1.0, "num_inference_steps": STEPS, "guidance_scale": 4.0, "seed": SEED}
    stages = renderer.stages(model, track, **given, controls={"pose": {"kind": "openpose", "weight": 1.0}})
    ctx = op.Context(store, Compute(device="cpu", threads=1))
    people = random_clip(np.random.default_rng(SEED), FRAMES)
    inputs = {
        "map_pose": clip(store, "map", [draw_poses([person], FRAME, FRAME) for person in people]),
        "latents": encode(
            stages.encode, {"frames": clip(store, "rgb", [np.full((FRAME, FRAME, 3), 128, np.uint8)] * FRAMES)}, ctx
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
