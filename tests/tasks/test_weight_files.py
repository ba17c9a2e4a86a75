"""Weight files that a render's settings name: judged before anything loads, and one-file bases of every layout."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from reel.compute import Compute
from reel.errors import UserError
from reel.store import Store
from tasks.stylize.job.budget import fit
from tasks.stylize.job.preflight import check_models
from tasks.weights.header import NotSafetensors
from tasks.weights.memory import LOADED
from tests.tasks.one_file import checkpoint_tensors, write_settings
from tests.tasks.raw_safetensors import header_of, packed, write_names
from tests.tasks.tiny_family import family_config
from tests.tasks.tiny_render import SIDE, render
from tests.tasks.tiny_settings import settings

pytestmark = pytest.mark.filterwarnings("ignore")
SETTINGS = {"kind": "embedded", "id": "tiny_settings", "files": ["*.json", "*/*.json"]}
Q = "lora_unet_down_blocks_1_attentions_0_transformer_blocks_0_attn2_to_k"
PREFIXES = ("model.diffusion_model.", "first_stage_model.", "cond_stage_model.transformer.text_model.")


@pytest.fixture
def base_config(families: Path) -> dict[str, Any]:
    """The toy family's settings and tokenizer without weights."""
    if not (families / "tiny_settings").exists():
        write_settings(families / "tiny", families / "tiny_settings")
    return SETTINGS


def given(path: Path) -> dict[str, str]:
    return {"kind": "file", "id": str(path)}


def wide(path: Path, width: int) -> Path:
    """A LoRA for a UNet that reads text embeddings of this width."""
    path.write_bytes(packed(*header_of({f"{Q}.lora_down.weight": (4, width), f"{Q}.lora_up.weight": (8, 4)})))
    return path


def refused(**changes: Any) -> UserError:
    """How settings are refused, without any model being loaded."""
    with pytest.MonkeyPatch.context() as patch, pytest.raises(UserError) as caught:
        patch.setattr(LOADED, "get", lambda *_: pytest.fail("a model was loaded"))
        check_models(settings(**changes))
    assert "\n" not in caught.value.message
    return caught.value


def test_each_setting_tells_what_it_was_given(world: Store, base_config: dict[str, Any], tmp_path: Path) -> None:
    names = {
        "dora": [f"{Q}.lora_down.weight", f"{Q}.dora_scale"],
        "vae": ["decoder.up.0.block.0.conv1.weight"],
        "net": ["control_model.input_blocks.0.0.weight"],
        "lora": [f"{Q}.lora_down.weight"],
        "ti": ["emb_params"],
    }
    files = {name: given(write_names(tmp_path / f"{name}.safetensors", found)) for name, found in names.items()}
    files["xl"] = given(wide(tmp_path / "xl.safetensors", 2048))
    (tmp_path / "deep.safetensors").write_bytes(packed(*header_of({"decoder.conv_in.weight": (8, 16, 3, 3)})))
    files["deep"] = given(tmp_path / "deep.safetensors")
    model = family_config("tiny")
    one_file = {"base_config": base_config}
    motion = {"kind": "embedded", "id": "tiny", "subfolder": "motion_adapter", "files": ["config.json"]}
    cases: list[tuple[dict[str, Any], str]] = [
        ({"loras": [{"source": files["dora"]}]}, "stylize.loras[0]: dora.safetensors is a DoRA (dora_scale), which"),
        ({"loras": [{"source": files["vae"]}]}, "stylize.loras[0]: vae.safetensors is a VAE, not a LoRA"),
        (
            {"motion_loras": [{"source": files["net"]}], "model": {**model, "camera": True}},
            "stylize.motion_loras[0]: net.safetensors is a ControlNet",
        ),
        ({"vae": files["deep"]}, "is a VAE for latents of 16 channels, model tiny has 4"),
        ({"vae": files["lora"]}, "stylize.vae: lora.safetensors is a LoRA, not a VAE"),
        ({"model": {**model, "vae": files["lora"]}}, "model.vae: lora.safetensors is a LoRA, not a VAE"),
        ({"model": {**model, **one_file, "base": files["lora"]}}, "model.base: lora.safetensors is a LoRA, not a"),
        (
            {"model": {**model, "motion": files["lora"], "motion_config": motion}},
            "model.motion: lora.safetensors is a LoRA, not a motion module",
        ),
        (
            {"model": {**model, "controlnets": {"openpose": files["net"]}}},
            "net.safetensors (file) is one file; a ControlNet is loaded from a folder",
        ),
        (
            {"embeddings": {"cat": files["lora"]}, "prompt": "a embedding:cat"},
            "stylize.embeddings.cat: lora.safetensors",
        ),
        ({"embeddings": {"cat": files["ti"]}, "prompt": "a embedding:cat"}, "vectors of 2 numbers, this family's text"),
        (
            {"loras": [{"source": files["xl"]}]},
            "xl.safetensors (file): is made for SDXL (text width 2048); model tiny has text width 16",
        ),
    ]
    for changes, words in cases:
        assert words in refused(**changes).message


@pytest.mark.parametrize("budget", [None, 10 << 30])
def test_garbage_is_told_before_its_memory_is_planned(world: Store, tmp_path: Path, budget: int | None) -> None:
    """Its first eight bytes, read as a length, once asked for all the memory there is."""
    (tmp_path / "noise.safetensors").write_bytes(b"\xff" * 4096)
    stages = settings(loras=[{"source": given(tmp_path / "noise.safetensors")}])
    with pytest.raises(UserError, match=r"^stylize\.loras\[0\]: .*noise\.safetensors: not a whole safetensors file"):
        check_models(stages)
    with pytest.raises(NotSafetensors):
        fit(stages, Compute(device="cpu", max_memory=10 << 30), SIDE, SIDE, 3)


def test_a_damaged_file_in_a_familys_folder_is_named(world: Store, families: Path) -> None:
    shutil.copytree(families / "tiny", families / "damaged")
    file = families / "damaged/unet/diffusion_pytorch_model.safetensors"
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(UserError, match=r"unet/diffusion_pytorch_model\.safetensors: not a whole .* it is cut short"):
        render(world, model=family_config("damaged"))


def without(prefix: str) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda tensors: {name: value for name, value in tensors.items() if not name.startswith(prefix)}


def bare_unet(tensors: dict[str, Any]) -> dict[str, Any]:
    return {name.removeprefix(PREFIXES[0]): value for name, value in tensors.items()}


def older_text(tensors: dict[str, Any]) -> dict[str, Any]:
    old = "cond_stage_model.transformer."
    return {name.replace(PREFIXES[2], old): value for name, value in tensors.items()}


def saved_by_others(tensors: dict[str, Any]) -> dict[str, Any]:
    """As programs save a checkpoint that they put together: the parts under their own names."""
    pairs = {PREFIXES[1]: "vae.", PREFIXES[2]: "text_encoders.clip_l.transformer.text_model."}
    for old, new in pairs.items():
        tensors = {name.replace(old, new) if name.startswith(old) else name: one for name, one in tensors.items()}
    return tensors


def doubled(tensors: dict[str, Any]) -> dict[str, Any]:
    """With the averages that trainers keep beside the weights, under their flat names."""
    own = [name for name in tensors if name.startswith(PREFIXES[0])]
    return {**tensors, **{f"model_ema.{''.join(name.split('.')[1:])}": tensors[name] + 1 for name in own}}


LAYOUTS = {
    **{"as it is": dict, "UNet without prefix": bare_unet, "older text names": older_text, "EMA doubles": doubled},
    "saved by others": saved_by_others,
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_one_file_bases_of_every_layout(
    world: Store, families: Path, base_config: dict[str, Any], tmp_path: Path, layout: str
) -> None:
    """The same weights give the same render, byte for byte."""
    from safetensors.torch import save_file

    tensors = LAYOUTS[layout](checkpoint_tensors(families / "tiny"))
    save_file(tensors, str(tmp_path / "base.safetensors"))
    model = {**family_config("tiny"), "base": given(tmp_path / "base.safetensors"), "base_config": base_config}
    check_models(settings(model=model))
    assert render(world, model=model) == render(world)


@pytest.mark.parametrize("dtype", ["float16", "float8_e4m3fn"])
def test_one_file_bases_in_small_number_formats(
    world: Store, families: Path, base_config: dict[str, Any], tmp_path: Path, dtype: str
) -> None:
    import torch
    from safetensors.torch import save_file

    small = {name: value.to(getattr(torch, dtype)) for name, value in checkpoint_tensors(families / "tiny").items()}
    models = []
    for name, tensors in {"small": small, "same": {name: value.float() for name, value in small.items()}}.items():
        save_file(tensors, str(tmp_path / f"{name}.safetensors"))
        base = given(tmp_path / f"{name}.safetensors")
        models.append({**family_config("tiny"), "base": base, "base_config": base_config})
        check_models(settings(model=models[-1]))
    assert render(world, model=models[0]) == render(world, model=models[1])


def test_a_base_without_vae_takes_the_one_that_is_given(
    world: Store, families: Path, base_config: dict[str, Any], tmp_path: Path
) -> None:
    from safetensors.torch import save_file

    tensors = checkpoint_tensors(families / "tiny")
    save_file(without(PREFIXES[1])(tensors), str(tmp_path / "base.safetensors"))
    model = {**family_config("tiny"), "base": given(tmp_path / "base.safetensors"), "base_config": base_config}
    told = refused(model=model)
    assert told.message == f"model.base: {tmp_path}/base.safetensors (file) holds no VAE"
    assert "stylize.vae=" in str(told.fix)
    own = {name.removeprefix(PREFIXES[1]): value for name, value in tensors.items() if name.startswith(PREFIXES[1])}
    save_file(own, str(tmp_path / "vae.safetensors"))
    for vae in (given(tmp_path / "vae.safetensors"), {"kind": "embedded", "id": "tiny", "subfolder": "vae"}):
        check_models(settings(model=model, vae=vae))
        assert render(world, model=model, vae=vae) == render(world)


def test_a_base_without_text_encoder_takes_the_one_of_its_settings(
    world: Store, families: Path, base_config: dict[str, Any], tmp_path: Path
) -> None:
    from safetensors.torch import save_file

    tensors = without("cond_stage_model.")(checkpoint_tensors(families / "tiny"))
    save_file(tensors, str(tmp_path / "base.safetensors"))
    model = {**family_config("tiny"), "base": given(tmp_path / "base.safetensors"), "base_config": base_config}
    told = refused(model=model)
    assert told.message.endswith("holds no text encoder")
    assert "model.base_config" in str(told.fix)
    model["base_config"] = {"kind": "embedded", "id": "tiny", "files": ["*/*.json", "text_encoder/*"]}
    check_models(settings(model=model))
    assert render(world, model=model) == render(world)


def test_an_inpainting_checkpoint_is_named(world: Store, base_config: dict[str, Any], tmp_path: Path) -> None:
    names = {f"{PREFIXES[0]}input_blocks.0.0.weight": (8, 9, 3, 3), f"{PREFIXES[1]}decoder.conv_in.weight": (1,)}
    names[f"{PREFIXES[2]}encoder.layers.0.self_attn.q_proj.weight"] = (1,)
    (tmp_path / "in.safetensors").write_bytes(packed(*header_of(names)))
    model = {**family_config("tiny"), "base": given(tmp_path / "in.safetensors"), "base_config": base_config}
    assert "is an inpainting checkpoint: its UNet takes 9 channels, not 4" in refused(model=model).message


def own_names(tensors: dict[str, Any]) -> dict[str, Any]:
    """A motion module under the names of AnimateDiff's own code."""
    pairs = {
        **{".norm1.": ".norms.0.", ".norm2.": ".norms.1.", ".norm3.": ".ff_norm."},
        **{".attn1.": ".attention_blocks.0.", ".attn2.": ".attention_blocks.1."},
    }
    found = {}
    for name, value in tensors.items():
        stem, _, rest = name.partition("motion_modules.")
        number, _, inner = rest.partition(".")
        for ours, theirs in pairs.items():
            inner = inner.replace(ours, theirs)
        inner = inner.replace("pos_embed.pe", "attention_blocks.0.pos_encoder.pe")
        found[f"{stem}motion_modules.{number}.temporal_transformer.{inner}"] = value
    return found


def test_a_motion_module_under_animatediffs_own_names(world: Store, families: Path, tmp_path: Path) -> None:
    """As the web UI's and ComfyUI's users have them. The same weights give the same render."""
    from safetensors.torch import load_file, save_file

    tensors = load_file(str(families / "tiny/motion_adapter/diffusion_pytorch_model.safetensors"))
    save_file(own_names(tensors), str(tmp_path / "mm.safetensors"))
    config = {"kind": "embedded", "id": "tiny", "subfolder": "motion_adapter", "files": ["config.json"]}
    model = {**family_config("tiny"), "motion": given(tmp_path / "mm.safetensors"), "motion_config": config}
    check_models(settings(model=model))
    assert render(world, model=model) == render(world)
    told = refused(model={**model, "motion_window": 16})
    assert "was made for 8 frames, model.motion_window is 16" in told.message


def test_a_motion_module_of_another_shape_is_told_whole(world: Store, families: Path, tmp_path: Path) -> None:
    """The library's text goes on below its first line, which alone says nothing."""
    from diffusers import MotionAdapter

    adapter = MotionAdapter(
        block_out_channels=(8, 24), motion_layers_per_block=1, motion_num_attention_heads=2, motion_norm_num_groups=2,
        motion_max_seq_length=8, use_motion_mid_block=False,
    )  # fmt: skip
    adapter.save_pretrained(families / "other_motion")
    model = {**family_config("tiny"), "motion": {"kind": "embedded", "id": "other_motion"}}
    with pytest.raises(
        UserError, match=r"^model\.motion: other_motion .*not a motion module .*size mismatch"
    ) as caught:
        render(world, model=model)
    assert "\n" not in caught.value.message
