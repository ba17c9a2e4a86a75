"""Where the models lie while they work, and memory that runs out beside the denoising: the same bits all the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from reel import op
from reel.compute import Compute
from reel.errors import UserError
from tasks.networks import work
from tasks.networks.offload import layer_by_layer
from tasks.networks.retry import retry_offloaded
from tasks.stylize.engine import codec, embed
from tasks.stylize.job import render
from tasks.stylize.models.networks import load_networks
from tasks.weights.memory import LOADED
from tests.tasks.test_stylize_load import write_ip_adapter
from tests.tasks.tiny_family import family_config
from tests.tasks.tiny_render import SIDE, Rendered
from tests.tasks.tiny_settings import engine_settings as settings

pytestmark = pytest.mark.filterwarnings("ignore")
STEPS = {"encode": (codec, "encode_chunk"), "embed": (embed, "encode_texts"), "decode": (codec, "decode_chunk")}
"""What each op computes with."""


@pytest.fixture
def looking(families: Path, tmp_path: Path) -> dict[str, Any]:
    """Settings of a render with a reference picture."""
    picture = tmp_path / "look.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (SIDE, SIDE, 3)).astype(np.uint8)).save(picture)
    model = {**family_config("tiny"), **write_ip_adapter(families, tmp_path)}
    return {"model": model, "ip_adapter": {"picture": str(picture), "weight": 0.8}}


def test_layer_by_layer_every_op_gives_the_same_bits(world, looking, monkeypatch):
    plain = Rendered(world, settings(**looking))
    hooked = []

    def placed(modules, device, offload):
        hooked.extend(modules)
        return layer_by_layer(modules, device)

    for module in (render, work):
        monkeypatch.setattr(module, "placed", placed)
    moved = Rendered(world, settings(**looking))
    for name in ("latents", "embeddings", "denoised", "clip"):
        assert getattr(moved, name) == getattr(plain, name), name
    assert {type(module).__name__ for module in hooked} >= {"AutoencoderKL", "CLIPTextModel", "UNetMotionModel"}


def test_all_that_denoising_computes_with_is_placed_on_the_device(world, looking):
    cfg = Rendered(world, settings(**looking)).stages.denoise
    networks = load_networks(cfg, "cpu")
    placed = {id(module) for module in networks.modules()}
    parts = [*networks.pipe.components.values(), *networks.controlnets.values()]
    wanted = {type(part).__name__: id(part) for part in parts if isinstance(part, torch.nn.Module)}
    assert wanted.keys() == {"UNetMotionModel", "CLIPVisionModelWithProjection", "ControlNetModel"}
    assert placed == set(wanted.values())


@pytest.mark.parametrize("name", STEPS)
@pytest.mark.parametrize("error", [torch.OutOfMemoryError("CUDA out of memory"), MemoryError()])
def test_memory_that_runs_out_once_frees_other_models_and_is_in_the_record(world, monkeypatch, name, error):
    whole = Rendered(world, settings(encode_chunk_size=2, decode_chunk_size=2))
    given = {"encode": {"frames": whole.frames}, "embed": {}, "decode": {"latents": whole.denoised}}[name]
    module, function = STEPS[name]
    real, loaded = getattr(module, function), []

    def short(*arguments):
        loaded.append(LOADED.keys())
        if len(loaded) == 1:
            raise error
        return real(*arguments)

    monkeypatch.setattr(module, function, short)
    ctx = op.Context(world, Compute(device="cpu", threads=1))
    found = op.get("stylize", name).fn(getattr(whole.stages, name), given, ctx)
    assert found == {"encode": whole.latents, "embed": whole.embeddings, "decode": whole.clip}[name]
    assert ctx.facts["out_of_memory"] == ["freed other loaded models"]
    assert any(key.startswith("core ") for key in loaded[0])
    assert not any(key.startswith(("core ", "controlnet ")) for key in loaded[1])


@pytest.mark.parametrize(("name", "fix"), [("encode", "encode_chunk_size=1"), ("decode", "decode_tiling=true")])
def test_memory_that_runs_out_again_ends_with_what_was_tried_and_what_helps(world, monkeypatch, name, fix):
    whole = Rendered(world, settings())

    def short(*_):
        raise MemoryError

    monkeypatch.setattr(codec, f"{name}_chunk", short)
    given = {"encode": {"frames": whole.frames}, "decode": {"latents": whole.denoised}}[name]
    ctx = op.Context(world, Compute(device="cpu", threads=1))
    with pytest.raises(UserError, match=r"out of memory on cpu, .* tried: freed other loaded models") as caught:
        op.get("stylize", name).fn(getattr(whole.stages, name), given, ctx)
    assert fix in caught.value.fix


def test_on_a_gpu_models_go_layer_by_layer_before_a_render_is_given_up(world, monkeypatch):
    asked: list[str] = []

    def attempt(offload: str) -> str:
        asked.append(offload)
        if len(asked) < 3:
            raise torch.OutOfMemoryError
        return "done"

    ctx = op.Context(world, Compute(device="cuda", offload="model"))
    assert retry_offloaded(attempt, "cuda", ctx, "") == "done"
    assert asked == ["model", "model", "sequential"]
    assert ctx.facts["out_of_memory"] == ["freed other loaded models", "offloaded the models layer by layer"]
