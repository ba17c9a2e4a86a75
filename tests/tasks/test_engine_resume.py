"""A render that is broken off goes on where it was, and ends in the same bits."""

from __future__ import annotations

import pytest

from reel.store import Store
from tasks.networks.journal import unfinished
from tests.tasks.tiny_render import Rendered
from tests.tasks.tiny_settings import engine_settings as settings

pytestmark = pytest.mark.filterwarnings("ignore")


def test_a_broken_denoising_goes_on_and_ends_in_the_same_digest(world, tmp_path, monkeypatch):
    from tasks.stylize.engine import network
    from tasks.stylize.job.journal import Journal

    cfg = settings(scheduler="unipc", num_inference_steps=8)
    whole = Rendered(world, cfg).denoised
    assert not list((world.root / "journals").glob("*/*")), "a finished render leaves no checkpoints"

    steps: list[int] = []
    predict = network.Network.__call__

    def counted(self, latents, timestep, step, total):
        steps.append(step)
        return predict(self, latents, timestep, step, total)

    def save(self, step, *state):
        self.write(step, *state)
        if step == 4 and len(steps) == 4:
            raise KeyboardInterrupt

    monkeypatch.setattr(network.Network, "__call__", counted)
    monkeypatch.setattr(Journal, "save", save)
    other = Store(tmp_path / "other")
    with pytest.raises(KeyboardInterrupt):
        Rendered(other, cfg)
    assert {run: steps for run, (steps, _) in unfinished(other).items()} == {"r": 4}
    steps.clear()
    assert Rendered(other, cfg).denoised == whole
    assert steps == [4, 5]
    assert unfinished(other) == {}


def test_decoding_and_encoding_go_on_where_they_were(world, tmp_path, monkeypatch):
    from tasks.stylize.engine import codec

    cfg = settings(encode_chunk_size=2, decode_chunk_size=2)
    whole = Rendered(world, cfg)
    for name, chunks in (("encode_chunk", 3), ("decode_chunk", 3)):
        real, calls = getattr(codec, name), []

        def breaking(*arguments, real=real, calls=calls):
            calls.append(1)
            if len(calls) == 2:
                raise KeyboardInterrupt
            return real(*arguments)

        monkeypatch.setattr(codec, name, breaking)
        other = Store(tmp_path / name)
        with pytest.raises(KeyboardInterrupt):
            Rendered(other, cfg)
        again = Rendered(other, cfg)
        assert (again.latents, again.clip) == (whole.latents, whole.clip)
        assert len(calls) == chunks + 1, "one chunk was kept, the broken one and the rest were computed"
        monkeypatch.setattr(codec, name, real)
