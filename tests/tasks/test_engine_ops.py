"""The engine's ops end to end with a toy family on disk: the stock op's pictures, resume, and the keys of each op."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch

from reel import op
from reel.clip import Clip, ClipWriter
from reel.compute import Compute
from reel.config import parse
from reel.errors import UserError
from reel.keys import make_key
from reel.pose import Poses, dump, mask_name
from reel.schedule.compile import PromptTrack
from reel.store import Store
from tasks.stylize import schedulers
from tasks.stylize.control import Mask
from tasks.stylize.decode import decode
from tasks.stylize.denoise import denoise
from tasks.stylize.embed import embed_texts
from tasks.stylize.encode import encode
from tasks.stylize.engine import render, stored
from tasks.stylize.engine.job import held
from tasks.stylize.engine.journal import unfinished
from tasks.stylize.engine.loop import timesteps_of
from tasks.stylize.engine.split import split
from tasks.stylize.schedulers import REGISTRY
from tasks.stylize.settings import Animatediff
from tasks.stylize.windows import FreeInit
from tests.tasks import stock
from tests.tasks.tiny_family import family_config

SIDE, WINDOW, COUNT = 32, 8, 5
ALONE = {"context_length": 1, "context_overlap": 0}
"""Every frame by itself: no motion module carries anything over."""
pytestmark = pytest.mark.filterwarnings("ignore")


def clip(store: Store, kind: Any, count: int, seed: int) -> str:
    noise = np.random.default_rng(seed)
    with ClipWriter(store, kind, width=SIDE, height=SIDE, time_base=Fraction(1, 12)) as writer:
        for index in range(count):
            writer.add(noise.integers(0, 255, (SIDE, SIDE, 3)).astype(np.uint8), index * 2)
    return writer.digest


def poses(store: Store, count: int, *, nobody: bool = False) -> str:
    """A person in the left half of every frame, or in none."""
    from reel.clip import encode_png

    person = np.zeros((18, 4), np.float32)
    person[:, 3] = 1
    mask = np.zeros((SIDE, SIDE, 3), np.uint8)
    mask[:, : SIDE // 2] = 255
    with store.draft("poses") as draft:
        draft.add("poses.json", dump([[] if nobody else [person]] * count, SIDE, SIDE, "test"))
        for index in range(count):
            draft.add(mask_name(index), encode_png(mask))
        return draft.commit(
            width=SIDE,
            height=SIDE,
            count=count,
            detector="test",
            time_base="1/12",
            pts=[2 * i for i in range(count)],
            color="bt709",
        )


def settings(**changes: Any) -> Animatediff:
    base = {
        "prompt": "a dancer",
        "negative_prompt": "blurred",
        "num_inference_steps": 4,
        "seed": 3,
        "model": family_config("tiny", window=WINDOW),
        "controls": {"pose": {"kind": "openpose", "weight": 0.8}},
    }
    return parse(Animatediff, {**base, **changes}, "stylize")


class Rendered:
    """A render by the four ops, with every digest on the way."""

    def __init__(
        self, store: Store, cfg: Animatediff, count: int = COUNT, track: PromptTrack | None = None, run: str = "r"
    ) -> None:
        ctx = op.Context(store, Compute(device="cpu", threads=1), run=run)
        self.stages = split(cfg, track)
        self.inputs = {"map_pose": clip(store, "map", count, 1), "poses": poses(store, count)}
        self.frames = clip(store, "rgb", count, 0)
        self.latents = encode(self.stages.encode, {"frames": self.frames}, ctx)
        self.embeddings = embed_texts(self.stages.embed, {}, ctx)
        self.inputs |= {"latents": self.latents, "embeddings": self.embeddings}
        self.denoised = denoise(self.stages.denoise, self.inputs, ctx)
        self.clip = decode(self.stages.decode, {"latents": self.denoised}, ctx)


def tensor(store: Store, digest: str) -> torch.Tensor:
    return stored.take(store, digest, "latents")[0]["latents"]


@pytest.mark.parametrize(
    "changes", [{}, {"guidance_scale": 1.0, "controls": {}}, {"scheduler": "dpmpp_2m", "strength": 1}]
)
def test_the_same_pictures_as_the_stock_op(world, changes):
    cfg = settings(**changes)
    frames, pose = (Clip.open(world, clip(world, kind, COUNT, seed)) for seed, kind in enumerate(("rgb", "map")))
    torch.set_num_threads(1)
    expected = stock.render(cfg, frames, {"pose": pose})
    found = Clip.open(world, Rendered(world, cfg).clip)
    difference = np.abs(found.array().astype(int) - expected)
    assert difference.max() <= 1, "rounding may differ by one step of 255, nothing else"
    assert (difference > 0).mean() < 0.01
    assert found.pts == frames.pts
    assert (found.width, found.height, found.color) == (frames.width, frames.height, frames.color)


def test_a_clip_longer_than_the_window(world):
    cfg = settings(windows={"context_length": 4, "context_overlap": 2})
    assert len(Clip.open(world, Rendered(world, cfg, 11).clip)) == 11
    with pytest.raises(UserError, match=r"16 frames are over the motion module's window \(model tiny, .* says 8\)"):
        Rendered(world, settings(), 11)


def test_a_broken_denoising_goes_on_and_ends_in_the_same_digest(world, tmp_path, monkeypatch):
    from tasks.stylize.engine import loop
    from tasks.stylize.engine.journal import Journal

    cfg = settings(scheduler="unipc", num_inference_steps=8)
    whole = Rendered(world, cfg).denoised
    assert not list((world.root / "journals").glob("*/*")), "a finished render leaves no checkpoints"

    steps: list[int] = []
    predict = loop.Network.__call__

    def counted(self, latents, timestep, step, total):
        steps.append(step)
        return predict(self, latents, timestep, step, total)

    def save(self, step, *state):
        self.write(step, *state)
        if step == 4 and len(steps) == 4:
            raise KeyboardInterrupt

    monkeypatch.setattr(loop.Network, "__call__", counted)
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


def keys(store: Store, cfg: Animatediff) -> dict[str, str]:
    """Keys of the four ops for inputs that stay the same."""
    stages = split(cfg)
    inputs = {
        "encode": {"frames": "f"},
        "embed": {},
        "denoise": {"latents": "l", "embeddings": "e", "map_pose": "m"},
        "decode": {"latents": "d"},
    }
    every = {name: op.get("stylize", name) for name in inputs}
    from tasks.weights.fetch import content_id

    return {
        name: make_key(
            one,
            getattr(stages, name),
            inputs[name],
            {source.label: content_id(source) for source in one.models(getattr(stages, name))},
        ).digest
        for name, one in every.items()
    }


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"controls": {"pose": {"kind": "openpose", "weight": 0.3}}}, {"denoise"}),
        ({"seed": 9}, {"denoise"}),
        ({"scheduler": "euler"}, {"denoise"}),
        ({"prompt": "another dancer"}, {"embed"}),
        ({"clip_skip": 1}, {"embed"}),
        ({"encode_chunk_size": 2}, {"encode"}),
        ({"encode_tiling": True}, {"encode"}),
        ({"decode_chunk_size": 2}, {"decode"}),
        ({"decode_tiling": True}, {"decode"}),
        ({"memory_format": "channels_last"}, {"denoise", "decode"}),
        ({"attention": "math"}, {"denoise"}),
        ({"compile": True}, {"denoise"}),
        ({"dtype": "bfloat16"}, {"encode", "embed", "denoise", "decode"}),
    ],
)
def test_a_change_touches_the_ops_that_it_must_and_no_other(world, change, expected):
    before, after = keys(world, settings()), keys(world, settings(**change))
    assert {name for name in before if before[name] != after[name]} == expected


TWICE = {"iterations": 2, "method": "ideal"}
DEAD: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({}, {"composite_dilate": 9}),
    ({"composite": "keep_background"}, {"composite_dilate": 8}),
    ({}, {"free_init": {"order": 5, "method": "gaussian", "spatial_stop_frequency": 0.5}}),
    (
        {"free_init": {"iterations": 2, "method": "ideal"}},
        {"free_init": {"iterations": 2, "method": "ideal", "order": 5}},
    ),
    ({"guidance_scale": 1}, {"guidance_end": 0.5}),
    ({"guidance_scale": 1}, {"guidance_scale": 0.5, "guidance_schedule": [1.0] * COUNT}),
    ({"guidance_scale": 1}, {"controls": {"pose": {"kind": "openpose", "weight": 0.8, "control_on": "cond"}}}),
    ({}, {"controls": {"pose": {"kind": "openpose", "weight": 0.8, "mask": {"dilate": 4, "feather": 2}}}}),
    ({"controls": {}}, {"control_every": 2}),
]
"""Settings, and changes of them that change no picture."""


@pytest.mark.parametrize(("base", "change"), DEAD)
def test_what_has_no_effect_is_in_no_key(world, base, change):
    assert keys(world, settings(**base)) == keys(world, settings(**{**base, **change}))


@pytest.mark.parametrize(
    ("base", "change"),
    [
        ({"composite": "keep_background"}, {"composite_dilate": 9}),
        ({"free_init": {"iterations": 2}}, {"free_init": {"iterations": 2, "order": 5}}),
        ({}, {"guidance_end": 0.5}),
        ({}, {"controls": {"pose": {"kind": "openpose", "weight": 0.8, "control_on": "cond"}}}),
        ({}, {"control_every": 2}),
    ],
)
def test_where_the_same_has_an_effect_it_is_in_denoises_key(world, base, change):
    before, after = keys(world, settings(**base)), keys(world, settings(**{**base, **change}))
    assert {name for name in before if before[name] != after[name]} == {"denoise"}


def test_unguided_branches_and_masks_of_nothing_change_no_bit(world):
    """What is reset before a render is what the renderer itself takes no notice of."""
    plain = settings(guidance_scale=1, strength=0.5)
    inputs = Rendered(world, plain).inputs
    ctx = op.Context(world, Compute(device="cpu", threads=1))
    own = split(plain).denoise
    pose = own.controls["pose"].model_copy(update={"control_on": "cond", "mask": Mask(dilate=4, feather=2)})
    odd = {"guidance_end": 0.4, "guidance_scale": 0.5, "composite_dilate": 20, "controls": {"pose": pose}}
    odd["free_init"] = FreeInit(order=5, method="gaussian")
    assert denoise(own.model_copy(update=odd), inputs, ctx) == denoise(own, inputs, ctx)


def computed(store: Store, cfg: Animatediff) -> list[str]:
    """The ops that a render through the cache runs, in order; the others' results are taken from the store."""
    from prefect import flow

    from tasks.cached import Stage, call

    ctx, stages = op.Context(store, Compute(device="cpu", threads=1)), split(cfg)
    frames, pose = clip(store, "rgb", COUNT, 0), clip(store, "map", COUNT, 1)

    @flow(name="test")
    def body() -> list[Stage]:
        latents = call(op.get("stylize", "encode"), stages.encode, {"frames": frames}, ctx)
        embeddings = call(op.get("stylize", "embed"), stages.embed, {}, ctx)
        given = {"latents": latents.digest, "embeddings": embeddings.digest, "map_pose": pose}
        denoised = call(op.get("stylize", "denoise"), stages.denoise, given, ctx)
        decoded = call(op.get("stylize", "decode"), stages.decode, {"latents": denoised.digest}, ctx)
        return [latents, embeddings, denoised, decoded]

    return [stage.op for stage in body() if not stage.reused]


def test_other_decoding_denoises_nothing_anew_and_another_seed_encodes_nothing(world, prefect_server):
    assert len(computed(world, settings())) == 4
    assert computed(world, settings(decode_tiling=True)) == ["stylize.decode"]
    assert computed(world, settings(decode_chunk_size=2)) == ["stylize.decode"]
    assert computed(world, settings(seed=4)) == ["stylize.denoise", "stylize.decode"]
    assert computed(world, settings(encode_chunk_size=2)) == ["stylize.encode", "stylize.denoise", "stylize.decode"]
    again = computed(world, settings(encode_chunk_size=COUNT))
    assert again == ["stylize.encode"], "a chunk that holds the whole clip is the same as a larger one"


def test_the_old_name_of_tiling_is_refused_with_the_new_ones():
    with pytest.raises(UserError, match=r"unknown key 'stylize.vae_tiling'; nearest: encode_tiling, decode_tiling"):
        settings(vae_tiling=True)


def test_weight_per_frame_moves_only_with_the_weight(world):
    """With windows of one frame, frames of factor 0 are those of a render without the control."""
    scheduled = {"kind": "openpose", "weight": 0.8, "weight_schedule": [0, 1, 0, 1, 0]}
    found = tensor(world, Rendered(world, settings(windows=ALONE, controls={"pose": scheduled})).denoised)
    without = tensor(world, Rendered(world, settings(windows=ALONE, controls={})).denoised)
    constant = tensor(world, Rendered(world, settings(windows=ALONE)).denoised)
    torch.testing.assert_close(found[[0, 2, 4]], without[[0, 2, 4]], rtol=0, atol=1e-4)
    torch.testing.assert_close(found[[1, 3]], constant[[1, 3]], rtol=0, atol=1e-4)
    assert (constant - without).abs().max() > 1e-2


def test_masks_take_a_region_out_of_a_control(world):
    def masked(region: str, **more: Any) -> torch.Tensor:
        control = {"kind": "openpose", "weight": 0.8, "mask": {"region": region, **more}}
        return tensor(world, Rendered(world, settings(controls={"pose": control})).denoised)

    everywhere = masked("none")
    nowhere = tensor(world, Rendered(world, settings(controls={})).denoised)
    person, background = masked("person"), masked("background")
    assert not torch.allclose(person, everywhere, atol=1e-3)
    assert not torch.allclose(person, background, atol=1e-3)
    torch.testing.assert_close(masked("person", dilate=SIDE), nowhere, rtol=0, atol=1e-4)


def test_a_kept_background_is_the_source(world):
    kept = tensor(world, Rendered(world, settings(composite="keep_background", composite_dilate=0)).denoised)
    source = tensor(world, Rendered(world, settings(strength_schedule=[0.0] * COUNT)).denoised)
    assert torch.equal(kept[..., 2:], source[..., 2:]), "the right half is background"
    assert not torch.allclose(kept[..., :2], source[..., :2], atol=1e-2)


@pytest.mark.parametrize("scheduler", sorted(REGISTRY))
@pytest.mark.parametrize("composite", ["none", "keep_background"])
def test_a_frame_begins_at_the_step_of_a_render_of_its_strength(world, scheduler, composite):
    factors = [1.0, 0.75, 0.5, 0.1, 0.0]
    more = {"scheduler": scheduler, "num_inference_steps": 12, "strength": 0.9, "composite": composite}
    cfg = split(settings(strength_schedule=factors, controls={}, **more)).denoise
    made = schedulers.make(scheduler, {})
    whole = timesteps_of(made, 12, 0.9)
    latents = torch.zeros(1, 4, COUNT, SIDE // 8, SIDE // 8)
    given = Poses.open(world, poses(world, COUNT))
    job = render.Job(cfg, COUNT, {}, {}, {}, {"width": SIDE, "height": SIDE}, {}, {}, given)
    until = held(job, latents, latents, len(whole), made.order).until.expand(1, 1, COUNT, SIDE // 8, SIDE // 8)
    for frame, factor in enumerate(factors):
        own = timesteps_of(schedulers.make(scheduler, {}), 12, 0.9 * factor).tolist() if factor else []
        begin = int(until[0, 0, frame, 0, 0])  # of a place in the person
        assert whole[begin:].tolist() == own
    right = until[0, 0, :, 0, -1].tolist()
    assert (right == [len(whole)] * COUNT) == (composite == "keep_background")


@pytest.mark.parametrize(
    "more",
    [
        {"composite": "keep_background"},
        {"controls": {"pose": {"kind": "openpose", "mask": {"region": "hair"}}}},
        {"regions": {"wall": {"prompt": "a wall", "mask": {"region": "background"}}}},
    ],
)
def test_places_of_a_person_want_somebody_in_the_clip(world, more):
    made = Rendered(world, settings(**more))
    given = {**made.inputs, "poses": poses(world, COUNT, nobody=True)}
    with pytest.raises(UserError, match="test found nobody in any of the 5 frames"):
        denoise(made.stages.denoise, given, op.Context(world, Compute(device="cpu", threads=1)))


def test_a_frame_whose_guidance_is_below_one_follows_the_prompt_alone(world):
    def frames(scale: float, factors: list[float] | None) -> torch.Tensor:
        more = {"guidance_scale": scale, "guidance_schedule": factors, "windows": ALONE}
        return tensor(world, Rendered(world, settings(**more)).denoised)

    found, guided, alone = frames(4.0, [1, 0.25, 0.1, 0, 0]), frames(4.0, None), frames(1.0, None)
    torch.testing.assert_close(found[0], guided[0], rtol=0, atol=1e-4)
    torch.testing.assert_close(found[1:], alone[1:], rtol=0, atol=1e-4)
    assert (guided - alone).abs().max() > 1e-2


def test_prompts_per_frame_from_a_compiled_schedule(world):
    track = PromptTrack(
        (("a dancer", "blurred"), ("a robot", "dim")),
        np.zeros(COUNT, int),
        np.array([0, 1, 1, 1, 1]),
        np.array([0, 0.25, 0.5, 0.75, 1.0]),
    )
    found = tensor(world, Rendered(world, settings(windows=ALONE), track=track).denoised)
    dancer = tensor(world, Rendered(world, settings(windows=ALONE)).denoised)
    other = settings(prompt="a robot", negative_prompt="dim", windows=ALONE)
    robot = tensor(world, Rendered(world, other).denoised)
    torch.testing.assert_close(found[0], dancer[0], rtol=0, atol=1e-4)
    torch.testing.assert_close(found[4], robot[4], rtol=0, atol=1e-4)
    assert (dancer - robot).abs().max() > 1e-2


def test_out_of_memory_climbs_down_without_changing_the_result(world, monkeypatch):
    whole = Rendered(world, settings(windows={"context_length": 4, "context_overlap": 2}))
    real, asked = render.run, []

    def short(job, ctx, journal, clock, **more):
        asked.append(more)
        if len(asked) < 3:
            raise MemoryError
        return real(job, ctx, journal, clock, **more)

    monkeypatch.setattr(render, "run", short)
    ctx = op.Context(world, Compute(device="cpu", threads=1))
    assert denoise(whole.stages.denoise, whole.inputs, ctx) == whole.denoised
    assert asked == [{}, {}, {"keep": 0}]
    assert ctx.facts["out_of_memory"] == ["freed other loaded models", "spilled activations"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"strength_schedule": [1.0]}, "strength_schedule: 1 values for 5 frames"),
        ({"guidance_schedule": [1.0] * 6}, "guidance_schedule: 6 values"),
        ({"prompts": {"a": [0] * 5, "b": [1] * 5, "blend": [0.5] * 5}}, "text number 1 of 1"),
    ],
)
def test_what_does_not_fit_the_clip_is_refused_before_any_model_loads(world, change, message):
    cfg = settings()
    ctx = op.Context(world, Compute(device="cpu", threads=1))
    stages = split(cfg)
    inputs = {
        "latents": encode(stages.encode, {"frames": clip(world, "rgb", COUNT, 0)}, ctx),
        "embeddings": embed_texts(stages.embed, {}, ctx),
        "map_pose": clip(world, "map", COUNT, 1),
    }
    wrong = type(stages.denoise).model_validate({**stages.denoise.model_dump(), **change})
    with pytest.raises(UserError, match=message):
        denoise(wrong, inputs, ctx)
    with pytest.raises(UserError, match="needs the poses"):
        denoise(stages.denoise.model_copy(update={"composite": "keep_background"}), inputs, ctx)
    with pytest.raises(UserError, match="map_pose was not given"):
        denoise(stages.denoise, {k: v for k, v in inputs.items() if k != "map_pose"}, ctx)
