"""Memory: sizes in words, the number format by the CPU, what a budget makes smaller, and running out of it for real."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch

from reel import op
from reel.clip import Clip, ClipWriter
from reel.compute import Compute, parse_size
from reel.config import parse
from reel.errors import UserError
from reel.models.source import part_of
from reel.store import Store
from tasks.networks import stored
from tasks.networks.files import source_bytes
from tasks.stylize.engine.memory_plan import HEADROOM, WORK, bias_per_frame, kept_per_frame, plan
from tasks.stylize.job.budget import fit
from tasks.stylize.models.networks import core, join
from tasks.stylize.settings import compute as device
from tasks.stylize.settings.compute import computes_bfloat16, cpu_flags, resolve_dtype, resolve_memory_format
from tests.tasks.tiny_render import render
from tests.tasks.tiny_settings import settings

GIB = 2**30


@pytest.mark.parametrize(
    ("text", "size"),
    [("6GiB", 6 * GIB), ("6 gib", 6 * GIB), ("1.5G", 1_500_000_000), ("800MB", 800_000_000), ("12", 12), (7, 7)],
)
def test_sizes_are_read_with_their_units(text, size):
    assert parse_size(text) == size
    assert parse(Compute, {"max_memory": text}).max_memory == size


@pytest.mark.parametrize("text", ["six", "6 GiBB", "-1GiB", "i", "0"])
def test_what_is_no_size_is_refused(text):
    with pytest.raises(UserError, match="max_memory"):
        parse(Compute, {"max_memory": text}, "compute")


@pytest.mark.parametrize(
    ("flags", "dtype"),
    [
        ({"avx2", "fma"}, "float32"),
        ({"avx512f", "avx512_bf16"}, "bfloat16"),
        ({"amx_bf16"}, "bfloat16"),
        ({"avx512f", "avx512_fp16"}, "float32"),
        (set(), "float32"),
    ],
)
def test_auto_takes_bfloat16_where_the_cpu_multiplies_it(flags, dtype, monkeypatch):
    assert computes_bfloat16(frozenset(flags)) == (dtype == "bfloat16")
    monkeypatch.setattr(device, "cpu_flags", lambda: frozenset(flags))
    assert resolve_dtype(Compute(device="cpu")) == dtype
    assert resolve_dtype(Compute(device="cpu", dtype="float32")) == "float32"
    assert resolve_dtype(Compute(device="cuda")) == "float16"
    assert resolve_memory_format(Compute(device="cpu")) == "channels_last"
    assert resolve_memory_format(Compute(device="cuda")) == "contiguous"
    assert resolve_memory_format(Compute(device="cpu", memory_format="contiguous")) == "contiguous"


def test_flags_are_those_that_every_core_has(tmp_path):
    (tmp_path / "cpuinfo").write_text("flags\t\t: fma avx512_bf16\nmodel\t: x\nflags\t\t: fma avx2\n")
    assert cpu_flags(tmp_path / "cpuinfo") == {"fma"}
    assert cpu_flags(tmp_path / "none") == frozenset()


def test_a_budget_goes_into_the_settings_that_change_bytes(world, caplog):
    stages = settings()
    assert fit(stages, Compute(device="cpu"), 512, 512, 100) is stages
    with caplog.at_level("INFO"):
        small = fit(stages, Compute(device="cpu", max_memory="800MiB"), 512, 512, 100)
    assert (stages.denoise.frame_block, stages.decode.chunk_size) == (16, 16)
    assert small.denoise.frame_block in (1, 2)
    assert small.encode.chunk_size == small.decode.chunk_size == 1 or small.decode.tiling
    assert "frame_block=" in caplog.text
    own = settings(frame_block=3, decode_chunk_size=2, decode_tiling=True, encode_chunk_size=3)
    same = fit(own, Compute(device="cpu", max_memory="60GiB"), 512, 512, 100)
    assert (same.denoise.frame_block, same.decode.chunk_size, same.decode.tiling) == (3, 2, True)
    assert (same.encode.chunk_size, same.encode.tiling) == (3, False)
    with pytest.raises(UserError, match=r"compute\.max_memory: 0\.0\d GiB are too little"):
        fit(stages, Compute(device="cpu", max_memory="40MiB"), 512, 512, 100)


def test_on_a_gpu_models_that_do_not_fit_are_moved_there_layer_by_layer():
    shape = {"block_out_channels": (320, 640, 1280, 1280), "layers_per_block": 2}
    asked = {"count": 16, "width": 512, "height": 512, "bytes_per_number": 2, "weights": 3 * GIB}
    asked["per_frame"] = kept_per_frame(shape, 64, 64, 2, 2)
    assert plan(budget=6 * GIB, movable=True, **asked).offload == ""
    tight = plan(budget=3 * GIB, movable=True, **asked)
    assert tight.offload == "sequential"
    assert "offload=sequential" in tight.lines(16)[1]
    with pytest.raises(UserError, match="too little"):
        plan(budget=3 * GIB, **asked)


def test_regions_are_part_of_what_a_frame_needs(world):
    """A region's bias in the first layers of SD 1.5 at 256 px: 32 x 32 places, 154 tokens, 8 heads + 1."""
    shape = {"block_out_channels": (320, 640), "down_block_types": ["CrossAttnDownBlock2D", "DownBlock2D"]}
    assert bias_per_frame({**shape, "attention_head_dim": 8}, 32, 32, 2, 4, 1) == 32 * 32 * 154 * 9 * 2 * 4
    deeper = {**shape, "down_block_types": ["DownBlock2D", "CrossAttnDownBlock2D"], "attention_head_dim": [5, 10]}
    assert bias_per_frame(deeper, 32, 32, 2, 4, 1) == 16 * 16 * 154 * 11 * 2 * 4
    assert bias_per_frame(deeper, 32, 32, 2, 4, 0) == 0
    regions = {name: {"prompt": name, "mask": {"region": "background"}} for name in ("wall", "floor", "sky")}
    just_four = int(4.04 * WORK * 512 * 512 / (1 - HEADROOM))
    compute = Compute(device="cpu", max_memory=just_four)
    with_regions, plain = (
        fit(settings(**more), compute, 512, 512, 8).denoise.frame_block for more in ({"regions": regions}, {})
    )
    assert (with_regions, plain) == (2, 4)


def test_a_part_of_a_base_weighs_what_that_part_weighs(world):
    base = settings().encode.base
    parts = [source_bytes(part_of(base, name), 4) for name in ("unet", "vae", "text_encoder")]
    assert all(parts)
    assert source_bytes(part_of(base, "unet", "vae"), 4) == parts[0] + parts[1]


def test_the_joined_network_has_the_weights_of_diffusers_own_and_copies_none(world, families):
    from diffusers import MotionAdapter, UNet2DConditionModel, UNetMotionModel

    unet = UNet2DConditionModel.from_pretrained(families / "tiny/unet")
    adapter = MotionAdapter.from_pretrained(families / "tiny/motion_adapter")
    expected = UNetMotionModel.from_unet2d(unet, adapter).state_dict()
    found = join(unet, adapter, settings().denoise.model)
    assert found.state_dict().keys() == expected.keys()
    assert all(torch.equal(tensor, expected[name]) for name, tensor in found.state_dict().items())
    assert found.config.motion_max_seq_length == adapter.config.motion_max_seq_length
    assert found.conv_in.weight.data_ptr() == unet.conv_in.weight.data_ptr()
    module = found.down_blocks[0].motion_modules[0].proj_in.weight
    assert module.data_ptr() == adapter.down_blocks[0].motion_modules[0].proj_in.weight.data_ptr()
    pipe = core(settings().denoise, "cpu")
    assert pipe.vae is None
    assert pipe.text_encoder is None


def test_a_motion_module_of_another_shape_is_refused(world, families):
    from diffusers import MotionAdapter, UNet2DConditionModel

    unet = UNet2DConditionModel.from_pretrained(families / "tiny/unet")
    other = MotionAdapter(block_out_channels=(8, 16), motion_layers_per_block=2, motion_norm_num_groups=2)
    with pytest.raises(UserError, match="not a motion module for the UNet of model tiny"):
        join(unet, other, settings().denoise.model)


def long_denoising(store: Store, more_mib: int | None = None) -> dict[str, object]:
    """One step of 192 frames of 256 px, two at a time; with only so much more memory than the process has by then."""
    import resource

    count, side = 192, 256
    more = {"frame_block": 2, "num_inference_steps": 2, "windows": {"context_length": 8, "context_overlap": 2}}
    stages, ctx = settings(**more), op.Context(store, Compute(device="cpu", threads=1))
    with ClipWriter(store, "map", width=side, height=side, time_base=Fraction(1, 12)) as writer:
        for index in range(count):
            writer.add(np.full((side, side, 3), 2 * (index % 100), np.uint8), index)
    times = stored.times(Clip.open(store, writer.digest))
    mean = torch.randn(count, 4, side // 8, side // 8, generator=torch.Generator().manual_seed(1))
    facts = {"stage": "encoded", "chunk_size": 16, "scaling_factor": 0.18, **times}
    given = {"map_pose": writer.digest, "embeddings": op.get("stylize", "embed").fn(stages.embed, {}, ctx)}
    given["latents"] = stored.put(store, "latents", {"mean": mean, "std": mean.abs()}, **facts)
    if more_mib is not None:
        render(store, count=2)  # everything is loaded before the limit is drawn
        lines = Path("/proc/self/status").read_text().splitlines()
        used = next(int(line.split()[1]) for line in lines if line.startswith("VmData"))
        resource.setrlimit(resource.RLIMIT_DATA, ((used + more_mib * 1024) * 1024,) * 2)
    digest = op.get("stylize", "denoise").fn(stages.denoise, given, ctx)
    return {"digest": digest, **ctx.facts}


@pytest.mark.slow
@pytest.mark.skipif(
    not os.environ.get("ROTOSCOPE_TEST_MEMORY"),
    reason="the room that torch's libraries take differs too much between machines: ROTOSCOPE_TEST_MEMORY=1 tries it",
)
def test_a_render_that_runs_out_of_memory_spills_and_ends_in_the_same_digest(world, families, tmp_path):
    """60 MiB more than the process has, where the activations of 192 frames want 180: a real limit, real errors."""
    free = long_denoising(world)
    code = "import json, sys\nfrom pathlib import Path\nfrom reel.store import Store\n"
    code += "from tests.tasks.test_engine_budget import long_denoising\n"
    code += "print(json.dumps(long_denoising(Store(Path(sys.argv[1])), 60)))"
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "OMP_NUM_THREADS": "1"}
    # the limit counts what glibc keeps of freed memory, too: let it give every tensor back
    env |= {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_ARENA_MAX": "1"}
    own = [sys.executable, "-c", code, str(tmp_path / "squeezed")]
    done = subprocess.run(own, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    squeezed = json.loads(done.stdout.splitlines()[-1])
    assert squeezed["digest"] == free["digest"]
    assert squeezed["out_of_memory"] == ["freed other loaded models", "spilled activations"]
    assert squeezed["spilled_bytes"] > 20 * 2**20
    assert "out_of_memory" not in free
