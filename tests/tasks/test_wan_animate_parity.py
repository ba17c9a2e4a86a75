"""Wan-Animate's segments, each made by a call of its own, against the stock pipeline's one call: the same bits."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import diffusers
import numpy as np
import pytest
import torch

from reel import op
from reel.clip import Clip, ClipWriter
from reel.compute import Compute
from reel.store import Store
from tasks.animate import denoise
from tasks.animate.animators.wan_animate import CARRIED
from tasks.animate.catalogue import RECIPES
from tasks.animate.replay import call
from tasks.animate.replay.call import Stock
from tasks.animate.replay.journal import Checkpoint, Journal
from tasks.animate.replay.seams import SeamMoved
from tasks.animate.replay.segments import Segment
from tasks.animate.replay.shell import buffer_names, shell
from tasks.animate.settings import Decode, Denoise, Embed, Encode, Key
from tasks.networks.journal import unfinished
from tasks.wan_animate.segments import segments
from tests.tasks import video_models as tiny
from tests.tasks.animate_models import one_thread, picture  # noqa: F401
from tests.tasks.test_animators import breaking

pytestmark = pytest.mark.filterwarnings("ignore")
SEED, STEPS = 3, 3
TEXTS = ("she waves", "still")
STOCK = Stock(diffusers.WanAnimatePipeline, embeddings=2)
CLIPS = {"pose_video": (0, 32), "face_video": (100, 16), "background_video": (200, 32), "mask_video": (300, 32)}
"""Seed of each clip's first frame, and px of a side."""


def shells(*real: str) -> dict[str, Any]:
    """Parts of the pipeline, those that are not named without their weights; no text encoder."""
    found = {}
    for name, part in tiny.wan_animate().items():
        if not isinstance(part, torch.nn.Module) or name in real:
            found[name] = part
        elif name != "text_encoder":
            config = part.config.to_dict() if hasattr(part.config, "to_dict") else part.config
            buffers = {each: part.state_dict()[each] for each in buffer_names(part)}
            found[name] = shell(type(part), config, dtype=torch.float32, buffers=buffers)
    return {name: part for name, part in found.items() if name != "tokenizer"}


class Film:
    """A film of random clips, and the arguments of the call for a part of it."""

    def __init__(self, length: int, most: int, carried: int, *, replace: bool, guided: bool) -> None:
        names = list(CLIPS)[: 4 if replace else 2]
        self.clips = {name: [picture(CLIPS[name][0] + at, *[CLIPS[name][1]] * 2) for at in range(length)]
                      for name in names}  # fmt: skip
        self.segments, self.guided = segments(length, most, carried), guided
        self.common = {
            "image": picture(7, 48, 32),
            "height": 32,
            "width": 32,
            "num_inference_steps": STEPS,
            "guidance_scale": 4.0 if guided else 1.0,
            "prompt": TEXTS[0],
            "negative_prompt": TEXTS[1],
            "mode": "replace" if replace else "animate",
            "segment_frame_length": self.segments[0].frames,
            CARRIED: carried,
        }

    def arguments(self, first: int, last: int | None) -> dict[str, Any]:
        return {**self.common, **{name: frames[first:last] for name, frames in self.clips.items()}}

    def stock(self, folder: Path | None = None) -> np.ndarray:
        """Frames of the stock pipeline; its parts as they are made, or read from a folder as the ops read theirs."""
        parts = tiny.wan_animate()
        parts = parts if folder is None else tiny.read(folder, parts)
        for part in parts.values():
            if isinstance(part, torch.nn.Module):
                part.requires_grad_(False)  # whether it wants a gradient decides which product PyTorch takes
        pipe = diffusers.WanAnimatePipeline(**parts)
        pipe.set_progress_bar_config(disable=True)
        found = pipe(**self.arguments(0, None), generator=torch.Generator().manual_seed(SEED), output_type="np")
        return found.frames[0]


@pytest.mark.parametrize(
    ("film", "count"),
    [
        (Film(9, 77, 1, replace=False, guided=False), 1),
        (Film(11, 5, 1, replace=False, guided=True), 3),
        (Film(13, 5, 1, replace=True, guided=False), 3),
        (Film(23, 13, 5, replace=True, guided=True), 3),
    ],
    ids=["one segment", "three, guided, the last not full", "the person replaced", "five frames carried"],
)
def test_segments_are_those_of_the_stock_call_also_after_every_step(film: Film, count: int):
    texts = {name: tiny.wan_animate()[name] for name in ("text_encoder", "tokenizer")}
    words = call.embed(STOCK, texts, [TEXTS], guided=film.guided, limit=512, device="cpu")
    made: list[np.ndarray] = []
    carried, end = None, None
    assert len(film.segments) == count
    for one in film.segments:
        given = film.arguments(one.first, one.last)
        kept = {**words, **call.encode(STOCK, shells("vae", "image_encoder"), given, segment=Segment(carried))}
        assert len(kept["vae.encode"]) == 3, "the picture, its own pose, what it goes on from: none of another segment"
        before, states = end.behind(STEPS) if end else None, []

        def denoised(
            resumed: Checkpoint | None, given: Any = given, kept: Any = kept, carried: Any = carried, **more: Any
        ) -> tuple[torch.Tensor, Journal]:
            journal = Journal(torch.Generator().manual_seed(SEED), resumed, **more)
            (latents,) = call.denoise(STOCK, shells("transformer"), given, journal, kept, "cpu", Segment(carried))
            return latents, journal

        latents, journal = denoised(before, due=states.append)
        assert journal.forwards == STEPS * (2 if film.guided else 1), "none of another segment's"
        assert len(states) == STEPS - 1
        for state in states:
            again, resumed = denoised(Checkpoint.unpacked(*state.packed()))
            assert torch.equal(again, latents)
            assert resumed.forwards < journal.forwards
        assert journal.end is not None
        end, own = Checkpoint.unpacked(*journal.end.packed()), Segment(carried)
        (frames,) = call.decode(STOCK, shells("vae"), given, end, kept, SEED, "cpu", segment=own)
        assert own.frames is not None
        carried = own.frames[:, :, -film.common[CARRIED] :]
        made.append(frames[0][: one.new])
    stock = film.stock()
    assert stock.std() > 0.01, "something is to be seen"
    assert np.array_equal(np.concatenate(made), stock)


def test_a_call_that_ends_without_its_segment_is_named():
    film = Film(5, 5, 1, replace=False, guided=False)
    texts = {name: tiny.wan_animate()[name] for name in ("text_encoder", "tokenizer")}
    given = film.arguments(0, None)
    kept = {
        **call.embed(STOCK, texts, [TEXTS], guided=False, limit=512, device="cpu"),
        **call.encode(STOCK, shells("vae", "image_encoder"), given, segment=Segment()),
    }
    late = Segment(torch.zeros(1, 3, 1, 32, 32))  # that of a second segment, which this film does not have
    journal = Journal(torch.Generator().manual_seed(SEED))
    with pytest.raises(SeamMoved, match="the call ended without the segment"):
        call.denoise(STOCK, shells("transformer"), given, journal, kept, "cpu", late)


def sources(names: list[str]) -> dict[str, Any]:
    return {
        name: {"kind": "embedded", "id": "tiny_wan_animate", "files": [f"{name.partition(':')[0]}/*"]} for name in names
    }


def test_a_later_segment_goes_on_after_a_kill_and_ends_in_the_same_digest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """By the ops, their checkpoints on the disk."""
    monkeypatch.setenv("ROTOSCOPE_MODELS", str(tmp_path / "models"))
    monkeypatch.setenv("ROTOSCOPE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("tasks.networks.journal.SHARE", 1e9)
    looks: list[torch.Tensor] = []
    monkeypatch.setattr(denoise, "watcher", lambda *_: lambda clean: looks.append(clean()))
    family = tmp_path / "models" / "tiny_wan_animate"
    tiny.write(family, tiny.wan_animate())
    film, recipe = Film(9, 5, 1, replace=False, guided=False), RECIPES["wan_animate"]
    ctx = op.Context(Store(tmp_path / "store"), Compute(device="cpu", threads=1), run="r")

    def run(name: str, cfg: Any, inputs: dict[str, str]) -> str:
        return op.get("animate", name).fn(cfg, inputs, ctx)

    def clip(frames: list[Any]) -> str:
        wide, high = frames[0].size
        with ClipWriter(ctx.store, "map", width=wide, height=high, time_base=Fraction(1, 30)) as writer:
            for number, frame in enumerate(frames):
                writer.add(np.asarray(frame), number)
        return writer.digest

    common: dict[str, Any] = {"architecture": "wan_animate"}
    own: dict[str, Any] = {"frames": 5, "call": {CARRIED: 1}}
    size = {"fps": 30, "width": 32, "height": 32, "num_inference_steps": STEPS, "guidance_scale": 1, "seed": SEED}
    denoising = Denoise(
        **common, **own, **size, sources=sources(recipe.needs("transformer")), keys=[Key(at=0)], max_tokens=512
    )
    embed = Embed(**common, sources=sources([*recipe.text]), texts=[(TEXTS[0], "")], guided=False, max_tokens=512)
    encode = Encode(**common, **own, sources=sources(recipe.needs(*recipe.encoders)))
    decode = Decode(**common, sources=sources(recipe.needs("vae")), denoise=denoising, keep=4)
    words, girl = {"embeddings": run("embed", embed, {})}, clip([film.common["image"]])
    made, before, carried = [], {}, {}
    for number, one in enumerate(film.segments):
        given = film.arguments(one.first, one.last)
        drawn = {"frames_0": girl, "control": clip(given["pose_video"]), "face": clip(given["face_video"]), **carried}
        drawn |= {**words, "encoded_0": run("encode", encode, drawn)}
        denoised = run("denoise", denoising, {**drawn, **before})
        if number:
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(denoise, "_write", breaking(STEPS + 2))
                with pytest.raises(KeyboardInterrupt):
                    run("denoise", denoising, {**drawn, **before})
            assert [steps for steps, _ in unfinished(ctx.store).values()] == [2], "of its own, without the first one's"
            assert run("denoise", denoising, {**drawn, **before}) == denoised
            assert ctx.facts["resumed_at_step"] == 2
            assert ctx.facts["forwards"] == 1
        keep = decode.model_copy(update={"keep": one.new})
        frames = run("decode", keep, {**drawn, "denoised": denoised})
        before, carried = {"before": denoised}, {"carried": frames}
        made.append(Clip.open(ctx.store, frames).array())
    assert {tuple(one.shape) for one in looks} == {(16, 2, 4, 4)}, "the segment, as it stands, without the picture"
    assert np.array_equal(np.concatenate(made), (film.stock(family) * 255).round().astype(np.uint8))
