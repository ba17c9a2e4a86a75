"""Finishing ops: more frames at the same length, larger frames, grain; and what they leave as it was."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch

from reel.clip import Clip, ClipWriter
from reel.config import parse
from reel.errors import UserError
from reel.op import Context, get, names
from reel.store import Store
from tasks.assemble import Assemble, assemble
from tasks.finish import rife
from tasks.finish.grain import Grain, grained
from tasks.finish.interpolate import load
from tasks.finish.upscale import Upscale, tiled
from tests.tasks.film_samples import frames_of, samples_of
from tests.tasks.media_samples import extracted, run, source_digest


def finished(store: Store, clip: Clip, name: str, **settings: object) -> Clip:
    op = get("finish", name)
    return Clip.open(store, op.fn(parse(op.config, settings, name), {"frames": clip.digest}, Context(store)))


def moving(store: Store, places: list[int], pts: list[int] | None = None) -> Clip:
    """A soft bright square that stands at these columns on a dark ground."""
    rows, columns = np.mgrid[:64, :96]
    with ClipWriter(store, "rgb", width=96, height=64, time_base=Fraction(1, 12), meta={"note": 1}) as writer:
        for number, place in enumerate(places):
            square = np.exp(-(((columns - place) / 9.0) ** 2 + ((rows - 32) / 9.0) ** 2))
            frame = np.repeat((40 + 160 * square).astype(np.uint8)[..., None], 3, axis=2)
            writer.add(frame, pts[number] if pts else number)
    return Clip.open(store, writer.digest)


def middle(frame: np.ndarray) -> float:
    """The column where the square stands."""
    weight = np.maximum(frame[..., 0].astype(float) - 60, 0).sum(axis=0)
    return float((weight * np.arange(96)).sum() / weight.sum())


@pytest.mark.parametrize("times", [2, 4])
def test_frames_between_lie_between_and_the_clip_lasts_as_long(store: Store, times: int):
    clip = moving(store, [20, 28, 36])
    found = finished(store, clip, "interpolate", times=times)
    assert (found.count, found.fps, found.pts) == (3 * times, 12 * times, list(range(3 * times)))
    assert found.time_base == Fraction(1, 12 * times)
    for index in range(3):
        assert (found.frame(index * times) == clip.frame(index)).all()
    places = [middle(frame) for frame in found.frames()]
    step = 8 / times
    expected = [20 + step * min(number, 2 * times) for number in range(3 * times)]
    assert places == pytest.approx(expected, abs=0.6)


def test_a_closed_clip_leads_from_its_end_into_its_beginning(store: Store):
    clip = moving(store, [40, 44, 48, 44])
    held, closed = (finished(store, clip, "interpolate", **more).array() for more in ({}, {"closed": True}))
    assert np.array_equal(held[:-1], closed[:-1])
    assert np.array_equal(held[-1], held[-2])
    ways = [np.abs(closed[-1].astype(int) - closed[place].astype(int)).mean() for place in (-2, 0)]
    apart = np.abs(closed[-2].astype(int) - closed[0].astype(int)).mean()
    assert max(ways) < 0.8 * apart  # between the last frame and the first


def test_uneven_times_stay_and_nothing_is_drawn_across_a_cut(store: Store):
    clip = moving(store, [20, 24, 70], pts=[0, 3, 4])
    found = finished(store, clip, "interpolate", cut=0.02)
    assert [tick * found.time_base for tick in found.pts[::2]] == [Fraction(0), Fraction(3, 12), Fraction(4, 12)]
    assert found.pts[1] == 3
    assert (found.frame(3) == found.frame(2)).all()
    assert middle(found.frame(1)) == pytest.approx(22, abs=0.6)


def test_the_network_does_not_care_where_its_sides_end(store: Store):
    between = load(Context(store))
    frame = np.random.default_rng(0).integers(0, 255, (40, 50, 3), np.uint8)
    found = between(frame, frame)
    assert found.shape == frame.shape
    assert np.abs(found.astype(int) - frame).mean() < 2
    weights = rife.Rife().state_dict()
    assert sum(value.numel() for value in weights.values()) == 2_277_600
    assert torch.equal(rife.load({**weights, "block_tea.x": torch.zeros(1)}).state_dict()["block0.conv1.0.bias"],
                       weights["block0.conv1.0.bias"])  # fmt: skip


@pytest.mark.parametrize("factor", [2, 3])
def test_upscaled_frames_show_the_same_larger(store: Store, factor: int):
    clip = moving(store, [40])
    found = finished(store, clip, "upscale", factor=factor)
    assert (found.width, found.height, found.pts) == (96 * factor, 64 * factor, clip.pts)
    small = found.frame(0).reshape(64, factor, 96, factor, 3).mean(axis=(1, 3))
    assert np.abs(small - clip.frame(0)).mean() < 2


def test_tiles_leave_no_seam():
    def doubled(picture: np.ndarray) -> np.ndarray:
        return picture.repeat(2, axis=0).repeat(2, axis=1)

    frame = np.random.default_rng(0).integers(0, 255, (70, 100, 3), np.uint8)
    assert (tiled(frame, doubled, 2, 32) == doubled(frame)).all()


def test_a_model_of_ones_own(store: Store, tmp_path: Path):
    from safetensors.torch import save_file
    from spandrel.architectures.Compact.__arch.SRVGG import SRVGGNetCompact

    torch.manual_seed(0)
    network = SRVGGNetCompact(num_feat=8, num_conv=2, upscale=2)
    save_file(network.state_dict(), tmp_path / "own.safetensors")
    clip = moving(store, [40])
    found = finished(store, clip, "upscale", factor=2, file=str(tmp_path / "own.safetensors"))
    with torch.inference_mode():
        pixels = torch.from_numpy(clip.frame(0)).permute(2, 0, 1)[None].float() / 255
        expected = (network(pixels)[0].clamp(0, 1) * 255).round().byte().permute(1, 2, 0).numpy()
    inner = slice(8, -8)
    assert np.abs(found.frame(0)[inner, inner].astype(int) - expected[inner, inner]).max() <= 1


def test_models_that_are_none(store: Store, tmp_path: Path):
    from safetensors.torch import save_file

    with pytest.raises(UserError, match=r"only .safetensors files are loaded"):
        parse(Upscale, {"file": str(tmp_path / "own.pth")}, "finish.upscale")
    save_file({"a": torch.zeros(1)}, tmp_path / "other.safetensors")
    with pytest.raises(UserError, match=r"finish.upscale.file: .* is not a model that spandrel knows"):
        finished(store, moving(store, [40]), "upscale", file=str(tmp_path / "other.safetensors"))
    assert names("finish") == ["grain", "interpolate", "upscale"]


def test_grain_repeats_differs_from_frame_to_frame_and_keeps_the_mean():
    frame = np.full((64, 64, 3), 128, np.uint8)
    cfg = Grain(amount=8)
    first, again, other = grained(frame, cfg, 0), grained(frame, cfg, 0), grained(frame, cfg, 1)
    assert (first == again).all()
    assert (first != other).any()
    assert first.mean() == pytest.approx(128, abs=1)
    assert first.astype(float).std() == pytest.approx(8, rel=0.15)
    assert grained(np.zeros_like(frame), cfg, 0).mean() < 4
    grey = grained(frame, Grain(amount=8, colour=0), 0).astype(int)
    assert np.abs(grey[..., 0] - grey[..., 1]).max() <= 1


def test_a_movie_of_twice_the_rate_keeps_its_length_and_its_sound(store: Store, tmp_path: Path):
    source = tmp_path / "source.mp4"
    pictures, tone = "testsrc2=s=96x64:r=12:d=1", "sine=440:r=48000:d=1"
    run("-f", "lavfi", "-i", pictures, "-f", "lavfi", "-i", tone, "-c:a", "pcm_s16le", "-f", "mov", source)
    clip = extracted(store, source)
    inputs = {"frames": clip.digest, "original": clip.digest, "source": source_digest(source)}
    cfg = parse(Assemble, {"format": "ffv1", "contact_sheet": 2}, "assemble")
    found = {}
    for name, more in (("plain", {}), ("finished", {"finished": finished(store, clip, "interpolate").digest})):
        stored = store.get(assemble(cfg, {**inputs, **more}, Context(store, files={"source": source})))
        found[name] = stored
    plain, smooth = found["plain"], found["finished"]
    assert (plain.meta["frames"], smooth.meta["frames"]) == (12, 24)
    assert plain.meta["duration"] == smooth.meta["duration"] == "1"
    frames = {name: frames_of(one.path("movie.mkv")) for name, one in found.items()}
    assert [len(one) for one in frames.values()] == [12, 24]
    assert (frames["finished"][::2] == frames["plain"]).all()
    assert (samples_of(smooth.path("movie.mkv")) == samples_of(plain.path("movie.mkv"))).all()
    assert len(samples_of(smooth.path("movie.mkv"))) == 48_000
    assert plain.files["side_by_side.mp4"] == smooth.files["side_by_side.mp4"]  # beside the source, as it was drawn
