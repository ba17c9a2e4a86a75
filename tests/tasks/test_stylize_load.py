"""LoRAs, camera LoRAs, single-file checkpoints, VAE overrides, IP-Adapters and running out of memory."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from reel.errors import UserError
from reel.store import Store
from tasks.networks.memory import is_out_of_memory
from tasks.stylize.job.memory import out_of_memory
from tasks.stylize.models.codec import load_vae
from tasks.stylize.models.networks import core_key
from tasks.stylize.models.sources import codec_sources
from tasks.weights.fetch import content_id
from tests.tasks import keyframe_models
from tests.tasks.one_file import write_checkpoint, write_settings
from tests.tasks.tiny_family import LIMIT, family_config
from tests.tasks.tiny_render import SIDE, render
from tests.tasks.tiny_settings import settings


def save(path: Path, tensors: dict[str, Any]) -> dict[str, str]:
    from safetensors.torch import save_file

    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, str(path))
    return {"kind": "file", "id": str(path)}


def lora_for(family: Path, part: str, rank: int = 2) -> dict[str, Any]:
    """LoRA matrices for every attention projection of a part (`unet`, `text_encoder`, `motion_adapter`)."""
    import torch
    from safetensors.torch import load_file

    torch.manual_seed(1)
    files = sorted((family / part).glob("*.safetensors"))
    tensors = {}
    for name, weight in load_file(str(files[0])).items():
        stem = name.removesuffix(".weight")
        if stem.rsplit(".", 1)[-1] in ("to_q", "to_v", "q_proj", "v_proj"):
            where = "unet" if part == "motion_adapter" else part
            tensors[f"{where}.{stem}.lora_A.weight"] = torch.randn(rank, weight.shape[1])
            tensors[f"{where}.{stem}.lora_B.weight"] = torch.randn(weight.shape[0], rank)
    assert tensors
    return tensors


@pytest.mark.parametrize("part", ["unet", "text_encoder"])
def test_style_lora_by_weight(world: Store, families: Path, tmp_path: Path, part: str) -> None:
    source = save(tmp_path / f"{part}.safetensors", lora_for(families / "tiny", part))
    plain = render(world)
    full = render(world, loras=[{"source": source, "weight": 1.0}])
    half = render(world, loras=[{"source": source, "weight": 0.5}])
    assert len({plain, full, half}) == 3
    assert render(world, loras=[{"source": source, "weight": 0.0}]) == plain
    assert render(world) == plain  # the LoRA did not stay in the shared modules


def test_camera_lora_acts_on_the_motion_module(world: Store, families: Path, tmp_path: Path) -> None:
    source = save(tmp_path / "zoom.safetensors", lora_for(families / "tiny", "motion_adapter"))
    fits = {**family_config("tiny"), "camera": True}
    assert render(world, model=fits, motion_loras=[{"source": source}]) != render(world)
    with pytest.raises(
        UserError, match=r"stylize\.motion_loras: made for AnimateDiff's v2 motion module, model tiny has"
    ):
        render(world, motion_loras=[{"source": source}])


def test_lora_of_another_architecture_is_refused(world: Store, tmp_path: Path) -> None:
    import torch

    key = "unet.down_blocks.9.attentions.0.transformer_blocks.0.attn1.to_q"
    source = save(
        tmp_path / "other.safetensors",
        {f"{key}.lora_A.weight": torch.randn(2, 16), f"{key}.lora_B.weight": torch.randn(16, 2)},
    )
    with pytest.raises(UserError, match=r"other\.safetensors"):
        render(world, loras=[{"source": source}])


def test_pickles_are_not_loaded(tmp_path: Path) -> None:
    """Refused by their names, whether they are there or not."""
    pickle = {"kind": "file", "id": str(tmp_path / "style.pt")}
    for key, given in {
        "stylize.loras.0.source": {"loras": [{"source": pickle}]},
        "stylize.motion_loras.0.source": {
            "motion_loras": [{"source": pickle}],
            "model": {**family_config("tiny"), "camera": True},
        },
        "stylize.embeddings: bad": {"embeddings": {"bad": pickle}},
        "stylize.vae": {"vae": pickle},
        "model.base": {"model": {**family_config("tiny"), "base": pickle}},
    }.items():
        with pytest.raises(UserError, match=rf"{key}: .*style\.pt: only \.safetensors files are loaded"):
            settings(**given)


def test_a_checkpoint_that_is_none_is_named(world: Store, families: Path, tmp_path: Path) -> None:
    import torch

    source = save(tmp_path / "cat.safetensors", {"x": torch.zeros(1)})
    base_config = {"kind": "embedded", "id": "tiny", "files": ["*.json", "*/*.json"]}
    with pytest.raises(UserError, match=r"cat\.safetensors .*not a checkpoint"):
        render(world, model={**family_config("tiny"), "base": source, "base_config": base_config})


def test_base_in_one_checkpoint_file(world: Store, families: Path, tmp_path: Path) -> None:
    """As Civitai offers bases. The same weights under the other names give the same render, byte for byte."""
    write_checkpoint(families / "tiny", tmp_path / "base.safetensors")
    write_settings(families / "tiny", families / "tiny_settings")
    base_config = {"kind": "embedded", "id": "tiny_settings", "files": ["*.json", "*/*.json"]}
    base = {"kind": "file", "id": str(tmp_path / "base.safetensors")}
    one_file = render(world, model={**family_config("tiny"), "base": base, "base_config": base_config})
    assert one_file == render(world)


def test_text_encoder_under_the_names_of_the_hubs_files(world: Store, families: Path) -> None:
    """Files of SD 1.5 hold `text_model.` before every name and a buffer that newer classes no longer have."""
    import torch
    from safetensors.torch import load_file, save_file

    shutil.copytree(families / "tiny", families / "old_names")
    file = families / "old_names/text_encoder/model.safetensors"
    tensors = {f"text_model.{name.removeprefix('text_model.')}": value for name, value in load_file(str(file)).items()}
    tensors["text_model.embeddings.position_ids"] = torch.arange(LIMIT)[None]
    save_file(tensors, str(file), metadata={"format": "pt"})
    assert render(world, model=family_config("old_names")) == render(world)


def test_motion_module_in_one_file(world: Store, families: Path, tmp_path: Path) -> None:
    """As AnimateDiff-Lightning comes: bare weights, settings from elsewhere. The same weights give the same render."""
    file = tmp_path / "motion.safetensors"
    shutil.copy(families / "tiny/motion_adapter/diffusion_pytorch_model.safetensors", file)
    config = {"kind": "embedded", "id": "tiny", "subfolder": "motion_adapter", "files": ["config.json"]}
    model = {**family_config("tiny"), "motion": {"kind": "file", "id": str(file)}, "motion_config": config}
    assert render(world, model=model) == render(world)


def test_vae_override(world: Store, families: Path) -> None:
    import torch
    from safetensors.torch import load_file, save_file

    other = families / "other_vae" / "vae"
    shutil.copytree(families / "tiny/vae", other)
    weights = load_file(str(other / "diffusion_pytorch_model.safetensors"))
    save_file(
        {k: v + 0.1 * torch.randn_like(v) for k, v in weights.items()},
        str(other / "diffusion_pytorch_model.safetensors"),
    )
    override = {"kind": "embedded", "id": "other_vae", "subfolder": "vae"}
    assert render(world, vae=override) != render(world)


def test_ip_adapter_by_picture_and_weight(world: Store, families: Path, tmp_path: Path) -> None:
    model = {**family_config("tiny"), **write_ip_adapter(families, tmp_path)}
    pictures = []
    for index in range(2):
        pictures.append(tmp_path / f"{index}.png")
        noise = np.random.default_rng(index).integers(0, 255, (32, 32, 3)).astype(np.uint8)
        Image.fromarray(noise).save(pictures[-1])
    one = {"picture": str(pictures[0]), "weight": 1.0}
    plain, first = render(world), render(world, model=model, ip_adapter=one)
    other = render(world, model=model, ip_adapter={**one, "picture": str(pictures[1])})
    weak = render(world, model=model, ip_adapter={**one, "weight": 0.3})
    assert len({plain, first, other, weak}) == 4
    assert render(world, model=model, ip_adapter=one) == first
    with pytest.raises(UserError, match=r"ip_adapter\.picture: .*none\.png does not exist"):
        render(world, model=model, ip_adapter={"picture": str(tmp_path / "none.png")})


def write_ip_adapter(root: Path, folder: Path) -> dict[str, Any]:
    """Random IP-Adapter weights and a picture encoder that fit the toy family."""
    file, _ = keyframe_models.write_ip_adapter(root / "tiny/unet", root / "tiny_ip")
    return {
        "ip_adapter": {"kind": "file", "id": str(file)},
        "ip_image_encoder": {"kind": "embedded", "id": "tiny_ip", "subfolder": "image_encoder"},
    }


def test_modules_are_shared_by_what_they_are_made_of(world: Store, tmp_path: Path) -> None:
    same = core_key(settings().denoise, "cpu")
    assert core_key(settings(prompt="other", seed=3, controls={}, scheduler="euler").denoise, "cpu") == same
    assert core_key(settings(dtype="bfloat16").denoise, "cpu") != same


def _changed(folder: Path, file: str, **changes: Any) -> None:
    """Change a settings file of a family in place."""
    found = json.loads((folder / file).read_text())
    (folder / file).write_text(json.dumps({**found, **changes}))


@pytest.mark.parametrize("key", ["base_config", "motion_config", "ip_image_encoder"])
def test_modules_are_not_shared_when_their_settings_come_from_elsewhere(
    world: Store, families: Path, tmp_path: Path, key: str
) -> None:
    """The same weights beside other settings of the network: another render of the process must not get the first's."""
    write_checkpoint(families / "tiny", tmp_path / "base.safetensors")
    motion = save(tmp_path / "motion.safetensors", {})
    for folder in (f"{key}_one", f"{key}_two"):
        write_settings(families / "tiny", families / folder)
        shutil.copy(families / "tiny/motion_adapter/config.json", families / folder / "config.json")
    _changed(families / f"{key}_two", "unet/config.json", norm_eps=0.1)
    _changed(families / f"{key}_two", "config.json", motion_norm_num_groups=4)

    def found(folder: str) -> str:
        model = {
            **family_config("tiny"),
            **write_ip_adapter(families, tmp_path),
            "base": {"kind": "file", "id": str(tmp_path / "base.safetensors")},
            "motion": motion,
            **dict.fromkeys(("base_config", "motion_config", "ip_image_encoder"), _settings_of(f"{key}_one")),
            key: _settings_of(folder),
        }
        return core_key(settings(model=model, ip_adapter={"picture": "x.png"}).denoise, "cpu")

    assert found(f"{key}_one") == found(f"{key}_one")
    assert found(f"{key}_one") != found(f"{key}_two")


def _settings_of(folder: str) -> dict[str, Any]:
    return {"kind": "embedded", "id": folder, "files": ["*.json", "*/*.json"]}


@pytest.mark.parametrize("one_file", [False, True])
def test_a_vae_in_one_file_is_one_with_the_settings_that_it_takes(
    world: Store, families: Path, tmp_path: Path, one_file: bool
) -> None:
    """Settings come from the base, or from base_config: they are in the ops' keys, and no VAE of others is reused."""
    shutil.copy(families / "tiny/vae/diffusion_pytorch_model.safetensors", tmp_path / "vae.safetensors")
    write_checkpoint(families / "tiny", tmp_path / "base.safetensors")
    found = []
    for factor in (0.25, 0.5):
        name = f"scaled_{one_file}_{factor}"
        shutil.copytree(families / "tiny", families / name)
        _changed(families / name, "vae/config.json", scaling_factor=factor)
        model = family_config(name)
        if one_file:
            model["base"] = {"kind": "file", "id": str(tmp_path / "base.safetensors")}
            model["base_config"] = _settings_of(name)
        vae = {"kind": "file", "id": str(tmp_path / "vae.safetensors")}
        stages = settings(model=model, vae=vae)
        for cfg in (stages.encode, stages.decode):
            found.append(load_vae(cfg, "cpu").config.scaling_factor)
            sources = codec_sources(cfg)
            found.append([content_id(source) for source in sources])
            assert len({source.label for source in sources}) == len(sources)
    assert found[::2] == [0.25, 0.25, 0.5, 0.5]
    assert found[1] == found[3] != found[5] == found[7]


def test_out_of_memory_says_what_would_fit(world: Store) -> None:
    """Real allocation failure: 100,000 x 100,000 floats asked of the allocator, as a render would ask."""
    import torch

    from reel.compute import Compute

    with pytest.raises(RuntimeError) as caught:
        torch.empty(10_000_000, 10_000_000)
    assert is_out_of_memory(caught.value)
    assert not is_out_of_memory(RuntimeError("shapes do not match"))
    denoise = settings().denoise
    error = out_of_memory(denoise, SIDE, SIDE, 2, Compute(device="cpu"), ["freed 2 other loaded models"])
    for part in ("2 frames of 32x32 in float32", "tried: freed 2 other", "frame_block=4", "bfloat16", "24x24"):
        assert part in error.message


ELSEWHERE = """
import resource, sys
from pathlib import Path
from reel.errors import UserError
from reel.store import Store
from tests.tasks.tiny_render import render

store = Store(Path(sys.argv[1]))
print("digest", render(store))
statm = Path("/proc/self/statm")
if statm.exists():
    used = int(statm.read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + (150 << 20),) * 2)
    try:
        render(store, count=8, side=512)
    except UserError as error:
        print(error, error.fix)
"""


@pytest.fixture(scope="module")
def elsewhere(families: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """What another process says: of a render, and of one that needs more than the 150 MiB that it may take then."""
    root, folder = Path(__file__).resolve().parents[2], tmp_path_factory.mktemp("elsewhere")
    environment = {**os.environ, "PYTHONPATH": str(root), "ROTOSCOPE_MODELS": str(families), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", ELSEWHERE, str(folder / "store")]
    done = subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


@pytest.mark.slow
def test_another_process_gives_the_same_digest(world: Store, elsewhere: str) -> None:
    assert f"digest {render(world)}\n" in elsewhere


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="address space limits as Linux has them")
def test_a_render_that_runs_out_of_memory_ends_with_advice(elsewhere: str) -> None:
    assert "out of memory on cpu, " in elsewhere
    assert "code_chunk_size=1" in elsewhere  # encoding or decoding, whichever comes to it


def test_tiny_family_is_laid_out_like_the_embedded_one(families: Path) -> None:
    embedded = Path(__file__).resolve().parents[2] / "data/models/sprite"
    if not embedded.is_dir():
        pytest.fail("data/models/sprite is missing")
    for part in ("text_encoder", "tokenizer", "unet", "vae", "scheduler", "motion_adapter", "controlnet_openpose"):
        ours = {path.name for path in (families / "tiny" / part).iterdir()}
        assert {path.name for path in (embedded / part).iterdir()} == ours
        for config in ours & {"config.json", "scheduler_config.json"}:
            a, b = (json.loads((root / part / config).read_text()) for root in (families / "tiny", embedded))
            assert a.get("_class_name") == b.get("_class_name")
            assert a.get("prediction_type") == b.get("prediction_type")
