"""What does not go with a family's files is refused before any model loads, by its setting and with what is allowed."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from reel.errors import UserError
from reel.store import Store
from tasks.stylize.job import preflight
from tasks.weights.memory import LOADED
from tests.tasks.tiny_family import LIMIT, family_config
from tests.tasks.tiny_render import SIDE
from tests.tasks.tiny_settings import settings

pytestmark = pytest.mark.filterwarnings("ignore")
LONG = "abcdefgh" * 60
LAYERS, RESIDUALS = 3, 5
"""The toy family's: layers of the text encoder, residuals of a ControlNet."""


@pytest.fixture(autouse=True)
def no_models(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever loads a model fails the test."""
    monkeypatch.setattr(LOADED, "get", lambda *_: pytest.fail("a model was loaded"))


def checked(**changes: Any) -> None:
    stages = settings(**changes)
    preflight.check_clip(stages.denoise, SIDE, SIDE, 3)
    preflight.check_models(stages)


def pose(**changes: Any) -> dict[str, Any]:
    return {"pose": {"kind": "openpose", **changes}}


REGION = {"hat": {"prompt": LONG, "mask": {"region": "hair"}}}
BAD: list[tuple[dict[str, Any], str, str]] = [
    ({"clip_skip": 3}, "stylize.clip_skip: 3 of the text encoder's 3 layers", "stylize.clip_skip=2"),
    (
        {"controls": pose(layer_weights=[1, 1])},
        "controls.pose.layer_weights: 2 values, its ControlNet has 5",
        "5 values",
    ),
    ({"scheduler": "heun"}, "stylize.scheduler: heun does not know the model's rescale_betas_zero_snr", "ddim"),
    (
        {"prompt": LONG},
        "prompt: the text 'abcdefghabcdefghabcdefghabcdefghabcdefgh'... takes 22 pieces",
        "shorten prompt",
    ),
    ({"negative_prompt": LONG}, "negative_prompt: the text", "shorten negative_prompt"),
    ({"regions": REGION}, "regions.hat.prompt: the text", "shorten regions.hat.prompt"),
]


@pytest.mark.parametrize(("changes", "says", "fix"), BAD, ids=[str(list(bad[0])) for bad in BAD])
def test_refused(world: Store, changes: dict[str, Any], says: str, fix: str) -> None:
    with pytest.raises(UserError, match=re.escape(says)) as caught:
        checked(**changes)
    assert fix in str(caught.value.fix)


def test_the_largest_that_go(world: Store) -> None:
    checked(clip_skip=LAYERS - 1, controls=pose(layer_weights=[1] * RESIDUALS), scheduler="euler")
    checked(prompt="a" * 16 * (LIMIT - 2))
    checked(negative_prompt=LONG, guidance_scale=1)  # nobody reads it


def test_a_prompt_schedules_text_is_told_by_its_key(world: Store) -> None:
    from reel.schedule.compile import compile_prompts
    from reel.schedule.lint import lint

    schedule = lint(f"0: a dancer; 2: {LONG}").schedule
    assert schedule is not None
    track = compile_prompts(schedule, 3)
    stages = settings(track, prompt=LONG)  # the schedule takes its place
    with pytest.raises(UserError, match=r"^prompt_schedule: the text"):
        preflight.check_models(stages)


def test_pictures_that_are_none(world: Store, tmp_path: Path) -> None:
    source = {"kind": "embedded", "id": "tiny"}
    model = {**family_config("tiny"), "ip_adapter": source, "ip_image_encoder": source}
    (tmp_path / "text.png").write_text("no picture")
    for name, says in {"text.png": "is not a picture", "none.png": "does not exist", "": "is a folder"}.items():
        path = tmp_path / name
        with pytest.raises(UserError, match=re.escape(f"stylize.ip_adapter.picture: {path} {says}")) as caught:
            checked(model=model, ip_adapter={"picture": str(path)})
        assert "PNG" in str(caught.value.fix)


def test_embed_asks_for_itself(world: Store) -> None:
    """For those who call it without a flow."""
    from reel import op
    from reel.compute import Compute

    ctx = op.Context(world, Compute(device="cpu", threads=1))
    with pytest.raises(UserError, match=r"stylize\.clip_skip"):
        op.get("stylize", "embed").fn(settings(clip_skip=3).embed, {}, ctx)


def test_a_controlnets_residuals_are_counted_as_its_class_makes_them(families: Path, tmp_path: Path) -> None:
    """At toy size, and at SD 1.5's, on the meta device."""
    from accelerate import init_empty_weights
    from diffusers import ControlNetModel

    with init_empty_weights():
        nets = [ControlNetModel.from_config(str(families / "tiny/controlnet_openpose")), ControlNetModel()]
    counts = []
    for net in nets:
        (tmp_path / "config.json").write_text(json.dumps(dict(net.config), default=str))
        counts.append(preflight._residuals(tmp_path))
        assert counts[-1] == len(net.controlnet_down_blocks) + 1
    assert counts == [RESIDUALS, 13]
