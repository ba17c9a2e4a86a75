"""Reference pictures over the frames: as IP-Adapter has one picture, with a picture and a weight for each frame."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from reel import op
from reel.canonical import canonical
from reel.clip import Clip
from reel.compute import Compute
from reel.config import parse
from reel.errors import UserError
from reel.store import Store
from tasks.stylize.blank import Blank
from tests.tasks.test_stylize_load import write_ip_adapter
from tests.tasks.tiny_family import family_config
from tests.tasks.tiny_render import ALONE, COUNT, SIDE, make_clip
from tests.tasks.tiny_settings import settings

pytestmark = pytest.mark.filterwarnings("ignore")
SAME = {"a": [0] * COUNT, "b": [0] * COUNT, "blend": [0.0] * COUNT}


@pytest.fixture(scope="module")
def model(families: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return {**family_config("tiny"), **write_ip_adapter(families, tmp_path_factory.mktemp("adapter"))}


def drawn(world: Store, model: dict[str, Any], pictures: str = "", **changes: Any) -> np.ndarray:
    stages = settings(**{"model": model, "strength": 1.0, "controls": {}, "seed": 3, **changes})
    ctx = op.Context(world, Compute(device="cpu", threads=1))
    size = parse(Blank, {"width": SIDE, "height": SIDE, "frames": COUNT, "fps": 8})
    given = {"latents": op.get("stylize", "blank").fn(size, {}, ctx)}
    given["embeddings"] = op.get("stylize", "embed").fn(stages.embed, {}, ctx)
    if pictures:
        given["ip_pictures"] = pictures
    denoised = op.get("stylize", "denoise").fn(stages.denoise, given, ctx)
    return (
        Clip.open(world, op.get("stylize", "decode").fn(stages.decode, {"latents": denoised}, ctx)).array().astype(int)
    )


@pytest.mark.parametrize("scale", [1.0, 4.0])
def test_one_picture_for_all_frames_is_what_ip_adapter_makes_of_it(world, model, tmp_path, scale):
    pictures = make_clip(world, "rgb", 1, 7)
    Image.fromarray(Clip.open(world, pictures).frame(0)).save(tmp_path / "look.png")
    one = {"picture": str(tmp_path / "look.png"), "weight": 0.8}
    expected = drawn(world, model, ip_adapter=one, guidance_scale=scale)
    found = drawn(world, model, pictures, picture_prompts={**SAME, "weight": [0.8] * COUNT}, guidance_scale=scale)
    assert np.abs(found - expected).max() <= 1
    plain = drawn(world, model, guidance_scale=scale)
    assert np.abs(plain - expected).max() > 4, "the picture must matter for this to mean anything"
    again = drawn(world, model, ip_adapter=one, guidance_scale=scale)
    assert (again == expected).all(), "the adapter's layers are as they were"


def test_each_frame_has_its_own_picture_and_weight(world, model):
    """Every frame for itself, so that nothing is carried over."""
    alone = {"windows": ALONE}
    pictures, other = make_clip(world, "rgb", 2, 7), make_clip(world, "rgb", 1, 7)
    mixed = {"a": [0, 0, 1, 0, 0], "b": [0, 0, 1, 1, 0], "blend": [0, 0, 0, 0.5, 0], "weight": [0.8, 0.8, 0.8, 0.8, 0]}
    found = drawn(world, model, pictures, picture_prompts=mixed, **alone)
    first = drawn(world, model, other, picture_prompts={**SAME, "weight": [0.8] * COUNT}, **alone)
    plain = drawn(world, model, **alone)
    change = np.abs(found - first).reshape(COUNT, -1).max(axis=1)
    assert (change[:2] == 0).all()
    assert change[2] > change[3] > 0, "half of another picture is nearer than all of it"
    assert (found[4] == plain[4]).all(), "no weight, no picture"


def test_it_is_in_no_key_where_it_is_not_used(model):
    assert "picture_prompts" not in canonical(settings(model=model).denoise)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"picture_prompts": {**SAME, "weight": [1.0]}}, "must be equally long"),
        ({"picture_prompts": {**SAME, "weight": [3.0] * COUNT}}, r"weight in 0\.\.2"),
        ({"picture_prompts": {**SAME, "a": [-1] * COUNT, "weight": [1.0] * COUNT}}, "pictures count from 0"),
        ({"picture_prompts": {**SAME, "a": [5] * COUNT, "weight": [1.0] * COUNT}}, "picture number 5 of 1"),
    ],
)
def test_what_is_refused(world, model, change, said):
    with pytest.raises(UserError, match=said):
        drawn(world, model, make_clip(world, "rgb", 1, 7), **change)


def test_a_family_without_an_adapter_is_named(world):
    with pytest.raises(UserError, match="model tiny names no IP-Adapter weights"):
        drawn(world, family_config("tiny"), picture_prompts={**SAME, "weight": [1.0] * COUNT})
