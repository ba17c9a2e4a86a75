"""The family in data/models/sprite loads as diffusers' own classes and does what prompts and skeletons ask."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from tasks.preprocess.pose_map import draw_poses  # noqa: E402
from tasks.sprite import export, few_lora, networks, probe, spec  # noqa: E402
from tasks.sprite.attributes import BACKGROUND_COLORS, random_attributes  # noqa: E402
from tasks.sprite.captions import plain_caption  # noqa: E402
from tasks.sprite.clips import load_pipeline, pose_maps, render_clip, sampling_of  # noqa: E402
from tasks.sprite.diffusion import Control, Family, sample  # noqa: E402
from tasks.sprite.drawing import draw_figure  # noqa: E402
from tasks.sprite.latents import to_map  # noqa: E402
from tasks.sprite.poses import clip_of, person_of  # noqa: E402
from tasks.sprite.stage_vae import to_pictures, to_signed  # noqa: E402

FOLDER = Path(__file__).parents[2] / "data" / "models" / "sprite"
COUNT = 24

pytestmark = pytest.mark.skipif(not (FOLDER / "unet").is_dir(), reason="the embedded family is not in this checkout")


@pytest.fixture(scope="module")
def family() -> Family:
    return Family(*(networks.load(FOLDER, part) for part in ("tokenizer", "text_encoder", "unet", "vae", "scheduler")))


@pytest.fixture(scope="module")
def world() -> spec.Spec:
    """What the family in this checkout draws, of whatever generation it is."""
    return spec.load(FOLDER)


@pytest.fixture(scope="module")
def wanted(world):
    rng = np.random.default_rng(31)
    return ([random_attributes(rng, world.choices) for _ in range(COUNT)],
            np.stack([person_of(rng, world) for _ in range(COUNT)]))  # fmt: skip


def test_every_part_is_there_as_fp16_and_the_whole_is_small():
    from safetensors.numpy import load_file

    folders = {path.name for path in FOLDER.iterdir() if path.is_dir()}
    assert folders - {few_lora.FOLDER} == set(export.PARTS)
    assert export.check_size(FOLDER) <= 30_000_000
    files = sorted(FOLDER.glob("*/*.safetensors"))
    assert len(files) == 8 + (few_lora.FOLDER in folders)
    for path in files:
        assert {str(tensor.dtype) for tensor in load_file(path).values()} == {"float16"}


def test_drawings_survive_the_vae(family, wanted, world):
    drawn = [draw_figure(p, a, world.frame) for a, p in zip(*wanted, strict=True)]
    pictures = to_signed(np.stack([drawing.rgb for drawing in drawn]))
    with torch.no_grad():
        z = family.vae.encode(pictures).latent_dist.mean
        error = (family.vae.decode(z).sample.clamp(-1, 1) - pictures).square().mean()
    assert 10 * np.log10(4 / float(error)) > 25
    assert 0.7 < float(z.std()) < 1.4  # the scale that the UNet was trained on


@pytest.mark.slow
def test_words_set_the_background_and_the_skeleton_sets_the_pose(family, wanted, world):
    attributes, people = wanted
    maps = to_map([draw_poses([person], world.frame, world.frame) for person in people])
    prompts = [plain_caption(a, world.choices) for a in attributes]
    control = Control(networks.load(FOLDER, "controlnet_openpose"), maps)
    pictures = to_pictures(sample(family, prompts, [control], steps=10, seed=3))
    palette = np.array(list(BACKGROUND_COLORS.values()))
    edge = np.median(pictures[:, :3].reshape(COUNT, -1, 3), axis=1)
    nearest = np.abs(edge[:, None] - palette).sum(-1).argmin(1)
    asked = [list(BACKGROUND_COLORS).index(a.background) for a in attributes]
    assert (nearest == asked).mean() >= 0.8
    reading = probe.read(probe.load(FOLDER / "probe.safetensors"), pictures)
    posed, chance = (probe.joint_error(reading.joints, p, world.frame) for p in (people, np.roll(people, 1, axis=0)))
    assert posed < 0.6 * chance


@pytest.mark.slow
def test_the_stock_pipeline_takes_the_family_as_it_is(world):
    maps = pose_maps(clip_of(np.random.default_rng(8), world)[:4], world.frame)
    how = sampling_of(FOLDER)
    pipe = load_pipeline(FOLDER, ["openpose"], teacher=how.teacher)
    clips = [render_clip(pipe, f"a dancer, {color} background", np.full_like(maps, 128), maps, seed=0, strength=0.9,
                         sampling=how) for color in ("blue", "yellow")]  # fmt: skip
    assert [clip.shape for clip in clips] == [(4, world.frame, world.frame, 3)] * 2
    blue, yellow = (np.median(clip[:, :3].reshape(-1, 3), axis=0) for clip in clips)
    assert blue[2] > blue[0]
    assert yellow[0] > yellow[2]
