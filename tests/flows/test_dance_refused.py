"""What `dance` refuses before anything is computed: settings, sources, places and models that cannot be used."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from flows import cli
from reel.store import Store
from tasks.stylize.settings.compute import cuda_devices
from tests.flows import rendering

pytestmark = pytest.mark.usefixtures("prefect_server")
SMALL = [*rendering.SMALL, "measure=none"]


def test_a_mask_that_cannot_be_used_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """By the setting that names it, not by the clip's."""
    base = [*SMALL, f"paths.store={tmp_path / 'store'}", "controls.pose.mask.region=file"]
    assert cli.main(["dance", *base, f"controls.pose.mask_file={tmp_path / 'none.png'}"]) == 2
    assert f"controls.pose.mask_file: there is no file {tmp_path / 'none.png'}" in capsys.readouterr().err
    whole(tmp_path / "short.mp4")
    assert cli.main(["dance", *base, f"controls.pose.mask_file={tmp_path / 'short.mp4'}", "extract.start=1.5"]) == 2
    said = "controls.pose.mask_file: extract.start: 1.500 s is outside the clip: short.mp4 ends at 1.2"
    assert said in capsys.readouterr().err


BAD = [
    (["clip=/nowhere/x.mp4"], "there is no file /nowhere/x.mp4"),
    (["prompt="], "prompt"),
    (["controls.pose.weight=-1"], "controls.pose.weight: must be greater than or equal to 0"),
    (["controls.pose.weight=nan"], "controls.pose.weight: must be a finite number"),
    (["controls.pose.weight=high"], "controls.pose.weight"),
    (["controls.pose.control_guidance_start=0.5", "controls.pose.control_guidance_end=0.5"], "must be below"),
    (["stylize.strength=0.1"], "is less than one step"),
    (["model=sd16"], "sd15"),
    (["controls.pse.weight=1"], "controls.pose.weight"),
    (["extract.width=100", "extract.height=64"], "96"),
    (["extract.max_frames=17", "extract.fps=12", "stylize.windows.context_length=17"], "context_length=16"),
    (["prompt=a [red:blue:2] coat"], "character 3"),
    (["prompt=a (red coat"], "character 3"),
    (["controls.pose.mask.region=file"], "controls.pose: mask.region=file needs mask_file"),
    (["controls.pose.mask_file=a.png"], "mask_file is read with mask.region=file alone, and that is none"),
    (["regions={hat: {prompt: a hat, mask: {region: file}}}"], "regions.hat: mask.region=file needs mask_file"),
    (["controls.pose.control_guidance_end=0.2"], "controls.pose: counts at none of the"),
    (["controls.pose.timestep_keyframes=[{at: 0, scale: 0}]"], "controls.pose: counts at none of the"),
    (["controls.lineart.weight=0.3"], "control=[...,lineart]"),
    (["stylize.free_init.iterations=2", "stylize.scheduler=euler"], "free_init cannot begin a round again with"),
    (["stylize.free_init.iterations=2", "stylize.strength=1"], "stylize.free_init: the noise of model sprite"),
    (["stylize.windows.context_schedule=standard_static"], "nearest: standard-static"),
    (["model=sdxl_beta"], "model sdxl_beta is an SDXL family, which text2video alone draws"),
    (["stylize.loras=[{source: {kind: file, id: a.safetensors}, weight: '0: 1; 9: 0'}]"], "a LoRA has one weight for"),
    (["extract.short_side=512", "compute.max_memory=12"], "12 bytes (write a size as 6GiB) are too little"),
    (["regions={hat: {prompt: a hat, mask: {grow: 3}}}"], "known: region, dilate, feather"),
    (["regions.my hat.prompt=a hat"], "a key has no spaces"),
    (["regions={hat: {prompt: a hat}}"], "regions.hat.mask"),
    (["regions.hat.prompt=a red, pointed hat"], "regions.hat.mask: region none is nowhere: use person"),
    (["regions.hat.promt=a hat"], "unknown key 'regions.hat.promt'"),
    (["regions={hat: {prompt: '<lora:x:1> hat', mask: {region: hair}}}"], "regions.hat.prompt"),
    (["regions={hat: {prompt: a hat, mask: {region: head}}}"], "regions.hat.mask.region"),
    (
        ["stylize.composite=keep_background", "stylize.detector=canny"],
        "stylize.detector: detector 'canny' finds no poses",
    ),
    (["controls.pose.weight_schedule=[1,0]"], "controls.pose.weight_schedule: 2 values for 3 frames"),
    (["controls.pose.preprocess=blazepsoe"], "nearest: blazepose"),
    (["seed=-1"], "seed"),
    (["clip="], "clip: is empty"),
    (["controls.pose=null"], "controls.pose: must be a group of keys"),
    (["stylize.clip_skip=2"], "stylize.clip_skip: 2 of the text encoder's 2 layers"),
    (["controls.pose.layer_weights=[1,1]"], "controls.pose.layer_weights: 2 values, its ControlNet has 7 residuals"),
    (["stylize.scheduler=lcm", "stylize.num_inference_steps=60"], "stylize.num_inference_steps: 60 are over the 50"),
    (["stylize.loras=[{source: {kind: file, id: style.ckpt}}]"], "stylize.loras.0.source: style.ckpt: only .safeten"),
    ([f"prompt={'abcdefgh ' * 1300}"], "prompt: the text 'abcdefgh abcdefgh"),
    (["extract.start=1", "extract.end=1"], "start (1 s) must be before end (1 s)"),
    (["extract.start=3"], "extract.start: 3.000 s is outside the clip"),
    (["preprocess.blazepose.qqq=1"], "unknown key 'preprocess.blazepose.qqq'"),
    (["preprocess.pose_map.missing=maybe"], "preprocess.pose_map.missing: must be"),
    (["stylize.guidance_scale=nan"], "stylize.guidance_scale"),
    (["control=[pose,null]"], "names no file of conf/control"),
]


@pytest.mark.parametrize(("overrides", "says"), BAD, ids=[" ".join(bad[0])[:80] for bad in BAD])
def test_bad_input_is_refused_before_anything_runs(
    overrides: list[str], says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    base = [f"paths.store={tmp_path / 'store'}", f"paths.output={tmp_path / 'out'}", "tracking=none"]
    small = SMALL if not any(o.startswith("extract.max") for o in overrides) else []
    assert cli.main(["dance", *small, *base, *overrides]) == 2
    captured = capsys.readouterr()
    assert says in captured.err
    assert "Traceback" not in captured.err
    assert not Store(tmp_path / "store").digests()


def whole(path: Path) -> bytes:
    """A playable movie, written there; its bytes."""
    from tests.tasks.media_samples import numbered

    return numbered(path, 30).read_bytes()


def silent_of_pictures(path: Path) -> None:
    from tests.tasks.media_samples import clicks

    clicks(path.with_suffix(".wav"), 0.5).rename(path)


def no_frames(path: Path) -> None:
    from tests.tasks.media_samples import run

    run("-f", "lavfi", "-i", "color=s=64x64", "-frames:v", 0, "-c:v", "libx264", path)


SOURCES = [
    ("empty.mp4", lambda path: path.write_bytes(b""), "is empty (0 bytes)"),
    ("text.mp4", lambda path: path.write_text("no video\n" * 99), "is not a video that can be read"),
    ("cut.mp4", lambda path: path.write_bytes(whole(path)[:-2000]), "truncated or damaged: its index"),
    ("half_index.mp4", lambda path: path.write_bytes(whole(path)[:-600]), "cut off within its index"),
    ("sound.wav", silent_of_pictures, "holds only sound"),
    ("none.mkv", no_frames, "holds zero frames"),
]


@pytest.mark.parametrize(("name", "make", "says"), SOURCES, ids=[source[0] for source in SOURCES])
def test_a_source_that_cannot_be_used_is_named(
    name: str, make: Callable[[Path], object], says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    make(tmp_path / name)
    code = cli.main(["dance", *SMALL, f"clip={tmp_path / name}", f"paths.store={tmp_path / 'store'}"])
    message = capsys.readouterr().err
    assert code == 2
    assert name in message
    assert says in message
    assert "Traceback" not in message
    assert not Store(tmp_path / "store").digests()


def test_a_file_in_the_way_of_the_store_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    (tmp_path / "file").write_text("in the way")
    assert cli.main(["dance", *SMALL, f"paths.store={tmp_path / 'file' / 'store'}"]) == 2
    assert f"paths.store: {tmp_path / 'file' / 'store'} is not a folder" in capsys.readouterr().err


def test_output_that_cannot_be_written_is_said_first(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    (tmp_path / "file").write_text("in the way")
    code = cli.main(["dance", *SMALL, f"paths.store={tmp_path / 'store'}", f"paths.output={tmp_path / 'file' / 'out'}"])
    assert code == 2
    assert "paths.output" in capsys.readouterr().err
    assert not Store(tmp_path / "store").digests()


@pytest.mark.skipif(cuda_devices() > 0, reason="there is a card here")
def test_a_card_that_is_not_there_is_said_first(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert cli.main(["dance", *SMALL, f"paths.store={tmp_path / 'store'}", "compute=cuda"]) == 2
    assert "compute.device: no NVIDIA GPU" in capsys.readouterr().err


def test_absent_models_and_an_unreachable_hub(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    code = cli.main(["dance", *SMALL, f"paths.store={tmp_path / 'store'}", "model=sd15", "extract.short_side=512"])
    assert code == 2
    message = capsys.readouterr().err
    assert "hub" in message
    assert "fix:" in message
