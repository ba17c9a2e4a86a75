"""What an animator refuses before any model loads: the silent traps of the pipelines, each as a check."""

from __future__ import annotations

import importlib
import inspect
import json
import logging
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from flows.commands.models import family
from reel.errors import UserError
from reel.models.animator import Animator, FrameRule
from reel.models.family import Size
from tasks.animate import checks, loras, pictures
from tasks.animate.catalogue import RECIPES
from tasks.animate.flash import end_flash
from tasks.animate.settings import Denoise, Key, Sampling
from tests.families import animators

LTX: Any = family("ltx_2b")
LTX2: Any = family("ltx2")


def keyed(*at: int, name: str = "pictures") -> list[tuple[str, Key]]:
    return [(f"{name}.{number}", Key(at=frame)) for number, frame in enumerate(at)]


@pytest.mark.parametrize(
    ("asked", "near"), [(120, 121), (96, 97), (16, 17), (100, 97), (101, 105), (1, 9), (5, 9), (1000, 257)]
)
def test_lengths_that_ltx_would_cut_are_refused_with_the_nearest(asked: int, near: int):
    with pytest.raises(UserError, match=rf"frames: model ltx_2b makes 8k\+1, 9 to 257 frames, got {asked}") as said:
        checks.frames(asked, LTX, "error")
    assert said.value.fix == f"frames={near}, or snap=nearest"
    assert checks.frames(asked, LTX, "nearest") == near
    assert checks.frames(near, LTX, "error") == near


@pytest.mark.parametrize(("step", "rest", "least"), [(4, 1, 5), (1, 0, 1), (33, 7, 40), (2, 0, 14)])
def test_the_nearest_length_is_one_that_fits(step: int, rest: int, least: int):
    rule = FrameRule(step=step, rest=rest, least=least, most=200)
    fitting = [n for n in range(1, 300) if rule.fits(n)]
    for asked in range(1, 300):
        assert rule.nearest(asked) in fitting
        assert abs(rule.nearest(asked) - asked) == min(abs(n - asked) for n in fitting)


def test_frames_behind_the_end_count_for_the_limit():
    assert checks.rendered(97, 8, LTX) == 105
    with pytest.raises(UserError, match="257 and 8 that are made to be cut off are more than the 257"):
        checks.rendered(257, 8, LTX)
    with pytest.raises(UserError, match="makes multiples of 8 more, got 5"):
        checks.rendered(97, 5, LTX)


def test_sides_off_the_rule_are_refused_or_moved(caplog: pytest.LogCaptureFixture):
    assert checks.side("width", 704, LTX, "error", 32) == 704
    with pytest.raises(UserError, match="width: sides must be multiples of 32 px") as said:
        checks.side("width", 700, LTX, "error", 32)
    assert said.value.fix == "width=704, or snap=nearest"
    with caplog.at_level(logging.WARNING):
        assert checks.side("height", 500, LTX, "nearest", 64) == 512
    assert "height: 512 instead of 500" in caplog.text
    with pytest.raises(UserError, match="more pixels than model ltx_2b makes"):
        checks.size(2048, 2048, LTX)


@pytest.mark.parametrize(
    ("found", "said"),
    [
        ([], "picture: there is none"),
        (keyed(97), "frame 97 is past the end: 97 frames"),
        (keyed(0, 8, 8), "frame 8 has a picture already"),
        (keyed(*range(0, 96, 5)), "takes 16 at most, got 20"),
    ],
)
def test_places_of_pictures_that_pipelines_accept_in_silence(found: Any, said: str):
    with pytest.raises(UserError, match=said):
        checks.keys(found, 97, LTX, "error")


def test_places_between_the_grid():
    """LTX gives them tokens of their own; LTX-2 knows latents alone, and would take one for another."""
    assert [key.at for key in checks.keys(keyed(0, 7, 96), 97, LTX, "error")] == [0, 7, 96]
    with pytest.raises(UserError, match=r"takes pictures at multiples of 8, got frame 7") as said:
        checks.keys(keyed(0, 7), 97, LTX2, "error")
    assert said.value.fix == "at=8, or snap=nearest"
    assert [key.at for key in checks.keys(keyed(0, 7), 97, LTX2, "nearest", 8)] == [0, 8]
    for one, other in ((47, 49), (0, 3)):
        with pytest.raises(UserError, match=r"has a picture already"):
            checks.keys(keyed(one, other), 97, LTX2, "nearest", 8)


def test_a_last_picture_that_would_stand_behind_all_frames_is_refused():
    assert [key.at for key in checks.keys(keyed(0, 96), 97, LTX2, "error", 8)] == [0, 96]
    with pytest.raises(UserError, match="puts a picture at frame 96 1 frame later, and makes none there") as said:
        checks.keys(keyed(0, 96), 97, LTX2, "error", 0)
    assert (said.value.fix or "").startswith("animate.extra_frames=8")
    checks.keys(keyed(0, 96), 97, LTX, "error", 0)


@pytest.mark.parametrize("at", [0, 8, 16, 48, 96])
def test_pictures_of_ltx2_stand_where_their_place_is_nearest(at: int):
    """By the pipeline's own coordinates: seconds at which the picture's tokens begin and end."""
    from diffusers import LTX2ConditionPipeline

    from tasks.animate.animators.ltx2 import _place

    place, fps = _place(at), 24
    if at == 0:
        assert place == 0
        return
    shape = SimpleNamespace(
        transformer_spatial_patch_size=1,
        transformer_temporal_patch_size=1,
        vae_temporal_compression_ratio=8,
        vae_spatial_compression_ratio=32,
    )
    coords = LTX2ConditionPipeline._prepare_keyframe_coords(shape, 1, 2, 2, (place - 1) * 8 + 1, 1, fps, "cpu")
    first, last = (float(one) * fps for one in coords[0, 0, 0])
    assert (round(first), round(last)) == (at + LTX2.limits.late, at + LTX2.limits.late + 1)


def test_a_negative_place_or_an_impossible_strength_is_no_key():
    for wrong in ({"at": -1}, {"at": 0, "strength": 0}, {"at": 0, "strength": 1.2}):
        with pytest.raises(ValueError, match=r"at|strength"):
            Key(**wrong)


def test_prompts(caplog: pytest.LogCaptureFixture):
    with pytest.raises(UserError, match="prompt: model ltx_2b needs one"):
        checks.prompt("  ", LTX)
    with caplog.at_level(logging.WARNING):
        checks.prompt("she waves", LTX)
    assert "2 words; model ltx_2b was trained with long ones" in caplog.text


def test_time_steps_of_a_distilled_model_and_a_scheduler_that_shifts():
    plain = {"_class_name": "FlowMatchEulerDiscreteScheduler", "shift": 1.0}
    checks.scheduler(plain, [1000, 725, 30], LTX)
    for change in ({"shift": 3.0}, {"use_dynamic_shifting": True}, {"shift_terminal": 0.1}):
        with pytest.raises(UserError, match=rf"would shift them \({next(iter(change))}\)"):
            checks.scheduler({**plain, **change}, [1000, 725, 30], LTX)
    with pytest.raises(UserError, match="names EulerDiscreteScheduler, which ltx is not run with"):
        checks.scheduler({"_class_name": "EulerDiscreteScheduler"}, None, LTX)
    distilled = family("ltx_distilled")
    assert isinstance(distilled, Animator)
    checks.scheduler({**plain, "shift": 3.0, **distilled.scheduler_config}, distilled.advice.timesteps, distilled)


def test_two_passes_need_an_enlarger_and_calls_known_arguments():
    with pytest.raises(UserError, match="model ltx_2b names no latent upsampler"):
        checks.sampling(Sampling(two_pass=True), LTX)
    checks.sampling(Sampling(two_pass=True), family("ltx_13b"))
    with pytest.raises(UserError, match=r"refine_strength: at 1 (.+) noise alone(.|\n)*refine_strength=0\.4"):
        checks.sampling(Sampling(two_pass=True, refine_strength=1.0), family("ltx_13b"))
    for change, said in (
        ({}, r"animate\.refine_timesteps: the second pass of model ltx2 begins at the noise of the first"),
        ({"refine_timesteps": [900, 400]}, r"animate\.refine_strength: model ltx2 does not read it"),
    ):
        with pytest.raises(UserError, match=said):
            checks.sampling(Sampling(two_pass=True, **change), LTX2)
    checks.sampling(Sampling(two_pass=True, refine_timesteps=[900, 400], refine_strength=1.0), LTX2)
    wrong = LTX.model_copy(update={"call": {"stg_scael": 1.0}})
    with pytest.raises(UserError, match=r"model\.call: stg_scael is not set there; known for ltx: none"):
        checks.sampling(Sampling(), wrong)
    wrong = LTX2.model_copy(update={"refine_call": {"stg_scael": 1.0}})
    with pytest.raises(UserError, match=r"model\.refine_call: stg_scael is not set there; known for ltx2: audio_"):
        checks.sampling(Sampling(), wrong)


def test_steps_that_come_to_none_are_refused():
    base = {"architecture": "ltx", "sources": {}, "frames": 9, "fps": 24, "width": 32, "height": 32}
    with pytest.raises(ValueError, match="less than one: nothing would be denoised"):
        Denoise(**base, num_inference_steps=2, guidance_scale=1, denoise_strength=0.4)


def write_lora(path: Path, width: int, **metadata: str) -> Any:
    from safetensors.numpy import save_file

    from reel.models.source import LoraSource

    name = "transformer.transformer_blocks.0.attn1.to_q.lora_A.weight"
    save_file({name: np.zeros((4, width), np.float32)}, path, metadata=metadata)
    return LoraSource.model_validate({"source": {"kind": "file", "id": str(path)}})


def test_the_nearest_length_leaves_room_for_what_is_cut_off():
    assert checks.frames(300, LTX, "nearest", 8) == 249
    assert checks.frames(300, LTX, "nearest") == 257
    assert checks.rendered(checks.frames(300, LTX, "nearest", 8), 8, LTX) == 257


@pytest.mark.parametrize("name", ["ltx_2b", "ltx2", "ltx_long"])
def test_what_a_pipeline_is_said_to_read_reaches_it(name: str):
    """A setting that changes a key and no call would render the same film again."""
    from tasks.animate.catalogue import RECIPES

    recipe = RECIPES[family(name).architecture]
    source = inspect.getsource(importlib.import_module(recipe.arguments.__module__))
    assert ("picture_noise" in recipe.reads) == ("cfg.picture_noise" in source)


def test_loras_for_sound_do_not_go_into_a_model_without(tmp_path: Path):
    from safetensors.numpy import save_file

    fits = write_lora(tmp_path / "fits.safetensors", 4096)
    heard = {
        f"transformer.transformer_blocks.0.{name}.to_q.lora_A.weight": np.zeros((4, width), np.float32)
        for name, width in (("attn1", 4096), ("audio_attn1", 2048))
    }
    save_file(heard, tmp_path / "heard.safetensors")
    both = fits.model_copy(
        update={"source": fits.source.model_copy(update={"id": str(tmp_path / "heard.safetensors")})}
    )
    loras.check([both], "ltx 2 19b", 4096, "ltx2", sounds=True)
    with pytest.raises(UserError, match="it has layers for sound, model ltx_13b has none"):
        loras.check([both], "ltxv 0.9.7 13b", 4096, "ltx_13b")
    alone = {name: tensor for name, tensor in heard.items() if "audio" in name}
    save_file(alone, tmp_path / "heard.safetensors")
    with pytest.raises(UserError, match="not one attention layer of a video transformer"):
        loras.check([both], "ltx 2 19b", 2048, "ltx2", sounds=True)


@pytest.mark.parametrize(
    ("made_for", "generation", "fits"),
    [
        ("Lightricks/LTX-Video-0.9.7-dev", "ltxv 0.9.7 13b", True),
        ("LTX-Video-0.9.8", "ltxv 0.9.7 13b", False),
        ("Lightricks/LTX-2", "ltx 2 19b", True),
        ("Lightricks/LTX-2", "ltxv 0.9.7 13b", False),
        ("ltxv", "ltxv 0.9.7 13b", True),  # no version: the width decides
    ],
)
def test_generations_are_told_apart_by_their_versions(made_for: str, generation: str, fits: bool, tmp_path: Path):
    lora = write_lora(tmp_path / "one.safetensors", 4096, base_model=made_for)
    if fits:
        loras.check([lora], generation, 4096, "it")
        return
    with pytest.raises(UserError, match="made for"):
        loras.check([lora], generation, 4096, "it")


def test_loras_of_another_generation_or_architecture(tmp_path: Path):
    fits = write_lora(tmp_path / "fits.safetensors", 2048, base_model="ltxv 0.9.5 2b")
    loras.check([fits], "ltxv 0.9.5 2b", 2048, "ltx_2b")
    other = write_lora(tmp_path / "other.safetensors", 2048, base_model="ltxv 0.9.7 13b")
    with pytest.raises(UserError, match=r"made for ltxv 0.9.7 13b, model ltx_2b is ltxv 0.9.5 2b"):
        loras.check([other], "ltxv 0.9.5 2b", 2048, "ltx_2b")
    wide = write_lora(tmp_path / "wide.safetensors", 4096)
    with pytest.raises(UserError, match="its layers are 4096 wide, those of model ltx_2b 2048"):
        loras.check([wide], "ltxv 0.9.5 2b", 2048, "ltx_2b")
    from safetensors.numpy import save_file

    save_file({"lora_unet_down": np.zeros((4, 4), np.float32)}, tmp_path / "unet.safetensors")
    unet = fits.model_copy(update={"source": fits.source.model_copy(update={"id": str(tmp_path / "unet.safetensors")})})
    with pytest.raises(UserError, match="not one attention layer of a video transformer"):
        loras.check([unet], "", 2048, "ltx_2b")


def save(folder: Path, name: str, picture: Image.Image, **more: Any) -> Path:
    picture.save(folder / name, **more)
    return folder / name


@pytest.mark.parametrize("case", ["none", "folder", "text", "gif", "small", "clear", "palette"])
def test_pictures_that_are_none(case: str, tmp_path: Path):
    plain = Image.new("RGB", (64, 64), "red")
    made = {
        "none": lambda: tmp_path / "absent.png",
        "folder": lambda: save(tmp_path, "a.png", plain).parent,
        "text": lambda: (tmp_path / "a.png", (tmp_path / "a.png").write_text("not a picture"))[0],
        "gif": lambda: save(tmp_path, "a.gif", plain, save_all=True, append_images=[Image.new("RGB", (64, 64))]),
        "small": lambda: save(tmp_path, "a.png", plain.resize((20, 64))),
        "clear": lambda: save(tmp_path, "a.png", Image.new("RGBA", (64, 64), (255, 0, 0, 90))),
        "palette": lambda: save(tmp_path, "a.png", Image.new("P", (64, 64), 0), transparency=0),
    }[case]()
    said = {
        "none": "there is no file",
        "folder": "is a folder, a picture is needed",
        "text": "a.png",
        "gif": "is not a still picture",
        "small": "32 px a side are the least",
        "clear": "has transparent pixels",
        "palette": "has transparent pixels",
    }[case]
    with pytest.raises(UserError, match=f"^picture: .*{said}"):
        pictures.look(made, "picture", background=False)
    if case == "clear":
        assert pictures.look(made, "picture", background=True).shape == 1.0


@pytest.mark.parametrize(
    ("key", "fix"),
    [
        ("picture", "picture={}"),
        ("pictures.1.picture", "pictures.1.picture={}"),
        ("stylize.references.0", "'stylize.references=[{}]'"),
        ("stylize.references.1", "'stylize.references=[...,{}]'"),
    ],
)
def test_of_a_folder_one_picture_is_proposed_as_it_is_typed(key: str, fix: str, tmp_path: Path):
    inside = save(tmp_path, "a.png", Image.new("RGB", (64, 64)))
    with pytest.raises(UserError) as caught:
        pictures.look(tmp_path, key, background=False)
    assert caught.value.fix == fix.format(inside)


def test_pictures_of_another_shape_than_the_film(tmp_path: Path):
    wide = pictures.look(save(tmp_path, "w.png", Image.new("RGB", (900, 200))), "picture", background=False)
    for fit, said in (("crop", "cut 78% of it away"), ("pad", "fill 78% of the frame"), ("stretch", "to 4.5 times")):
        with pytest.raises(UserError, match=said):
            pictures.check_fit(wide, 512, 512, fit, "picture")  # type: ignore[arg-type]
    pictures.check_fit(wide, 832, 480, "pad", "picture") if wide.shape < 3 else None
    tall = pictures.Still(Path("t.png"), 1080, 1920)
    assert pictures.bucket(tall, LTX.advice.sizes) == Size(width=480, height=832)
    assert pictures.bucket(pictures.Still(Path("s.png"), 640, 640), LTX.advice.sizes) == Size(width=512, height=512)


def clip(count: int = 48) -> np.ndarray:
    """A textured square that moves evenly over a ground, and gets a little lighter all the while."""
    noise = np.random.RandomState(0).randint(60, 180, (32, 32, 3))
    frames = np.full((count, 64, 64, 3), 90, np.int64)
    for number in range(count):
        left = number % 32
        frames[number, 16:48, left : left + 32] = noise
    return np.clip(frames + np.linspace(0, 20, count)[:, None, None, None], 0, 255).astype(np.uint8)


def test_a_flash_at_the_end_is_seen_and_even_motion_is_none():
    even = clip()
    assert not end_flash(even).seen
    light = even.copy()
    light[-3:] = np.clip(light[-3:].astype(int) + 40, 0, 255)
    assert end_flash(light).seen
    assert end_flash(light).brightness > 20
    tinted = even.copy()
    tinted[-4:, ..., 0] //= 2
    assert end_flash(tinted).seen
    blurred = even.copy()
    blurred[-2:] = blurred[-2:].mean(axis=(1, 2), keepdims=True)
    assert end_flash(blurred).seen
    assert end_flash(blurred).sharpness < 0.1
    assert not end_flash(even[:1]).seen
    fast = even[::8]
    assert not end_flash(fast).seen


def test_the_catalogue_is_complete():
    assert set(Animator.architectures()) == set(RECIPES), (
        "a module of tasks/animate/animators/ is a line in tasks/animate/catalogue.py"
    )
    found = animators()
    assert {"ltx_2b", "ltx_13b", "ltx_distilled", "ltx2"} <= {one.name for one in found}
    for model in found:
        limits, advice = model.limits, model.advice
        assert limits.frames.fits(advice.frames), model.name
        assert limits.frames.fits(advice.frames + advice.extra_frames), "there is room for what is cut off"
        assert limits.least_fps <= advice.fps <= limits.most_fps
        assert all(one.width * one.height <= limits.most_pixels for one in advice.sizes)
        assert all(one.width % model.multiple_of == one.height % model.multiple_of == 0 for one in advice.sizes)
        for one in advice.sizes:
            checks.size(one.width, one.height, model)
            assert checks.side("width", one.width, model, "error", model.multiple_of) == one.width
            assert checks.side("height", one.height, model, "error", model.multiple_of) == one.height
        assert limits.sizes or any(one.height > one.width for one in advice.sizes), "a portrait size"
        read = Sampling(**{name: getattr(advice, name) for name in Sampling.model_fields if hasattr(advice, name)})
        checks.sampling(read, model)
        assert limits.sound == bool(RECIPES[model.architecture].voices)
        assert json.dumps(model.facts())
