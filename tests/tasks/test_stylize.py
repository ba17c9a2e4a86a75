"""A render with a toy family of the real classes: what changes a picture, what must not, and what is refused."""

from __future__ import annotations

import json
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from reel import op
from reel.canonical import canonical as canonical_data
from reel.clip import Clip, ClipWriter
from reel.compute import Compute
from reel.config import parse
from reel.errors import UserError
from reel.keys import executed, make_key
from reel.store import Store
from tasks.stylize import schedulers
from tasks.stylize.control import live_controls
from tasks.stylize.engine.split import split
from tasks.stylize.settings import Animatediff, check_clip
from tests.tasks.tiny_family import LIMIT, family_config

SIDE, WINDOW = 32, 8
pytestmark = pytest.mark.filterwarnings("ignore")


def make_clip(store: Store, kind: Any, count: int, seed: int, side: int = SIDE) -> str:
    noise = np.random.default_rng(seed)
    with ClipWriter(store, kind, width=side, height=side, time_base=Fraction(1, 12)) as writer:
        for index in range(count):
            writer.add(noise.integers(0, 255, (side, side, 3)).astype(np.uint8), index * 2)
    return writer.digest


def settings(**changes: Any) -> Animatediff:
    base = {
        "prompt": "a dancer",
        "num_inference_steps": 4,
        "model": family_config("tiny", window=WINDOW),
        "controls": {"pose": {"kind": "openpose"}},
    }
    return parse(Animatediff, {**base, **changes}, "stylize")


def inputs(store: Store, count: int, side: int = SIDE) -> dict[str, str]:
    return {
        "frames": make_clip(store, "rgb", count, 0, side),
        "map_pose": make_clip(store, "map", count, 1, side),
        "map_lines": make_clip(store, "map", count, 2, side),
    }


def stylized(store: Store, cfg: Animatediff, given: dict[str, str], ctx: op.Context | None = None) -> str:
    """The render by its four ops, as the flow wires them."""
    ctx = ctx or op.Context(store, Compute(device="cpu", threads=1))
    stages = split(cfg)
    guides = {f"map_{name}": given[f"map_{name}"] for name in stages.denoise.controls}
    latents = op.get("stylize", "encode").fn(stages.encode, {"frames": given["frames"]}, ctx)
    embeddings = op.get("stylize", "embed").fn(stages.embed, {}, ctx)
    both = {"latents": latents, "embeddings": embeddings}
    denoised = op.get("stylize", "denoise").fn(stages.denoise, {**both, **guides}, ctx)
    return op.get("stylize", "decode").fn(stages.decode, {"latents": denoised}, ctx)


def render(store: Store, count: int = 3, side: int = SIDE, **changes: Any) -> str:
    return stylized(store, settings(**changes), inputs(store, count, side))


# ---------------------------------------------------------------- what a render is


def test_output_has_the_size_length_and_times_of_the_frames(world: Store) -> None:
    clip = Clip.open(world, render(world, count=3))
    assert clip.kind == "rgb"
    assert (clip.width, clip.height, len(clip)) == (SIDE, SIDE, 3)
    assert clip.pts == [0, 2, 4]
    assert clip.array().std() > 1  # not a flat picture


def test_each_setting_changes_the_picture_and_none_of_them_sticks(world: Store) -> None:
    pose, lines = {"kind": "openpose"}, {"kind": "lineart"}
    cases: dict[str, dict[str, Any]] = {
        "plain": {},
        "prompt": {"prompt": "a robot"},
        "negative_prompt": {"negative_prompt": "blue"},
        "seed": {"seed": 1},
        "strength": {"strength": 0.5},
        "steps": {"num_inference_steps": 6},
        "guidance": {"guidance_scale": 2.0},
        "no guidance": {"guidance_scale": 1.0},
        "clip_skip": {"clip_skip": 1},
        "weight": {"controls": {"pose": {**pose, "weight": 0.3}}},
        "kind": {"controls": {"pose": lines}},
        "early end": {"controls": {"pose": {**pose, "control_guidance_end": 0.4}}},
        "late start": {"controls": {"pose": {**pose, "control_guidance_start": 0.5}}},
        "two controls": {"controls": {"pose": pose, "lines": lines}},
        "two weights": {"controls": {"pose": pose, "lines": {**lines, "weight": 0.2}}},
        "no control": {"controls": {}},
        "dtype": {"dtype": "bfloat16"},
    }
    digests = {name: render(world, **changes) for name, changes in cases.items()}
    same = [f"{a} = {b}" for a in digests for b in digests if a < b and digests[a] == digests[b]]
    assert not same
    assert render(world) == digests["plain"]  # after all the others, in one process, with shared modules
    assert render(world, clip_skip=1) == digests["clip_skip"]


def test_integer_weights_and_many_controls_in_any_order_are_one_render(world: Store) -> None:
    pose, lines = {"kind": "openpose", "weight": 1}, {"kind": "lineart", "weight": 0.5}
    assert render(world, controls={"pose": pose, "lines": lines}) == render(
        world, controls={"lines": lines, "pose": {"kind": "openpose", "weight": 1.0}}
    )


def test_weight_zero_is_no_control_at_all(world: Store) -> None:
    off = {"kind": "lineart", "weight": 0.0}
    assert render(world, controls={"pose": {"kind": "openpose"}, "lines": off}) == render(world)
    assert render(world, controls={"lines": off}) == render(world, controls={})


def test_motion_module_looks_across_frames(world: Store) -> None:
    """Changing the last frame of the source changes the first of the render: frames are not drawn one by one."""
    noise = np.random.default_rng(3).integers(0, 255, (4, SIDE, SIDE, 3)).astype(np.uint8)
    firsts = []
    for last in (noise[2], noise[3]):
        with ClipWriter(world, "rgb", width=SIDE, height=SIDE, time_base=Fraction(1, 12)) as writer:
            for index, frame in enumerate([noise[0], noise[1], last]):
                writer.add(frame, index)
        digest = stylized(world, settings(controls={}, strength=0.5), {"frames": writer.digest})
        firsts.append(Clip.open(world, digest).frame(0))
    assert not np.array_equal(firsts[0], firsts[1])


@pytest.mark.parametrize(
    "name", ["ddpm", "euler", "euler_a", "dpmpp_2m", "dpmpp_2m_karras", "dpmpp_2m_sde", "lcm", "unipc"]
)
def test_schedulers_sample_a_v_prediction_family(world: Store, name: str) -> None:
    frames = Clip.open(world, render(world, scheduler=name)).array()
    assert frames.std() > 1


def test_frames_beyond_the_window(world: Store) -> None:
    windows = {"context_length": 4, "context_overlap": 2}
    digest = render(world, count=WINDOW + 2, windows=windows)
    assert len(Clip.open(world, digest)) == WINDOW + 2
    assert digest != render(world, count=WINDOW + 2, windows={**windows, "context_overlap": 1})


def test_sides_need_not_halve_evenly_in_the_unet(world: Store) -> None:
    assert Clip.open(world, render(world, count=2, side=40)).width == 40


def test_facts_of_the_render_stay_outside_the_digest(world: Store) -> None:
    context = op.Context(world, Compute(device="cpu", threads=1))
    stylized(world, settings(controls={}, num_inference_steps=5, strength=0.9), inputs(world, 2), context)
    assert context.facts["device"] == "cpu"
    assert context.facts["steps"] == 4  # int(5 * 0.9)


# ---------------------------------------------------------------- text


def test_a_text_longer_than_the_encoder_loses_nothing(world: Store, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    long = "abcdefghij " * 3 + "the end"
    context = op.Context(world, Compute(device="cpu", threads=1))
    digest = stylized(world, settings(controls={}, prompt=long), inputs(world, 2), context)
    assert context.facts["prompt_tokens"][0] == len(long.replace(" ", "")) > LIMIT  # one letter a token
    assert "encoded in 2 pieces" in caplog.text
    assert digest != render(world, 2, controls={}, prompt=f"{long}s")  # the last letter counts


def test_words_that_the_vocabulary_lacks_are_said(world: Store, caplog: pytest.LogCaptureFixture) -> None:
    render(world, 2, controls={}, prompt="a \u732b dancer")
    assert "not in the model's vocabulary" in caplog.text


def test_emphasis_changes_the_picture_and_escaped_brackets_are_text(world: Store) -> None:
    plain = render(world, prompt="a red hat")
    assert render(world, prompt="a (red:1.0) hat") == plain
    assert render(world, prompt="a (red:1.5) hat") != plain
    assert render(world, prompt=r"a \(red\) hat") != plain


# ---------------------------------------------------------------- keys


def keys(cfg: Animatediff) -> list[str]:
    stages = split(cfg)
    return [
        make_key(op.get("stylize", name), executed(getattr(stages, name)), {}, {}).digest
        for name in ("encode", "embed", "denoise", "decode")
    ]


def test_what_has_no_effect_is_in_no_key_and_nothing_else_is_left_out() -> None:
    off = {"kind": "lineart", "weight": 0.0}
    plain = keys(settings())
    assert keys(settings(controls={"pose": {"kind": "openpose"}, "lines": off})) == plain
    assert keys(settings(controls={"pose": {"kind": "openpose"}, "lines": {**off, "weight_schedule": [0]}})) == plain
    unread = [keys(settings(negative_prompt=text, guidance_scale=1.0)) for text in ("x", "y")]
    assert unread[0] == unread[1]
    assert keys(settings(negative_prompt="x")) != plain
    assert "lineart" not in json.dumps(canonical_data(split(settings()).denoise))


def test_words_for_people_are_not_in_the_key() -> None:
    model = family_config("tiny", window=WINDOW)
    assert keys(settings(model={**model, "title": "x", "notes": "y", "verified": True})) == keys(settings())


def test_sources_are_the_files_in_use() -> None:
    stages = split(settings(controls={"pose": {"kind": "openpose"}}))
    labels = {
        name: [source.label for source in op.get("stylize", name).models(getattr(stages, name))]
        for name in ("encode", "embed", "denoise", "decode")
    }
    assert {name: len(found) for name, found in labels.items()} == {"encode": 1, "embed": 1, "denoise": 3, "decode": 1}
    assert any("controlnet_openpose" in label for label in labels["denoise"])
    assert not any("controlnet_lineart" in label for label in labels["denoise"])


def test_live_controls_are_in_alphabetical_order() -> None:
    cfg = settings(
        controls={"b": {"kind": "openpose"}, "a": {"kind": "lineart"}, "c": {"kind": "lineart", "weight": 0}}
    )
    assert list(live_controls(cfg.controls)) == ["a", "b"]


# ---------------------------------------------------------------- refused before any model loads

BAD: list[tuple[dict[str, Any], str]] = [
    (
        {"controls": {"pose": {"kind": "openpose", "weight": -0.5}}},
        r"controls\.pose\.weight: must be greater than or equal to 0",
    ),
    ({"controls": {"pose": {"kind": "openpose", "weight": float("nan")}}}, r"controls\.pose\.weight"),
    ({"controls": {"pose": {"kind": "openpoes"}}}, r"no ControlNet 'openpoes'; nearest: openpose"),
    (
        {"controls": {"pose": {"kind": "openpose", "control_guidance_start": 0.6, "control_guidance_end": 0.4}}},
        r"control_guidance_start \(0\.6\) must be below control_guidance_end \(0\.4\)",
    ),
    ({"strength": 0.2}, r"less than one step.*num_inference_steps >= 5"),
    ({"strength": 1.5}, r"strength: must be less than or equal to 1"),
    ({"prompt": "  "}, r"prompt: is empty"),
    ({"prompt": "a (red hat"}, r"prompt: '\(' at character 3 has no partner"),
    ({"negative_prompt": "one BREAK two"}, r"negative_prompt: BREAK"),
    ({"scheduler": "dimm"}, r"scheduler: must be 'ddim'"),
    ({"seed": -1}, r"seed"),
    ({"guidence_scale": 3}, r"unknown key 'stylize\.guidence_scale'; nearest: guidance_scale"),
    ({"windows": {"context_length": 4, "context_overlap": 4}}, r"context_overlap"),
    ({"strength_schedule": [0.5, 1.5]}, r"factors lie in 0\.\.1"),
    (
        {"controls": {"pose": {"kind": "openpose", "weight_schedule": [1, -1]}}},
        r"weight_schedule: value 1 .* is negative",
    ),
    ({"ip_adapter": {"picture": "x.png"}}, r"names no IP-Adapter weights"),
    (
        {"scheduler": "lcm", "num_inference_steps": 51},
        r"stylize\.num_inference_steps: 51 are over the 50 that scheduler lcm takes",
    ),
    ({"windows": {"context_length": 3}}, r"below context_length \(3\); try stylize\.windows\.context_overlap=0"),
    (
        {"windows": {"closed_loop": True}},
        r"closed_loop needs .* try stylize\.windows\.context_schedule=looped-uniform",
    ),
    (
        {"attention": "flash", "regions": {"hat": {"prompt": "a hat", "mask": {"region": "hair"}}}},
        r"cannot tell regions apart: use auto or math, on a card also efficient",
    ),
]


@pytest.mark.parametrize(
    ("changes", "message"), BAD, ids=[str(list(changes)) + str(i) for i, (changes, _) in enumerate(BAD)]
)
def test_bad_settings(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        settings(**changes)


def test_windows_longer_than_the_modules(world: Store) -> None:
    with pytest.raises(
        UserError, match=r"16 frames are over .*\(model tiny, its catalogue says 8\), and the clip has 9"
    ) as caught:
        check_clip(settings(), SIDE, SIDE, 9)
    assert "windows.context_length=8" in str(caught.value.fix)


LOOP = {"context_schedule": "looped-uniform", "closed_loop": True}


@pytest.mark.parametrize(("length", "count"), [(8, 5), (16, 8), (6, 3)], ids=["short", "over the module", "overlap"])
def test_a_closed_loop_shorter_than_a_window_is_refused(length: int, count: int) -> None:
    """The middle one is over the motion module's window too, which is no matter for a clip that is not a loop."""
    with pytest.raises(UserError, match=rf"stylize\.windows\.closed_loop: a loop of {count} frames") as caught:
        check_clip(settings(windows={**LOOP, "context_length": length}), SIDE, SIDE, count)
    told = dict(one.split("=") for one in str(caught.value.fix).partition(",")[0].split())
    mended = {name.removeprefix("stylize.windows."): int(value) for name, value in told.items()}
    check_clip(settings(windows={**LOOP, **mended}), SIDE, SIDE, count)
    check_clip(settings(windows={"context_length": length}), SIDE, SIDE, count)


def test_a_closed_loop_is_never_given_up_silently(world: Store) -> None:
    with pytest.raises(UserError, match=r"stylize\.windows\.closed_loop: a loop of 3 frames"):
        render(world, count=3, windows=LOOP)


def test_more_steps_than_lcm_has_are_its_librarys_limit() -> None:
    scheduler = schedulers.make("lcm", {})
    scheduler.set_timesteps(schedulers.MOST_STEPS["lcm"])
    with pytest.raises(ValueError, match="reduce `num_inference_steps`"):
        scheduler.set_timesteps(schedulers.MOST_STEPS["lcm"] + 1)


def test_the_modules_own_window_counts_when_the_catalogue_is_wrong(world: Store) -> None:
    model = {**family_config("tiny"), "motion_window": 99}
    with pytest.raises(UserError, match=r"16 frames are over .*\(its config\.json says 8\)"):
        render(world, count=9, model=model)


def test_size_not_a_multiple_names_the_nearest() -> None:
    with pytest.raises(UserError, match="sides must be multiples of 8 px: 36x36 -> 32x32"):
        check_clip(settings(), 36, 36, 3)


def test_values_per_frame_must_be_as_many_as_frames() -> None:
    cfg = settings(controls={"pose": {"kind": "openpose", "weight_schedule": [1, 0]}})
    with pytest.raises(UserError, match=r"controls\.pose\.weight_schedule: 2 values for 3 frames"):
        check_clip(cfg, SIDE, SIDE, 3)


def test_map_of_another_length(world: Store) -> None:
    given = {"frames": make_clip(world, "rgb", 3, 0), "map_pose": make_clip(world, "map", 2, 1)}
    with pytest.raises(UserError, match=r"controls\.pose: map_pose has 2 frames of 32x32, the clip 3 of 32x32"):
        stylized(world, settings(), given)


def test_a_scheduler_that_cannot_honour_the_family_is_refused() -> None:
    family = {"prediction_type": "v_prediction", "rescale_betas_zero_snr": True}
    with pytest.raises(UserError, match="heun does not know the model's rescale_betas_zero_snr") as caught:
        schedulers.make("heun", family)
    assert "ddim" in str(caught.value.fix)


@pytest.mark.parametrize("name", sorted(schedulers.REGISTRY))
def test_what_schedulers_know_is_what_their_classes_take(name: str) -> None:
    import inspect

    import diffusers

    takes = inspect.signature(getattr(diffusers, schedulers.REGISTRY[name][0]).__init__).parameters
    for key in schedulers._DECISIVE:
        refused = False
        try:
            schedulers.check(name, {key: "something special"})
        except UserError:
            refused = True
        assert refused == (key not in takes), key


@pytest.mark.parametrize("name", sorted(schedulers.REGISTRY))
def test_schedulers_take_the_familys_noise_and_not_its_sampler(name: str) -> None:
    family = {
        "beta_schedule": "scaled_linear",
        "beta_start": 0.001,
        "beta_end": 0.01,
        "prediction_type": "v_prediction",
        "timestep_spacing": "trailing",
        "algorithm_type": "deis",
        "use_karras_sigmas": True,
        "_class_name": "DEISMultistepScheduler",
    }
    config = schedulers.make(name, family).config
    for key_ in ("beta_schedule", "beta_start", "beta_end", "prediction_type", "timestep_spacing"):
        assert config[key_] == family[key_]
    assert config.get("algorithm_type") != "deis"
    assert bool(config.get("use_karras_sigmas")) == (name == "dpmpp_2m_karras")
