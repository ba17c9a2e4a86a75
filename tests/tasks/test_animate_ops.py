"""The ops of an animator, wired as the flow wires them, with the toy family: what each of them spares the others."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import LTXConditionPipeline
from diffusers.pipelines.ltx.pipeline_ltx_condition import LTXVideoCondition

from reel.clip import Clip
from reel.compute import Compute
from reel.errors import UserError
from reel.live import PREVIEW, Live
from reel.store import Store
from tasks.animate import decode, denoise, embed, encode, memory
from tasks.animate.settings import Decode, Denoise, Embed, Key
from tasks.animate.stored import take_results
from tasks.live.factors import Factors
from tasks.live.picture import Watcher
from tasks.networks.journal import unfinished
from tasks.networks.offload import layer_by_layer
from tests.tasks import animate_models as tiny
from tests.tasks.animate_film import LTX, Film, decoding, denoising, here, sources, toy_family  # noqa: F401
from tests.tasks.animate_models import one_thread  # noqa: F401

pytestmark = pytest.mark.filterwarnings("ignore")


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
    film, cfg = Film(store), denoising()
    whole = film.run("denoise", cfg, film.given())
    real = denoise._write

    def breaking(file: Any, state: Any, steps: int) -> None:
        real(file, state, steps)
        if state.calls == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(denoise, "_write", breaking)
    monkeypatch.setattr("tasks.networks.journal.SHARE", 1e9)
    other = Film(Store(tmp_path / "other"))
    given = other.given()
    with pytest.raises(KeyboardInterrupt):
        other.run("denoise", cfg, given)
    assert {run: steps for run, (steps, _) in unfinished(other.store).items()} == {"r": 3}
    monkeypatch.setattr(denoise, "_write", real)
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
    last = plain.pictures(take_results(store, unseen)[0][0][0])
    assert np.abs(shown[-1].astype(int) - last).max() <= 1, "the last look is the result, frame by frame"


def test_weights_that_go_to_the_device_layer_by_layer_draw_the_same(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Also the pipeline, which asks its parts where to send its pictures."""

    def frames(film: Film) -> str:
        given = film.given()
        return film.run("decode", decoding(denoising()), {"denoised": film.run("denoise", denoising(), given), **given})

    plain, moved = frames(Film(store)), []
    for module in (embed, encode, denoise, decode):
        monkeypatch.setattr(
            module, "placed", lambda parts, device, _: moved.extend(parts) or layer_by_layer(parts, device)
        )
    assert frames(Film(Store(tmp_path / "other"))) == plain
    assert {type(part).__name__ for part in moved} == {
        "T5EncoderModel", "AutoencoderKLLTXVideo", "LTXVideoTransformer3DModel"
    }  # fmt: skip


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


KILLED = """
import os, signal, sys
from pathlib import Path
from reel.errors import UserError
from reel.live import PREVIEW, Live
from reel.store import Store
from tasks.animate import denoise as module
from tasks.networks import journal
from tests.tasks.animate_film import Film, denoising

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
