"""What cannot be rendered is refused before any model loads, by its setting and with what is allowed."""

from __future__ import annotations

from typing import Any

import pytest

from reel import op
from reel.compute import Compute
from reel.errors import UserError
from reel.store import Store
from tasks.stylize.denoise import denoise
from tasks.stylize.embed import embed_texts
from tasks.stylize.encode import encode
from tasks.stylize.job.preflight import check_clip
from tests.tasks.tiny_family import family_config
from tests.tasks.tiny_render import COUNT, SIDE, make_clip, render, stylized
from tests.tasks.tiny_settings import settings

pytestmark = pytest.mark.filterwarnings("ignore")


BAD: list[tuple[dict[str, Any], str]] = [
    (
        {"controls": {"pose": {"kind": "openpose", "weight": -0.5}}},
        r"controls\.pose\.weight: must be greater than or equal to 0",
    ),
    ({"controls": {"pose": {"kind": "openpose", "weight": float("nan")}}}, r"controls\.pose\.weight"),
    ({"controls": {"pose": {"kind": "openpoes"}}}, r"no ControlNet 'openpoes'; nearest: openpose"),
    (
        {"controls": {"pose": {"kind": "openpose", "control_guidance_start": 0.6, "control_guidance_end": 0.4}}},
        r"control_guidance_start \(0\.6\) must be below control_guidance_end \(0\.4\)",
    ),
    ({"strength": 0.2}, r"less than one step.*num_inference_steps >= 5"),
    ({"strength": 1.5}, r"strength: must be less than or equal to 1"),
    ({"prompt": "  "}, r"prompt: is empty"),
    ({"prompt": "a (red hat"}, r"prompt: '\(' at character 3 has no partner"),
    ({"negative_prompt": "one BREAK two"}, r"negative_prompt: BREAK"),
    ({"scheduler": "dimm"}, r"scheduler: must be 'ddim'"),
    ({"seed": -1}, r"seed"),
    ({"guidence_scale": 3}, r"unknown key 'stylize\.guidence_scale'; nearest: guidance_scale"),
    ({"windows": {"context_length": 4, "context_overlap": 4}}, r"context_overlap"),
    ({"strength_schedule": [0.5, 1.5]}, r"factors lie in 0\.\.1"),
    (
        {"controls": {"pose": {"kind": "openpose", "weight_schedule": [1, -1]}}},
        r"weight_schedule: value 1 .* is negative",
    ),
    ({"ip_adapter": {"picture": "x.png"}}, r"names no IP-Adapter weights"),
    (
        {"scheduler": "lcm", "num_inference_steps": 51},
        r"stylize\.num_inference_steps: 51 are over the 50 that scheduler lcm takes",
    ),
    ({"windows": {"context_length": 3}}, r"below context_length \(3\); try stylize\.windows\.context_overlap=0"),
    (
        {"windows": {"closed_loop": True}},
        r"closed_loop needs .* try stylize\.windows\.context_schedule=looped-uniform",
    ),
    (
        {"attention": "flash", "regions": {"hat": {"prompt": "a hat", "mask": {"region": "hair"}}}},
        r"cannot tell regions apart: use auto or math, on a card also efficient",
    ),
]


@pytest.mark.parametrize(
    ("changes", "message"), BAD, ids=[str(list(changes)) + str(i) for i, (changes, _) in enumerate(BAD)]
)
def test_bad_settings(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        settings(**changes)


def test_windows_longer_than_the_modules(world: Store) -> None:
    with pytest.raises(
        UserError, match=r"16 frames are over .*\(model tiny, its catalogue says 8\), and the clip has 9"
    ) as caught:
        check_clip(settings().denoise, SIDE, SIDE, 9)
    assert "windows.context_length=8" in str(caught.value.fix)


LOOP = {"context_schedule": "looped-uniform", "closed_loop": True}


@pytest.mark.parametrize(("length", "count"), [(8, 5), (16, 8), (6, 3)], ids=["short", "over the module", "overlap"])
def test_a_closed_loop_shorter_than_a_window_is_refused(length: int, count: int) -> None:
    """The middle one is over the motion module's window too, which is no matter for a clip that is not a loop."""
    with pytest.raises(UserError, match=rf"stylize\.windows\.closed_loop: a loop of {count} frames") as caught:
        check_clip(settings(windows={**LOOP, "context_length": length}).denoise, SIDE, SIDE, count)
    told = dict(one.split("=") for one in str(caught.value.fix).partition(",")[0].split())
    mended = {name.removeprefix("stylize.windows."): int(value) for name, value in told.items()}
    check_clip(settings(windows={**LOOP, **mended}).denoise, SIDE, SIDE, count)
    check_clip(settings(windows={"context_length": length}).denoise, SIDE, SIDE, count)


def test_a_closed_loop_is_never_given_up_silently(world: Store) -> None:
    with pytest.raises(UserError, match=r"stylize\.windows\.closed_loop: a loop of 3 frames"):
        render(world, count=3, windows=LOOP)


def test_the_modules_own_window_counts_when_the_catalogue_is_wrong(world: Store) -> None:
    model = {**family_config("tiny"), "motion_window": 99}
    with pytest.raises(UserError, match=r"16 frames are over .*\(its config\.json says 8\)"):
        render(world, count=9, model=model)


def test_size_not_a_multiple_names_the_nearest() -> None:
    with pytest.raises(UserError, match="sides must be multiples of 8 px: 36x36 -> 32x32"):
        check_clip(settings().denoise, 36, 36, 3)


def test_values_per_frame_must_be_as_many_as_frames() -> None:
    cfg = settings(controls={"pose": {"kind": "openpose", "weight_schedule": [1, 0]}})
    with pytest.raises(UserError, match=r"controls\.pose\.weight_schedule: 2 values for 3 frames"):
        check_clip(cfg.denoise, SIDE, SIDE, 3)


def test_map_of_another_length(world: Store) -> None:
    given = {"frames": make_clip(world, "rgb", 3, 0), "map_pose": make_clip(world, "map", 2, 1)}
    with pytest.raises(UserError, match=r"controls\.pose: map_pose has 2 frames of 32x32, the clip 3 of 32x32"):
        stylized(world, settings(), given)


def test_the_old_name_of_tiling_is_refused_with_the_new_ones():
    with pytest.raises(UserError, match=r"unknown key 'stylize.vae_tiling'; nearest: encode_tiling, decode_tiling"):
        settings(vae_tiling=True)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"strength_schedule": [1.0]}, "strength_schedule: 1 values for 5 frames"),
        ({"guidance_schedule": [1.0] * 6}, "guidance_schedule: 6 values"),
        ({"prompts": {"a": [0] * 5, "b": [1] * 5, "blend": [0.5] * 5}}, "text number 1 of 1"),
    ],
)
def test_what_does_not_fit_the_clip_is_refused_before_any_model_loads(world, change, message):
    ctx = op.Context(world, Compute(device="cpu", threads=1))
    stages = settings()
    inputs = {
        "latents": encode(stages.encode, {"frames": make_clip(world, "rgb", COUNT, 0)}, ctx),
        "embeddings": embed_texts(stages.embed, {}, ctx),
        "map_pose": make_clip(world, "map", COUNT, 1),
    }
    wrong = type(stages.denoise).model_validate({**stages.denoise.model_dump(), **change})
    with pytest.raises(UserError, match=message):
        denoise(wrong, inputs, ctx)
    with pytest.raises(UserError, match="needs the poses"):
        denoise(stages.denoise.model_copy(update={"composite": "keep_background"}), inputs, ctx)
    with pytest.raises(UserError, match="map_pose was not given"):
        denoise(stages.denoise, {k: v for k, v in inputs.items() if k != "map_pose"}, ctx)
