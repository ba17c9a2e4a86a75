"""SDXL families by the ops: what diffusers' SDXL pipeline draws of words alone, and what they do not take."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from reel import op
from reel.clip import Clip
from reel.compute import Compute
from reel.config import parse
from reel.errors import UserError
from reel.keys import make_key
from reel.schedule.compile import PromptTrack
from reel.store import Store
from tasks.networks import stored
from tasks.stylize.blank import Blank
from tasks.stylize.engine import schedulers
from tasks.stylize.settings.embed import Embed
from tasks.stylize.settings.split import Stages
from tasks.weights.fetch import content_id, embedded_root
from tests.tasks.tiny_family import family_config, sdxl_config, write_sdxl
from tests.tasks.tiny_render import inputs
from tests.tasks.tiny_settings import settings

pytestmark = pytest.mark.filterwarnings("ignore")
WIDTH, HEIGHT, COUNT = 32, 48, 5
"""px, px, frames: sides that differ, so that heights and widths that are mixed up are seen."""


@pytest.fixture(scope="module")
def families(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of embedded families with the toy SDXL family `tiny_xl` in it."""
    root = tmp_path_factory.mktemp("models")
    write_sdxl(root / "tiny_xl")
    return root


def words_alone(track: PromptTrack | None = None, **changes: Any) -> Stages:
    plain = {"strength": 1.0, "controls": {}, "negative_prompt": "blurred", "seed": 3, "from_noise": True}
    return settings(track, model=sdxl_config("tiny_xl"), **{**plain, **changes})


def ready(store: Store) -> op.Context:
    return op.Context(store, Compute(device="cpu", threads=1))


def denoised(store: Store, stages: Stages, count: int = COUNT) -> str:
    """Digest of the latents that a clip is drawn to."""
    size = parse(Blank, {"width": WIDTH, "height": HEIGHT, "frames": count, "fps": 8})
    given = {"latents": op.get("stylize", "blank").fn(size, {}, ready(store))}
    given["embeddings"] = op.get("stylize", "embed").fn(stages.embed, {}, ready(store))
    return op.get("stylize", "denoise").fn(stages.denoise, given, ready(store))


def stock(stages: Stages, **asked: Any) -> Any:
    """What diffusers' pipeline makes of the same settings."""
    from diffusers import AnimateDiffSDXLPipeline, AutoencoderKL, MotionAdapter, UNet2DConditionModel
    from transformers import CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

    cfg, root = stages.denoise, embedded_root() / "tiny_xl"
    family = json.loads((root / "scheduler" / "scheduler_config.json").read_text())
    unet = UNet2DConditionModel.from_pretrained(root / "unet")
    pipe = AnimateDiffSDXLPipeline(
        vae=AutoencoderKL.from_pretrained(root / "vae"),
        text_encoder=CLIPTextModel.from_pretrained(root / "text_encoder"),
        text_encoder_2=CLIPTextModelWithProjection.from_pretrained(root / "text_encoder_2"),
        tokenizer=CLIPTokenizer.from_pretrained(root / "tokenizer"),
        tokenizer_2=CLIPTokenizer.from_pretrained(root / "tokenizer_2"),
        unet=unet,
        motion_adapter=MotionAdapter.from_pretrained(root / "motion_adapter"),
        scheduler=schedulers.make(cfg.scheduler, {**family, **cfg.model.scheduler_config}),
    )
    # diffusers 0.42 joins base and motion module without the layers that read sizes and pooled text: they stay random
    pipe.unet.add_embedding.load_state_dict(unet.add_embedding.state_dict())
    pipe.set_progress_bar_config(disable=True)
    ((prompt, negative),) = stages.embed.texts
    torch.set_num_threads(1)
    return pipe(
        prompt=prompt,
        negative_prompt=negative or None,
        num_frames=COUNT,
        height=HEIGHT,
        width=WIDTH,
        num_inference_steps=cfg.num_inference_steps,
        guidance_scale=float(cfg.guidance_scale),
        generator=torch.Generator("cpu").manual_seed(cfg.seed),
        **asked,
    ).frames


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"guidance_scale": 1.0},
        {"negative_prompt": ""},
        {"scheduler": "euler", "num_inference_steps": 3},
        {"frame_block": 2},
    ],
    ids=["guided", "unguided", "no negative prompt", "euler", "in blocks"],
)
def test_the_same_latents_and_pictures_as_the_stock_pipeline(world, changes):
    stages = words_alone(**changes)
    digest = denoised(world, stages)
    latents = stored.take(world, digest, "latents")[0]["latents"]
    expected = stock(stages, output_type="latent")[0].transpose(0, 1)
    assert float((latents - expected).abs().max() / expected.abs().max()) <= 1e-5
    clip = Clip.open(world, op.get("stylize", "decode").fn(stages.decode, {"latents": digest}, ready(world)))
    pictures = (stock(stages, output_type="np")[0] * 255).round().astype(int)
    assert np.abs(clip.array().astype(int) - pictures).max() <= 1, "rounding may differ by one step of 255"


def test_sizes_and_pooled_texts_matter_to_the_toy_family(world):
    """Otherwise the comparison above would hold without them."""
    stages = words_alone(guidance_scale=1.0)
    plain = stock(stages, output_type="latent")
    for other in ({"original_size": (8, 8)}, {"pooled_prompt_embeds": torch.ones(1, 20)}):
        assert float((stock(stages, output_type="latent", **other) - plain).abs().max()) > 1e-3, other


def test_a_clip_longer_than_the_window(world):
    stages = words_alone(windows={"context_length": 4, "context_overlap": 2}, free_init={"iterations": 2})
    assert len(stored.take(world, denoised(world, stages, 11), "latents")[0]["latents"]) == 11


def test_each_frame_has_its_own_pooled_text_under_a_schedule(world):
    """With windows of one frame, frames of one text are those of a render of that text."""
    alone = {"windows": {"context_length": 1, "context_overlap": 0}}
    texts = (("a red coat", "blurred"), ("zz blue 7", "dull"))
    steps = np.array([0, 0, 0, 1, 1])
    track = PromptTrack(texts, steps, np.array([0, 0, 1, 1, 1]), np.array([0, 0, 0.5, 0, 0]))

    def drawn(track: PromptTrack | None, **changes: Any) -> torch.Tensor:
        return stored.take(world, denoised(world, words_alone(track, **alone, **changes)), "latents")[0]["latents"]

    found = drawn(track)
    red, blue = (drawn(None, prompt=prompt, negative_prompt=negative) for prompt, negative in texts)
    torch.testing.assert_close(found[:2], red[:2], rtol=0, atol=1e-4)
    torch.testing.assert_close(found[3:], blue[3:], rtol=0, atol=1e-4)
    for text in (red, blue):
        assert float((found - text)[2].abs().max()) > 1e-3, "half of each"


def keys(stages: Stages) -> dict[str, str]:
    """Keys of embed and denoise for inputs that stay the same."""
    given = {"embed": {}, "denoise": {"latents": "l", "embeddings": "e"}}
    every = {name: op.get("stylize", name) for name in given}
    return {
        name: make_key(
            one,
            getattr(stages, name),
            given[name],
            {source.label: content_id(source) for source in one.models(getattr(stages, name))},
        ).digest
        for name, one in every.items()
    }


def test_another_seed_embeds_nothing_anew_and_both_encoders_are_in_the_key(world, families):
    first, other = keys(words_alone()), keys(words_alone(seed=4))
    assert (first["embed"] == other["embed"], first["denoise"] == other["denoise"]) == (True, False)
    for name in ("text_encoder", "text_encoder_2", "tokenizer", "tokenizer_2"):
        extra = families / "tiny_xl" / name / "changed.txt"
        extra.write_text("other bytes")
        try:
            changed = keys(words_alone())
            assert changed["embed"] != first["embed"], name
            assert changed["denoise"] == first["denoise"], name
        finally:
            extra.unlink()


def test_settings_of_other_families_do_not_say_their_architecture():
    assert "architecture" not in settings().embed.model_dump()
    assert words_alone().embed.model_dump()["architecture"] == "sdxl"


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"controls": {"pose": {"kind": "openpose"}}}, "control"),
        ({"clip_skip": 1}, "stylize.clip_skip"),
        ({"ip_adapter": {"picture": "nowhere.png"}}, "stylize.ip_adapter"),
        ({"loras": [{"source": {"kind": "file", "id": "a.safetensors"}}]}, "stylize.loras"),
        ({"motion_loras": [{"source": {"kind": "file", "id": "a.safetensors"}}]}, "stylize.motion_loras"),
        ({"embeddings": {"mine": {"kind": "file", "id": "a.safetensors"}}}, "stylize.embeddings"),
        ({"regions": {"hat": {"prompt": "a hat", "mask": {"region": "person"}}}}, "regions"),
    ],
)
def test_what_sdxl_does_not_take_is_refused_by_its_key(world, changes, key):
    with pytest.raises(UserError, match=rf"^{key}: model tiny_xl is an SDXL family, drawn by words alone") as caught:
        words_alone(**changes)
    assert "it takes prompts and their schedules" in caught.value.message
    assert caught.value.fix.endswith("or model=sd15")


def test_families_own_loras_and_bases_in_one_file_are_refused(world):
    own = sdxl_config("tiny_xl")
    lora = {**own, "loras": [{"source": {"kind": "file", "id": "a.safetensors"}}]}
    file = {**own, "base": {"kind": "file", "id": "xl.safetensors"}, "base_config": own["base"]}
    for model, key in ((lora, "model.loras"), (file, "model.base")):
        with pytest.raises(UserError, match=f"^{key}: model tiny_xl is an SDXL family"):
            settings(model=model, controls={}, from_noise=True)


def test_nothing_but_words_leads_an_sdxl_family(world):
    with pytest.raises(UserError, match="SDXL family, which text2video alone draws"):
        settings(model=sdxl_config("tiny_xl"), controls={})
    stages, given = words_alone(), inputs(world, 3)
    ctx = ready(world)
    both = {
        "latents": op.get("stylize", "encode").fn(stages.encode, {"frames": given["frames"]}, ctx),
        "embeddings": op.get("stylize", "embed").fn(stages.embed, {}, ctx),
    }
    with pytest.raises(UserError, match="SDXL family, which text2video alone draws"):
        op.get("stylize", "denoise").fn(stages.denoise, both, ctx)


def test_embeddings_of_another_architecture_are_refused(world):
    ctx, stages = ready(world), words_alone()
    size = parse(Blank, {"width": WIDTH, "height": HEIGHT, "frames": 2, "fps": 8})
    one = parse(Embed, {"base": family_config("tiny_xl")["base"], "texts": [["a", ""]]})
    given = {"latents": op.get("stylize", "blank").fn(size, {}, ctx)}
    given["embeddings"] = op.get("stylize", "embed").fn(one, {}, ctx)
    with pytest.raises(UserError, match=r"^embeddings: were made for another architecture than sdxl"):
        op.get("stylize", "denoise").fn(stages.denoise, given, ctx)
