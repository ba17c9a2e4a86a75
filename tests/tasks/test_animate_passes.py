"""Films of more than one pass, wired as the flow wires them: enlarged and refined, with sound, in sections."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import LTXConditionPipeline
from diffusers.pipelines.ltx.pipeline_ltx_condition import LTXVideoCondition

from reel.clip import Clip
from reel.store import Store
from tasks.animate.catalogue import RECIPES
from tasks.animate.replay import call
from tasks.animate.settings import Decode, Embed, Encode, Key, Sound, Upsample
from tasks.animate.sound import wav
from tasks.animate.stored import put_kept
from tests.tasks import animate_models as tiny
from tests.tasks import ltx2_models
from tests.tasks.animate_film import LTX, Film, decoding, denoising, here, sources, toy_family  # noqa: F401
from tests.tasks.animate_models import one_thread  # noqa: F401

pytestmark = pytest.mark.filterwarnings("ignore")


def test_two_passes_are_the_stock_pipelines(store: Store, family: Path):
    from diffusers import LTXLatentUpsamplePipeline

    film = Film(store)
    small = film.given()
    first = denoising(keys=[Key(at=0)])
    given = {name: digest for name, digest in small.items() if not name.endswith("_1")}
    drafted = film.run("denoise", first, given)
    up = Upsample(architecture="ltx", sources=sources(["latent_upsampler", "vae"]), adain=1.0, tone_map=0.6)
    larger = film.run("upsample", up, {"denoised": drafted})
    big = {name: digest for name, digest in film.given(128, 64).items() if not name.endswith("_1")}
    second = denoising(keys=[Key(at=0)], width=128, height=64, denoise_strength=0.6, guidance_scale=1.0)
    with_latents = {**big, "latents": larger}
    with_latents["embeddings"] = film.run(
        "embed",
        Embed(
            architecture="ltx",
            sources=sources([*LTX.text]),
            texts=[("she waves slowly", "")],
            max_tokens=16,
            guided=False,
        ),
        {},
    )
    refined = film.run("denoise", second, with_latents)
    assert film.ctx.facts["steps"] == 3
    decoded = film.run("decode", decoding(second, keep=17), {"denoised": refined, **with_latents})

    parts = tiny.read_ltx(family / "tiny_ltx")
    pipe = LTXConditionPipeline(**parts)
    enlarge = LTXLatentUpsamplePipeline(vae=parts["vae"], latent_upsampler=tiny.upsampler())
    for each in (pipe, enlarge):
        each.set_progress_bar_config(disable=True)
    common = {
        "prompt": "she waves slowly",
        "negative_prompt": "still",
        "num_frames": 17,
        "frame_rate": 24,
        "num_inference_steps": 5,
        "image_cond_noise_scale": 0.0,
        "max_sequence_length": 16,
    }
    latents = pipe(
        **common,
        conditions=[LTXVideoCondition(image=tiny.picture(0, 64, 32))],
        width=64,
        height=32,
        guidance_scale=3.0,
        generator=torch.Generator().manual_seed(3),
        output_type="latent",
    ).frames
    latents = enlarge(
        latents=latents, width=128, height=64, adain_factor=1.0, tone_map_compression_ratio=0.6, output_type="latent"
    ).frames
    frames = pipe(
        **common,
        conditions=[LTXVideoCondition(image=tiny.picture(0, 128, 64))],
        width=128,
        height=64,
        guidance_scale=1.0,
        latents=latents,
        denoise_strength=0.6,
        decode_timestep=0.05,
        decode_noise_scale=0.025,
        generator=torch.Generator().manual_seed(3),
        output_type="np",
    ).frames[0]
    assert np.array_equal(Clip.open(store, decoded).array(), (frames * 255).round().astype(np.uint8))


def test_ltx2_draws_picture_and_sound_by_stages(store: Store, family: Path, monkeypatch: pytest.MonkeyPatch):
    """Embeddings stand in for its text encoder; see `tests.tasks.test_animate_parity`."""
    import diffusers
    from diffusers.pipelines.ltx2.pipeline_ltx2_condition import LTX2VideoCondition

    ltx2_models.write(family / "tiny_av")
    drawn = torch.Generator().manual_seed(11)
    texts, mask = [torch.randn(1, 6, 3 * tiny.TEXT, generator=drawn) for _ in range(2)], torch.ones(1, 6).long()
    pipeline = diffusers.LTX2ConditionPipeline
    made = (texts[0], mask, texts[1], mask)
    monkeypatch.setattr(pipeline, "encode_prompt", lambda self, prompt, negative_prompt=None, **_: made)
    recipe, film = RECIPES["ltx2"], Film(store)
    connectors = {"connectors": ltx2_models.parts()["connectors"]}
    kept = call.embed(call.Stock(pipeline), connectors, [("she waves", "still")], guided=True, limit=6, device="cpu")
    given = {"embeddings": put_kept(store, "embeddings", kept, texts=[["she waves", "still"]])}

    def part(*real: str) -> dict[str, Any]:
        return {"architecture": "ltx2", "sources": sources(recipe.needs(*real), "tiny_av")}

    given["frames_0"] = film.picture(0, 32, 32)
    given["encoded_0"] = film.run("encode", Encode(**part("vae")), {"frames_0": given["frames_0"]})
    blocks = {"stg_scale": 1.0, "spatio_temporal_guidance_blocks": [0], "audio_guidance_scale": 2.0}
    cfg = denoising(
        **part("transformer"), frames=5, width=32, keys=[Key(at=0)], num_inference_steps=3, max_tokens=6, call=blocks
    )
    denoised = {"denoised": film.run("denoise", cfg, given), **given}
    assert film.ctx.facts["steps"] == 3
    decoded = film.run("decode", Decode(**part("vae"), denoise=cfg, keep=5), denoised)
    heard = film.run("sound", Sound(**part("audio_vae", "vocoder"), denoise=cfg, keep=5 / 24), denoised)

    pipe = pipeline(**ltx2_models.read(family / "tiny_av"), text_encoder=None, tokenizer=None)
    pipe.set_progress_bar_config(disable=True)
    stock = pipe(
        prompt="she waves",
        negative_prompt="still",
        conditions=[LTX2VideoCondition(frames=tiny.picture(0, 32, 32), index=0, crf=0)],
        width=32,
        height=32,
        num_frames=5,
        frame_rate=24,
        num_inference_steps=3,
        guidance_scale=3.0,
        guidance_rescale=0.0,
        generator=torch.Generator().manual_seed(3),
        output_type="np",
        **blocks,
    )
    assert np.array_equal(Clip.open(store, decoded).array(), (stock.frames[0] * 255).round().astype(np.uint8))
    sound = store.get(heard)
    assert sound.read("sound.wav") == wav(stock.audio[0].numpy(), sound.meta["rate"], 5 / 24)[0]
    assert Fraction(sound.meta["seconds"]) <= Fraction(5, 24)


def test_a_long_film_is_made_in_sections_with_a_prompt_each(store: Store, family: Path):
    import diffusers

    recipe, film = RECIPES["ltx_long"], Film(store)
    cut = {"temporal_tile_size": 24, "temporal_overlap": 8}
    assert recipe.sections is not None
    assert recipe.sections(cut, 33) == [0, 16]
    assert recipe.sections({}, 97) == [0, 56]
    assert recipe.sections({}, 73) == [0]
    words = [("she waves", "still"), ("she stands still", "still")]
    embed = Embed(architecture="ltx_long", sources=sources([*recipe.text]), texts=words, max_tokens=16)
    given = {"embeddings": film.run("embed", embed, {}), "frames_0": film.picture(0)}

    def part(real: str) -> dict[str, Any]:
        return {"architecture": "ltx_long", "sources": sources(recipe.needs(real))}

    given["encoded_0"] = film.run("encode", Encode(**part("vae")), {"frames_0": given["frames_0"]})
    cfg = denoising(**part("transformer"), frames=33, keys=[Key(at=0, strength=0.8)], num_inference_steps=4, call=cut)
    denoised = film.run("denoise", cfg, given)
    decode = Decode(**part("vae"), denoise=cfg, keep=33, decode_timestep=0.05, decode_noise_scale=0.025)
    decoded = film.run("decode", decode, {"denoised": denoised, **given})
    parts = tiny.read_ltx(family / "tiny_ltx")
    parts["scheduler"] = diffusers.LTXEulerAncestralRFScheduler.from_config(parts["scheduler"].config)
    pipe = diffusers.LTXI2VLongMultiPromptPipeline(**parts)
    pipe.set_progress_bar_config(disable=True)
    stock = pipe(
        prompt=[positive for positive, _ in words],
        negative_prompt="still",
        cond_image=tiny.picture(0, 64, 32),
        cond_strength=0.8,
        width=64,
        height=32,
        num_frames=33,
        frame_rate=24,
        num_inference_steps=4,
        guidance_scale=3.0,
        seed=3,
        max_sequence_length=16,
        decode_timestep=0.05,
        decode_noise_scale=0.025,
        decode_horizontal_tiles=1,
        decode_vertical_tiles=1,
        generator=torch.Generator().manual_seed(3),
        output_type="np",
        **cut,
    ).frames[0]
    assert np.array_equal(Clip.open(store, decoded).array(), (np.asarray(stock) * 255).round().astype(np.uint8))
