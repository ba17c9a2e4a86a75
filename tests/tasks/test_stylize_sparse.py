"""SparseCtrl in the renderer: as the stock pipeline draws it, its strength per frame, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from reel import op
from reel.canonical import canonical
from reel.clip import Clip
from reel.compute import Compute
from reel.config import parse
from reel.errors import UserError
from reel.store import Store
from tasks.stylize.blank import Blank
from tasks.stylize.engine.sparse import strengths
from tasks.stylize.job.preflight import check_clip, check_denoise
from tasks.stylize.settings.split import Stages
from tests.tasks import stock
from tests.tasks.tiny_family import family_config, write_sparsectrl
from tests.tasks.tiny_render import COUNT, SIDE, make_clip
from tests.tasks.tiny_settings import settings

pytestmark = pytest.mark.filterwarnings("ignore")
ENDS = [0, COUNT - 1]


@pytest.fixture(scope="module")
def sparsectrls(families: Path) -> dict[str, Any]:
    """The toy family's nets: `rgb` reads latents and `scribble` pixels, as published ones do; `short` sees 4 frames."""
    for kind, latents, window in (("rgb", True, 8), ("scribble", False, 8), ("short", True, 4)):
        write_sparsectrl(families / f"sparse_{kind}", window, latents)
    return {
        **{kind: {"kind": "embedded", "id": f"sparse_{kind}"} for kind in ("rgb", "scribble", "short")},
        "wrong": {"kind": "embedded", "id": "tiny", "subfolder": "controlnet_openpose"},
    }


def held(sparsectrls: dict[str, Any], kind: str = "scribble", at: list[int] = ENDS, **changes: Any) -> Stages:
    sparse = {"ends": {"kind": kind, "at": at, "strength": [0.8] * COUNT}}
    model = {**family_config("tiny"), "sparsectrls": sparsectrls}
    base = {"strength": 1.0, "controls": {}, "negative_prompt": "blurred", "seed": 3, "sparse": sparse}
    return settings(**{"model": model, **base, **changes})


def drawn(world: Store, stages: Stages, pictures: str = "") -> np.ndarray:
    ctx = op.Context(world, Compute(device="cpu", threads=1))
    size = parse(Blank, {"width": SIDE, "height": SIDE, "frames": COUNT, "fps": 8})
    given = {"latents": op.get("stylize", "blank").fn(size, {}, ctx)}
    given["embeddings"] = op.get("stylize", "embed").fn(stages.embed, {}, ctx)
    if pictures:
        given["sparse_ends"] = pictures
    denoised = op.get("stylize", "denoise").fn(stages.denoise, given, ctx)
    return Clip.open(world, op.get("stylize", "decode").fn(stages.decode, {"latents": denoised}, ctx)).array()


def test_the_same_pictures_as_the_stock_sparsectrl_pipeline(world, sparsectrls):
    from diffusers import AnimateDiffSparseControlNetPipeline, SparseControlNetModel
    from PIL import Image

    stages, pictures = held(sparsectrls), make_clip(world, "map", 2, 5)
    net = SparseControlNetModel.from_pretrained(Path(stock.weights.path(stages.denoise.model.sparsectrls["scribble"])))
    pipe = AnimateDiffSparseControlNetPipeline(**stock.pipeline(stages).components, controlnet=net)
    pipe.set_progress_bar_config(disable=True)
    ((prompt, negative),) = stages.embed.texts
    expected = pipe(
        prompt=prompt,
        negative_prompt=negative,
        conditioning_frames=[Image.fromarray(one) for one in Clip.open(world, pictures).array()],
        controlnet_frame_indices=ENDS,
        controlnet_conditioning_scale=0.8,
        num_frames=COUNT,
        height=SIDE,
        width=SIDE,
        num_inference_steps=stages.denoise.num_inference_steps,
        guidance_scale=float(stages.denoise.guidance_scale),
        generator=torch.Generator("cpu").manual_seed(3),
        output_type="np",
    ).frames[0]
    found = drawn(world, stages, pictures)
    difference = np.abs(found.astype(int) - (expected * 255).round().astype(int))
    assert difference.max() <= 1, "rounding may differ by one step of 255, nothing else"
    plain = drawn(world, held(sparsectrls, sparse={}))
    assert np.abs(found.astype(int) - plain.astype(int)).max() > 8, "the pictures must matter for this to mean anything"


def test_a_net_that_reads_latents_gets_what_the_vae_makes_of_the_pictures(world, sparsectrls):
    stages, ctx = held(sparsectrls, "rgb"), op.Context(world, Compute(device="cpu", threads=1))
    encode = op.get("stylize", "encode").fn
    one, other = (encode(stages.encode, {"frames": make_clip(world, "rgb", 2, seed)}, ctx) for seed in (5, 6))
    assert np.abs(drawn(world, stages, one).astype(int) - drawn(world, stages, other)).max() > 0
    with pytest.raises(UserError, match=r"sparse\.ends: its SparseCtrl reads pictures of 4 channels, these have 3"):
        drawn(world, stages, make_clip(world, "rgb", 2, 5))


def test_frames_of_strength_0_are_as_if_there_were_no_picture(world, sparsectrls):
    """Every frame for itself, so that no motion module of the UNet carries anything over."""
    alone = {"windows": {"context_length": 1, "context_overlap": 0}}
    half = {"ends": {"kind": "scribble", "at": [0, 1], "strength": [0.8, 0.8, 0, 0, 0]}}
    found = drawn(world, held(sparsectrls, sparse=half, **alone), make_clip(world, "map", 2, 5)).astype(int)
    plain = drawn(world, held(sparsectrls, sparse={}, **alone)).astype(int)
    change = np.abs(found - plain).reshape(COUNT, -1).max(axis=1)
    assert (change[:2] > 4).all()
    assert (change[2:] == 0).all()


def test_a_render_without_sparsectrl_has_the_key_it_always_had(sparsectrls):
    plain = canonical(held(sparsectrls, sparse={}).denoise)
    assert "sparse" not in plain
    assert "sparsectrls" not in plain["model"]
    used = canonical(held(sparsectrls).denoise)
    assert list(used["model"]["sparsectrls"]) == ["scribble"]
    assert [source.id for source in op.get("stylize", "denoise").models(held(sparsectrls).denoise)][-1:] == [
        "sparse_scribble"
    ]


@pytest.mark.parametrize(
    ("at", "own", "closed", "expected"),
    [
        ([0, 2], [1.0, 0.5], False, [1, 0.75, 0.5, 0.5]),
        ([0, 2], [1.0, 0.5], True, [1, 0.75, 0.5, 0.75]),
        ([1], [0.6], True, [0.6] * 4),
        ([1, 3], [1.0, 0.0], True, [0.5, 1, 0.5, 0]),
    ],
)
def test_strength_between_pictures_lies_on_a_line_and_a_loop_has_one_over_its_joint(at, own, closed, expected):
    assert strengths(at, own, 4, closed=closed).tolist() == pytest.approx(expected)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"kind": "rgbb"}, r"model tiny has no SparseCtrl 'rgbb'.*rgb"),
        ({"at": [3, 1]}, r"at: frames from 0 on, ascending"),
        ({"at": [-1]}, r"at: frames from 0 on, ascending"),
        ({"strength": [0.0] * COUNT}, r"one of them above 0"),
    ],
)
def test_what_is_refused_by_the_settings(sparsectrls, change, said):
    with pytest.raises(UserError, match=said):
        held(sparsectrls, sparse={"ends": {"kind": "rgb", "at": ENDS, "strength": [1.0] * COUNT, **change}})


def test_what_is_refused_before_any_model_loads(world, sparsectrls):
    with pytest.raises(UserError, match=r"sparse\.ends\.at: frame 9 of 5"):
        check_clip(held(sparsectrls, at=[0, 9]).denoise, SIDE, SIDE, COUNT)
    with pytest.raises(UserError, match=r"model\.sparsectrls\.wrong: .* is a ControlNetModel"):
        check_denoise(held(sparsectrls, "wrong").denoise)
    with pytest.raises(UserError, match=r"sparse_ends was not given"):
        drawn(world, held(sparsectrls))
    with pytest.raises(UserError, match=r"3 pictures of 32x32, 2 of 32x32 are needed"):
        drawn(world, held(sparsectrls), make_clip(world, "map", 3, 5))
    with pytest.raises(UserError, match=r"5 frames are over the 4 that .* sees at a time"):
        check_denoise(held(sparsectrls, "short").denoise)
