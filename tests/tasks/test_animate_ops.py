"""The ops of an animator, wired as the flow wires them, with the toy family: what each of them spares the others."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import LTXConditionPipeline
from diffusers.pipelines.ltx.pipeline_ltx_condition import LTXVideoCondition

from reel import op
from reel.clip import Clip, ClipWriter
from reel.compute import Compute
from reel.errors import UserError
from reel.live import PREVIEW, Live
from reel.store import Store
from tasks.animate import memory
from tasks.animate.catalogue import RECIPES
from tasks.animate.replay import call
from tasks.animate.settings import Decode, Denoise, Embed, Encode, Key, Sound, Upsample
from tasks.animate.sound import wav
from tasks.animate.stored import put_kept, take_result
from tasks.live.factors import Factors
from tasks.live.picture import Watcher
from tasks.networks.journal import unfinished
from tests.tasks import animate_models as tiny
from tests.tasks.animate_models import one_thread  # noqa: F401

pytestmark = pytest.mark.filterwarnings("ignore")
LTX = RECIPES["ltx"]


@pytest.fixture(scope="module")
def family(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("models")
    tiny.write_ltx(root / "tiny_ltx")
    return root


@pytest.fixture(autouse=True)
def here(family: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROTOSCOPE_MODELS", str(family))
    monkeypatch.setenv("ROTOSCOPE_CACHE", str(tmp_path / "cache"))


def sources(names: list[str], family: str = "tiny_ltx") -> dict[str, Any]:
    found = {}
    for name in names:
        part, _, what = name.partition(":")
        found[name] = {"kind": "embedded", "id": family, "files": [f"{part}/{what}.json" if what else f"{part}/*"]}
    return found


def stage(*real: str) -> dict[str, Any]:
    return {"architecture": "ltx", "sources": sources(LTX.needs(*real))}


def denoising(**changes: Any) -> Denoise:
    base = {
        "frames": 17,
        "fps": 24,
        "width": 64,
        "height": 32,
        "keys": [Key(at=0), Key(at=16, strength=0.7)],
        "num_inference_steps": 5,
        "guidance_scale": 3.0,
        "max_tokens": 16,
        "seed": 3,
    }
    return Denoise(**{**stage("transformer"), **base, **changes})


def decoding(denoise: Denoise, **changes: Any) -> Decode:
    base = {"keep": 9, "decode_timestep": 0.05, "decode_noise_scale": 0.025}
    return Decode(**stage("vae"), denoise=denoise, **{**base, **changes})


class Film:
    """A store, and the ops run in it."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.ctx = op.Context(store, Compute(device="cpu", threads=1), run="r")

    def run(self, name: str, cfg: Any, inputs: dict[str, str]) -> str:
        return op.get("animate", name).fn(cfg, inputs, self.ctx)

    def picture(self, seed: int, width: int = 64, height: int = 32) -> str:
        with ClipWriter(self.store, "rgb", width=width, height=height, time_base=Fraction(1, 24)) as writer:
            writer.add(np.asarray(tiny.picture(seed, width, height)), 0)
        return writer.digest

    def given(self, width: int = 64, height: int = 32) -> dict[str, str]:
        embed = Embed(
            architecture="ltx", sources=sources([*LTX.text]), texts=[("she waves slowly", "still")], max_tokens=16
        )
        found = {"embeddings": self.run("embed", embed, {})}
        for number in (0, 1):
            found[f"frames_{number}"] = self.picture(number, width, height)
            inputs = {"frames_0": found[f"frames_{number}"]}
            found[f"encoded_{number}"] = self.run("encode", Encode(**stage("vae")), inputs)
        return found


def stock(family: Path, guidance: float = 3.0, **more: Any) -> Any:
    """The frames of the stock pipeline for the same render."""
    pipe = LTXConditionPipeline(**tiny.read_ltx(family / "tiny_ltx"))
    pipe.set_progress_bar_config(disable=True)
    shown = ((0, 0, 1.0), (1, 16, 0.7))
    return pipe(
        prompt="she waves slowly",
        negative_prompt="still",
        conditions=[LTXVideoCondition(image=tiny.picture(n, 64, 32), frame_index=at, strength=s) for n, at, s in shown],
        width=64,
        height=32,
        num_frames=17,
        frame_rate=24,
        num_inference_steps=5,
        guidance_scale=guidance,
        image_cond_noise_scale=0.0,
        decode_timestep=0.05,
        decode_noise_scale=0.025,
        max_sequence_length=16,
        generator=torch.Generator().manual_seed(3),
        output_type="np",
        **more,
    ).frames[0]


def test_the_ops_draw_the_stock_pipelines_frames(store: Store, family: Path):
    film = Film(store)
    given, cfg = film.given(), denoising()
    denoised = film.run("denoise", cfg, given)
    decoded = film.run("decode", decoding(cfg), {"denoised": denoised, **given})
    clip = Clip.open(store, decoded)
    assert (len(clip), clip.fps) == (9, 24), "what was made behind the end is cut off"
    assert np.array_equal(clip.array(), (stock(family)[:9] * 255).round().astype(np.uint8))
    assert film.ctx.facts["forwards"] == 5
    assert {"brightness", "colour", "sharpness"} <= film.ctx.facts["end_flash"].keys()
    assert not list((store.root / "journals").glob("*/*")), "a finished render leaves no checkpoints"


def test_a_broken_denoising_goes_on_and_ends_in_the_same_digest(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    from tasks.animate import denoise as module

    film, cfg = Film(store), denoising()
    whole = film.run("denoise", cfg, film.given())
    real = module._write

    def breaking(file: Any, state: Any, steps: int) -> None:
        real(file, state, steps)
        if state.calls == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(module, "_write", breaking)
    monkeypatch.setattr("tasks.networks.journal.SHARE", 1e9)
    other = Film(Store(tmp_path / "other"))
    given = other.given()
    with pytest.raises(KeyboardInterrupt):
        other.run("denoise", cfg, given)
    assert {run: steps for run, (steps, _) in unfinished(other.store).items()} == {"r": 3}
    monkeypatch.setattr(module, "_write", real)
    assert other.run("denoise", cfg, given) == whole
    assert other.ctx.facts["forwards"] == 2
    assert other.ctx.facts["resumed_at_step"] == 3


def test_what_the_process_drew_before_is_not_in_the_digest(store: Store, tmp_path: Path):
    """As where texts and pictures were embedded in it, and are taken from the store the next time."""
    import torch

    film, other, cfg = Film(store), Film(Store(tmp_path / "other")), denoising()
    first = film.run("denoise", cfg, film.given())
    given = other.given()
    torch.manual_seed(7)
    torch.rand(7)
    assert other.run("denoise", cfg, given) == first


def test_a_film_that_is_looked_at_has_the_same_digest(store: Store, family: Path, tmp_path: Path):
    film, cfg = Film(store), denoising()
    given = film.given()
    unseen = film.run("denoise", cfg, given)
    channels = 8
    plain = Factors(tuple((float(n == 0), float(n == 1), float(n == 2)) for n in range(channels)), (0.0, 0.0, 0.0))
    plain.save(family / "tiny_ltx")
    shown: list[np.ndarray] = []
    real = Watcher.frames
    film.ctx.live = Live(store, "r", tmp_path / "out", every=1e-9, clock=iter(range(10**6)).__next__)
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Watcher, "frames", lambda self, z: shown.append(real(self, z)) or shown[-1])
            patch.setattr("reel.live.SHARE", 1e9)
            assert film.run("denoise", cfg, given) == unseen
    finally:
        (family / "tiny_ltx" / "preview.json").unlink()
    assert len(shown) == cfg.steps
    assert (tmp_path / "out" / PREVIEW).exists()
    last = plain.pictures(take_result(store, unseen)[0][0])
    assert np.abs(shown[-1].astype(int) - last).max() <= 1, "the last look is the result, frame by frame"


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


def test_float8_storage_and_tiles_change_little(store: Store):
    film = Film(store)
    given, cfg = film.given(), denoising(storage="float8")
    denoised = film.run("denoise", cfg, given)
    plain = film.run("denoise", denoising(), given)
    assert denoised != plain
    decoded = film.run("decode", decoding(cfg, tiling=True, framewise=True), {"denoised": denoised, **given})
    assert Clip.open(store, decoded).array().std() > 1


def test_a_budget_makes_the_decoding_smaller_and_else_says_the_least():
    embed = Embed(architecture="ltx", sources=sources([*LTX.text]), texts=[("she waves", "")])
    cfg = denoising(frames=97, width=512, height=512, keys=[Key(at=0)])
    decode = decoding(cfg)

    def fitting(budget: int | None) -> tuple[Denoise, Decode]:
        return memory.fit(embed, cfg, decode, Compute(device="cpu", max_memory=budget))

    whole = int(memory.decoding(decode, Compute(device="cpu")).total)
    assert fitting(None) == fitting(whole + 1) == (cfg, decode)
    _, smaller = fitting(whole - 1)
    assert (smaller.tiling, smaller.framewise) == (True, True), "a frame of 512 px is one tile"
    with pytest.raises(UserError, match=r"GiB are too little: decode .* GiB \(weights .*, activations .*\)") as said:
        fitting(1000)
    least = re.search(r"compute.max_memory=([\d.]+GiB)", said.value.fix or "")
    assert least is not None
    assert fitting(Compute(max_memory=least[1]).max_memory)[1].framewise  # type: ignore[arg-type]


def test_texts_that_the_pipeline_would_cut_off_are_refused(store: Store):
    embed = Embed(architecture="ltx", sources=sources([*LTX.text]), texts=[("she waves " * 20, "")], max_tokens=16)
    with pytest.raises(UserError, match=r"prompt: 41 tokens, 16 are the most that the model reads \(40 words\)"):
        Film(store).run("embed", embed, {})


def test_ltx2_draws_picture_and_sound_by_stages(store: Store, family: Path, monkeypatch: pytest.MonkeyPatch):
    """Embeddings stand in for its text encoder; see `tests.tasks.test_animate_parity`."""
    import diffusers
    from diffusers.pipelines.ltx2.pipeline_ltx2_condition import LTX2VideoCondition

    tiny.write_ltx2(family / "tiny_av")
    drawn = torch.Generator().manual_seed(11)
    texts, mask = [torch.randn(1, 6, 3 * tiny.TEXT, generator=drawn) for _ in range(2)], torch.ones(1, 6).long()
    pipeline = diffusers.LTX2ConditionPipeline
    made = (texts[0], mask, texts[1], mask)
    monkeypatch.setattr(pipeline, "encode_prompt", lambda self, prompt, negative_prompt=None, **_: made)
    recipe, film = RECIPES["ltx2"], Film(store)
    connectors = {"connectors": tiny.ltx2()["connectors"]}
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

    pipe = pipeline(**tiny.read_ltx2(family / "tiny_av"), text_encoder=None, tokenizer=None)
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


KILLED = """
import os, signal, sys
from pathlib import Path
from reel.errors import UserError
from reel.live import PREVIEW, Live
from reel.store import Store
from tasks.animate import denoise as module
from tasks.networks import journal
from tests.tasks.test_animate_ops import Film, denoising

journal.SHARE = 1e9
real = module._write

def kill(file, state, steps):
    real(file, state, steps)
    if state.calls == 6:
        os.kill(os.getpid(), signal.SIGKILL)

module._write = kill
film = Film(Store(Path(sys.argv[1])))
film.run("denoise", denoising(num_inference_steps=10), film.given())
"""


def test_a_killed_process_loses_little_and_the_next_one_ends_in_the_same_digest(store: Store, tmp_path: Path):
    """SIGKILL at 60 % of the steps: the rest alone is computed."""
    film, cfg = Film(store), denoising(num_inference_steps=10)
    whole = film.run("denoise", cfg, film.given())
    done = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path / "killed")], capture_output=True, text=True)
    assert done.returncode == -signal.SIGKILL, done.stderr[-2000:]
    again = Film(Store(tmp_path / "killed"))
    assert again.run("denoise", cfg, again.given()) == whole
    assert again.ctx.facts["forwards"] == 4
