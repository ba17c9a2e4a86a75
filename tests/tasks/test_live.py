"""Live pictures: latents become the right pixels, the estimate is the scheduler's, no byte of a result changes."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from reel.live import PREVIEW, Live
from reel.models.source import ModelSource
from reel.op import Context
from reel.store import Store
from tasks.live import factors, fit, terminal
from tasks.live.clean import of_diffusion, of_flow
from tasks.live.factors import Factors
from tasks.live.picture import MOST, SIDE, Watcher
from tasks.sprite import preview
from tasks.sprite.spec import Spec
from tests.tasks.tiny_render import Rendered
from tests.tasks.tiny_settings import engine_settings

HUB = ModelSource(kind="hub", id="somebody/something")
PASSED_ON = Factors(((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)), (0.0, 0.0, 0.0))
"""Channels as they are: red, green, blue."""


def test_a_cell_becomes_its_pixels_row_by_row():
    weights = (tuple(range(12)),)  # one channel; pixel (y, x) of a cell has colour 3 * (2 y + x) ...
    made = Factors(tuple(tuple(value / 12 for value in row) for row in weights), (0.0,) * 12, cells=2)
    latents = torch.tensor([[[[1.0, -1.0]]]])  # (C 1, F 1, h 1, w 2)
    pixels = (made.pictures(latents).astype(float) - 127.5) / 127.5
    assert pixels.shape == (1, 2, 4, 3)
    expected = np.arange(12).reshape(2, 2, 3) / 12
    assert np.abs(pixels[0, :, :2] - expected).max() < 0.01
    assert np.abs(pixels[0, :, 2:] + expected).max() < 0.01


def test_values_past_the_range_and_those_that_are_no_numbers_become_colours():
    latents = torch.tensor([[9.0, -9.0, 0.0], [float("nan"), 1.0, 1.0]]).T.reshape(3, 1, 1, 2)
    assert PASSED_ON.pictures(latents)[0, 0].tolist() == [[255, 0, 128], [128, 128, 128]]


def test_factors_are_read_back_and_damaged_ones_are_told(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    assert factors.load(tmp_path) is None
    PASSED_ON.save(tmp_path)
    assert factors.load(tmp_path) == PASSED_ON
    content = json.loads((tmp_path / factors.FILE).read_text())
    (tmp_path / factors.FILE).write_text(json.dumps({**content, "cells": 2}))
    assert factors.load(tmp_path) is None
    assert "12 numbers a channel" in caplog.text


def test_published_factors_serve_latents_of_their_own_kind_alone(caplog: pytest.LogCaptureFixture):
    assert factors.find("sdxl", HUB, 4) is factors.PUBLISHED["sdxl"]
    with caplog.at_level("INFO"):
        assert factors.find("sd15", HUB, 8) is None
        assert factors.find("ltx", HUB, 128) is None
    assert "no factors are known for ltx" in caplog.text
    gray = factors.PUBLISHED["sd15"].pictures(torch.zeros(4, 1, 2, 2))
    assert set(gray.flatten().tolist()) <= {127, 128}


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        *(("DDIMScheduler", kind) for kind in ("epsilon", "v_prediction", "sample")),
        *(("EulerDiscreteScheduler", kind) for kind in ("epsilon", "v_prediction")),
    ],
)
def test_the_estimate_is_the_schedulers_own(name: str, kind: str):
    import diffusers

    scheduler = getattr(diffusers, name)(prediction_type=kind, **({"clip_sample": False} if "DDIM" in name else {}))
    scheduler.set_timesteps(9)
    generator = torch.Generator().manual_seed(3)
    latents = torch.randn(1, 4, 2, 3, 3, generator=generator) * scheduler.init_noise_sigma
    for timestep in scheduler.timesteps[:6]:
        said = torch.randn(latents.shape, generator=generator)
        seen = scheduler.scale_model_input(latents, timestep)
        step = scheduler.step(said, timestep, latents)
        expected = step.pred_original_sample
        found = of_diffusion(scheduler, seen, said, timestep)
        assert torch.allclose(found, expected, rtol=0.02, atol=0.02 * float(expected.abs().max()))
        latents = step.prev_sample


def test_where_all_is_noise_a_prediction_of_noise_says_nothing_and_nothing_breaks():
    import diffusers

    scheduler = diffusers.DDIMScheduler(rescale_betas_zero_snr=True, timestep_spacing="trailing")
    scheduler.set_timesteps(4)
    noise = torch.randn(1, 4, 1, 2, 2)
    assert torch.isfinite(of_diffusion(scheduler, noise, noise, scheduler.timesteps[0])).all()


def test_a_flow_leads_straight_to_the_clean_latents():
    clean, noise = torch.randn(1, 6, 4), torch.randn(1, 6, 4)
    assert torch.allclose(of_flow(0.3 * clean + 0.7 * noise, noise - clean, 0.7), clean, atol=1e-5)


def test_a_fit_finds_what_the_autoencoder_does():
    class Halving:
        """Means of blocks of 8 px, mixed and scaled: what a linear map can undo."""

        device, dtype = torch.device("cpu"), torch.float32
        mix = torch.tensor([[0.5, 0.2, 0.0], [0.0, 0.7, 0.1], [0.3, 0.0, 0.9], [0.1, 0.1, 0.1]])

        class config:  # as diffusers has it
            scaling_factor = 0.3

        def named_buffers(self):
            return iter(())

        def encode(self, x):
            mean = torch.einsum("kc,nchw->nkhw", self.mix, torch.nn.functional.avg_pool2d(x, 8)) + 0.2
            return type("Out", (), {"latent_dist": type("Dist", (), {"mean": mean})})

    clips = [np.random.default_rng(seed).integers(0, 256, (4, 32, 32, 3)).astype(np.uint8) for seed in range(3)]
    vae = Halving()
    found = fit.fit(vae, clips, "blocks", cells=1)
    assert found.channels == 4
    assert fit.error(found, vae, clips[0]) < 1


def test_an_embedded_familys_own_factors_come_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("ROTOSCOPE_MODELS", str(tmp_path))
    (tmp_path / "mine").mkdir()
    PASSED_ON.save(tmp_path / "mine")
    assert factors.find("sd15", ModelSource(kind="embedded", id="mine"), 3) == PASSED_ON


def test_drawings_make_the_factors_of_a_family_of_ours(families: Path, tmp_path: Path):
    off = preview.store(fit.load_vae(families / "tiny"), tmp_path, Spec(64), clips=1)
    found = factors.load(tmp_path)
    assert found is not None
    assert (found.channels, found.cells) == (4, fit.CELLS)
    assert 0 < off < 128, "of a random autoencoder: no worse than gray"


def test_long_and_large_clips_are_shown_small(tmp_path: Path):
    live = Live(Store(tmp_path / "store"), "20261129-101500-0a1b2c", tmp_path / "out", every=1)
    shown = Watcher(live, PASSED_ON, 10.0)
    shown(lambda: torch.zeros(3, 200, 2, 600))
    picture = Image.open(tmp_path / "out" / PREVIEW)
    assert picture.n_frames == MOST
    assert max(picture.size) <= SIDE
    picture.seek(1)
    picture.load()
    assert picture.info["duration"] == round(10_000 / MOST)


@pytest.mark.filterwarnings("ignore")
def test_a_render_that_is_looked_at_has_the_same_digest(world: Store, families: Path, tmp_path: Path):
    cfg = engine_settings(scheduler="euler_a", num_inference_steps=6)
    unseen = Rendered(Store(tmp_path / "unseen"), cfg).denoised
    live = Live(world, "r", tmp_path / "out", every=1e-9, clock=iter(range(10**6)).__next__)
    shown: list[np.ndarray] = []
    real = Watcher.frames
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Watcher, "frames", lambda self, z: shown.append(real(self, z)) or shown[-1])
        patch.setattr("reel.live.SHARE", 1e9)
        seen = Rendered(world, cfg, live=live)
    assert seen.denoised == unseen
    steps = len(shown)
    assert steps >= 3, "looked at after every step"
    assert (tmp_path / "out" / PREVIEW).read_bytes()[:4] == b"RIFF"
    from tests.tasks.tiny_render import tensor

    last = factors.PUBLISHED["sd15"].pictures(tensor(world, seen.denoised).transpose(0, 1))
    assert np.abs(shown[-1].astype(int) - last).mean() < 12, "the last look is nearly the result"


def picture() -> Image.Image:
    ramp = np.zeros((12, 30, 3), np.uint8)
    ramp[:, :15], ramp[:, 15:] = (250, 10, 10), (10, 10, 250)
    return Image.fromarray(ramp)


def test_kitty_and_iterm_are_sent_a_png():
    sent = terminal.sequence(picture(), "kitty")
    data = "".join(part.split(";", 1)[1] for part in sent.split("\x1b_G")[1:]).replace("\x1b\\", "")
    assert Image.open(io.BytesIO(base64.b64decode(data))).size == (30, 12)
    data = terminal.sequence(picture(), "iterm").rpartition(":")[2].removesuffix("\a")
    assert Image.open(io.BytesIO(base64.b64decode(data))).size == (30, 12)


def test_sixels_have_the_pictures_dots():
    sent = terminal.sequence(picture(), "sixel")
    body = sent.removeprefix('\x1bPq"1;1;30;12').removesuffix("\x1b\\")
    bands = body.split("-")[:-1]
    assert len(bands) == 2
    colours = {}
    for part in bands[0].split("#")[1:]:
        number, _, rest = part.partition(";")
        if rest.startswith("2;"):
            colours[number] = tuple(int(value) for value in rest[2:].split(";"))
    red = next(number for number, (r, _, b) in colours.items() if r > 90 and b < 10)
    row = next(part for part in bands[0].split("$") if part.rpartition("#")[2].startswith(f"{red}") and "~" in part)
    assert row.rpartition(f"#{red}")[2] == "~" * 15 + "?" * 15


@pytest.mark.parametrize(
    ("wanted", "environment", "found"),
    [
        ("none", {"KITTY_WINDOW_ID": "1"}, "none"),
        ("sixel", {}, "sixel"),
        ("auto", {"TERM": "xterm-kitty"}, "kitty"),
        ("auto", {"TERM_PROGRAM": "ghostty"}, "kitty"),
        ("auto", {"TERM_PROGRAM": "WezTerm"}, "iterm"),
        ("auto", {"TERM": "xterm-256color"}, "none"),
    ],
)
def test_a_terminal_is_taken_at_its_word(wanted, environment, found):
    assert terminal.known(wanted, environment) == found


def test_pictures_are_drawn_over_one_another_and_nowhere_but_in_a_terminal(monkeypatch: pytest.MonkeyPatch):
    frame = np.zeros((4, 4, 3), np.uint8)
    for terminal_is_there in (False, True):
        out = io.StringIO()
        monkeypatch.setattr(out, "isatty", lambda there=terminal_is_there: there)
        monkeypatch.setattr("sys.stderr", out)
        terminal.show([frame], "kitty", again=False)
        first = out.getvalue()
        terminal.show([frame], "kitty", again=True)
        second = out.getvalue()[len(first) :]
        rows = terminal.ROWS + 1
        assert (first.count("\n"), second.count("\n")) == ((rows, 0) if terminal_is_there else (0, 0))
        assert (f"\x1b7\x1b[{rows}A" in second) == terminal_is_there


def test_nobody_looks_on_by_default(world: Store):
    assert Context(world).live is None
