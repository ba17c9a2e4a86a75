"""Keys of the four ops: a change is in those that it touches and in no other, what has no effect is in none."""

from __future__ import annotations

import json
from typing import Any

import pytest

from reel import op
from reel.compute import Compute
from reel.keys import canonical, executed, make_key
from reel.store import Store
from tasks.cached import Stage, call
from tasks.stylize.denoise import denoise
from tasks.stylize.settings.controls import Mask
from tasks.stylize.settings.split import Stages
from tasks.stylize.settings.windows import FreeInit
from tasks.weights.fetch import content_id
from tests.tasks.tiny_family import family_config
from tests.tasks.tiny_render import COUNT, WINDOW, Rendered, make_clip
from tests.tasks.tiny_settings import engine_settings, settings

pytestmark = pytest.mark.filterwarnings("ignore")


def keys(store: Store, stages: Stages) -> dict[str, str]:
    """Keys of the four ops for inputs that stay the same."""
    inputs = {
        "encode": {"frames": "f"},
        "embed": {},
        "denoise": {"latents": "l", "embeddings": "e", "map_pose": "m"},
        "decode": {"latents": "d"},
    }
    every = {name: op.get("stylize", name) for name in inputs}
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
    before, after = keys(world, engine_settings()), keys(world, engine_settings(**change))
    assert {name for name in before if before[name] != after[name]} == expected


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
    assert keys(world, engine_settings(**base)) == keys(world, engine_settings(**{**base, **change}))


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
    before, after = keys(world, engine_settings(**base)), keys(world, engine_settings(**{**base, **change}))
    assert {name for name in before if before[name] != after[name]} == {"denoise"}


def test_unguided_branches_and_masks_of_nothing_change_no_bit(world):
    """What is reset before a render is what the renderer itself takes no notice of."""
    plain = engine_settings(guidance_scale=1, strength=0.5)
    inputs = Rendered(world, plain).inputs
    ctx = op.Context(world, Compute(device="cpu", threads=1))
    own = plain.denoise
    pose = own.controls["pose"].model_copy(update={"control_on": "cond", "mask": Mask(dilate=4, feather=2)})
    odd = {"guidance_end": 0.4, "guidance_scale": 0.5, "composite_dilate": 20, "controls": {"pose": pose}}
    odd["free_init"] = FreeInit(order=5, method="gaussian")
    assert denoise(own.model_copy(update=odd), inputs, ctx) == denoise(own, inputs, ctx)


def computed(store: Store, stages: Stages) -> list[str]:
    """The ops that a render through the cache runs, in order; the others' results are taken from the store."""
    from prefect import flow

    ctx = op.Context(store, Compute(device="cpu", threads=1))
    frames, pose = make_clip(store, "rgb", COUNT, 0), make_clip(store, "map", COUNT, 1)

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
    assert len(computed(world, engine_settings())) == 4
    assert computed(world, engine_settings(decode_tiling=True)) == ["stylize.decode"]
    assert computed(world, engine_settings(decode_chunk_size=2)) == ["stylize.decode"]
    assert computed(world, engine_settings(seed=4)) == ["stylize.denoise", "stylize.decode"]
    anew = computed(world, engine_settings(encode_chunk_size=2))
    assert anew[:2] == ["stylize.encode", "stylize.denoise"]  # on some CPUs the denoised bits are the same: no decoding
    again = computed(world, engine_settings(encode_chunk_size=COUNT))
    assert again == ["stylize.encode"], "a chunk that holds the whole clip is the same as a larger one"


def settings_keys(stages: Stages) -> list[str]:
    return [
        make_key(op.get("stylize", name), executed(getattr(stages, name)), {}, {}).digest
        for name in ("encode", "embed", "denoise", "decode")
    ]


def test_what_has_no_effect_is_in_no_key_and_nothing_else_is_left_out() -> None:
    off = {"kind": "lineart", "weight": 0.0}
    plain = settings_keys(settings())
    assert settings_keys(settings(controls={"pose": {"kind": "openpose"}, "lines": off})) == plain
    assert (
        settings_keys(settings(controls={"pose": {"kind": "openpose"}, "lines": {**off, "weight_schedule": [0]}}))
        == plain
    )
    unread = [settings_keys(settings(negative_prompt=text, guidance_scale=1.0)) for text in ("x", "y")]
    assert unread[0] == unread[1]
    assert settings_keys(settings(negative_prompt="x")) != plain
    assert "lineart" not in json.dumps(canonical(settings().denoise))


def test_words_for_people_are_not_in_the_key() -> None:
    model = family_config("tiny", window=WINDOW)
    assert settings_keys(settings(model={**model, "title": "x", "notes": "y", "verified": True})) == settings_keys(
        settings()
    )


def test_sources_are_the_files_in_use() -> None:
    stages = settings(controls={"pose": {"kind": "openpose"}})
    labels = {
        name: [source.label for source in op.get("stylize", name).models(getattr(stages, name))]
        for name in ("encode", "embed", "denoise", "decode")
    }
    assert {name: len(found) for name, found in labels.items()} == {"encode": 1, "embed": 1, "denoise": 3, "decode": 1}
    assert any("controlnet_openpose" in label for label in labels["denoise"])
    assert not any("controlnet_lineart" in label for label in labels["denoise"])


def test_live_controls_are_in_alphabetical_order() -> None:
    stages = settings(
        controls={"b": {"kind": "openpose"}, "a": {"kind": "lineart"}, "c": {"kind": "lineart", "weight": 0}}
    )
    assert list(stages.denoise.controls) == ["a", "b"]
