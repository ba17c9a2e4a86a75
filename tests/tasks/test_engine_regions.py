"""Regional prompts: every place reads the words that count there, the controls and the negative prompt as ever."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from diffusers.models.attention_processor import Attention
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from reel.errors import UserError
from reel.store import Store
from tasks.stylize.engine.controls import Controls
from tasks.stylize.engine.network import Network
from tasks.stylize.engine.prompts import Conditioning, TextTrack
from tasks.stylize.engine.regions import Regions, shares
from tasks.stylize.engine.windows import WindowPlan
from tests.tasks import engine_models as tiny
from tests.tasks.engine_models import one_thread  # noqa: F401  (autouse)
from tests.tasks.test_engine_network import COUNT, LATENTS, T, close, track
from tests.tasks.tiny_render import Rendered, tensor
from tests.tasks.tiny_settings import engine_settings as settings

SIDE = LATENTS.shape[-1]
LEFT = np.repeat(np.arange(SIDE) < SIDE // 2, SIDE).reshape(SIDE, SIDE).T.astype(np.float32)
PROMPT, OTHER, NEGATIVE = (tiny.text(seed) for seed in (11, 13, 12))


def over(mask: np.ndarray, text: torch.Tensor = OTHER, weight: float = 1.0) -> Regions:
    """One region, the same in every frame."""
    return Regions(text, torch.from_numpy(shares([mask], [weight])).expand(COUNT, -1, -1, -1))


@torch.no_grad()
def run(
    prompt: torch.Tensor, regions: Regions | None = None, scale: float = 3.0, controls: Any = None, **more: Any
) -> torch.Tensor:
    negative = TextTrack.constant(NEGATIVE, COUNT) if scale > 1 else None
    told = Conditioning(TextTrack.constant(prompt, COUNT), negative, np.full(COUNT, scale), {}, regions)
    return Network(tiny.unet(), told, Controls([track()] if controls is None else controls), **more)(LATENTS, T, 0, 4)


@torch.no_grad()
def test_inside_a_region_attention_is_that_to_its_words_and_outside_to_the_prompts() -> None:
    torch.manual_seed(0)
    attention = Attention(query_dim=8, cross_attention_dim=tiny.TEXT, heads=2, dim_head=4).eval()
    places = torch.randn(2 * COUNT, SIDE * SIDE, 8)
    rows = lambda text: torch.cat([part.expand(COUNT, -1, -1) for part in (NEGATIVE, text)])  # noqa: E731
    regions, inside = over(LEFT), torch.from_numpy(LEFT).flatten().bool()
    bias = regions.bias(np.arange(COUNT), (SIDE, SIDE), 2, torch.float32)
    found = attention(places, encoder_hidden_states=regions.join(rows(PROMPT), 2), attention_mask=bias)
    prompted, other = (attention(places, encoder_hidden_states=rows(text)) for text in (PROMPT, OTHER))
    torch.testing.assert_close(found[:COUNT], prompted[:COUNT], msg="the negative prompt knows no regions")
    torch.testing.assert_close(found[COUNT:, inside], other[COUNT:, inside])
    torch.testing.assert_close(found[COUNT:, ~inside], prompted[COUNT:, ~inside])
    assert (other - prompted)[COUNT:].abs().max() > 0.01


@pytest.mark.parametrize("scale", [1.0, 3.0])
@pytest.mark.parametrize("block", [3, COUNT])
def test_a_region_of_the_same_words_changes_nothing(scale: float, block: int) -> None:
    plain = run(PROMPT, scale=scale)
    assert close(run(PROMPT, over(LEFT, PROMPT), scale, block=block), plain)
    assert not close(run(PROMPT, over(LEFT), scale, block=block), plain, 1e-3)


def test_a_region_of_the_whole_picture_takes_the_prompts_place_but_in_the_controls() -> None:
    everywhere = np.ones((SIDE, SIDE), np.float32)
    told = run(PROMPT, over(everywhere))
    assert not close(told, run(OTHER), 1e-3), "the controls go on reading the prompt"
    assert close(run(PROMPT, over(everywhere), controls=()), run(OTHER, controls=()))
    assert close(run(PROMPT, over(np.zeros_like(everywhere))), run(PROMPT)), "in the controls too"


def test_a_region_moves_with_its_frames_in_windows_of_either_scope() -> None:
    """Frames of their own: those without the region are as without it, those that it fills as with its words alone."""
    masks = [np.full((SIDE, SIDE), float(frame % 2), np.float32) for frame in range(COUNT)]
    regions = Regions(OTHER, torch.from_numpy(np.stack([shares([mask], [1.0]) for mask in masks])))
    for scope in ("motion", "full"):
        own = {"windows": WindowPlan(1, 0), "scope": scope}
        found, plain, whole = (
            run(PROMPT, told, **own) for told in (regions, None, over(np.ones((SIDE, SIDE), np.float32)))
        )
        assert close(found[:, :, ::2], plain[:, :, ::2])
        assert close(found[:, :, 1::2], whole[:, :, 1::2])
        assert not close(whole, plain, 1e-3)


@examples(deadline=None)
@given(
    masks=arrays.arrays(np.float32, (3, 4, 5), elements=st.floats(0, 1, width=32)),
    weights=st.lists(st.floats(0.01, 1), min_size=3, max_size=3),
)
def test_shares_sum_to_one_and_the_prompt_has_what_is_left(masks: np.ndarray, weights: list[float]) -> None:
    found = shares(list(masks), weights)
    assert found.min() >= 0
    np.testing.assert_allclose(found.sum(axis=0), 1, rtol=1e-5)
    free = (masks == 0).all(axis=0)
    assert (found[0][free] == 1).all()


def test_renders_of_regions_from_the_outline_and_from_a_file(world: Store) -> None:
    """The person stands in the left half; the file's mask is white there too."""

    def render(**regions: Any) -> torch.Tensor:
        return tensor(world, Rendered(world, settings(regions=regions, strength=1.0, controls={})).denoised)

    words, plain = "a robot", render()
    person = render(one={"prompt": words, "mask": {"region": "person"}})
    ground = render(one={"prompt": words, "mask": {"region": "background"}})
    whole = render(
        one={"prompt": words, "mask": {"region": "person"}}, two={"prompt": words, "mask": {"region": "background"}}
    )
    robot = tensor(world, Rendered(world, settings(prompt=words, strength=1.0, controls={})).denoised)
    torch.testing.assert_close(whole, robot, rtol=0, atol=1e-4)
    for one, other in ((person, plain), (person, ground), (person, robot), (ground, plain)):
        assert (one - other).abs().max() > 1e-3
    half = render(one={"prompt": words, "mask": {"region": "person"}, "weight": 0.5})
    assert 0 < (half - plain).abs().mean() < (person - plain).abs().mean()
    assert torch.equal(render(one={"prompt": words, "mask": {"region": "person"}, "weight": 0}), plain)


def test_a_file_of_masks_is_asked_for(world: Store) -> None:
    cfg = settings(regions={"coat": {"prompt": "a coat", "mask": {"region": "file"}}})
    with pytest.raises(UserError, match=r"regions\.coat: region_coat was not given"):
        Rendered(world, cfg)


@pytest.mark.parametrize(
    ("region", "message"),
    [
        ({"prompt": " ", "mask": {"region": "person"}}, r"regions\.coat\.prompt.*is empty"),
        ({"prompt": "a coat", "mask": {"region": "none"}}, r"regions\.coat\.mask.*nowhere"),
        ({"prompt": "a coat"}, r"regions\.coat\.mask"),
        ({"prompt": "a coat", "mask": {"region": "person"}, "weight": 1.5}, r"regions\.coat\.weight"),
        ({"prompt": "<lora:x:1>", "mask": {"region": "person"}}, r"regions\.coat\.prompt.*LoRA tag"),
        ({"prompt": "a (coat:1.2", "mask": {"region": "person"}}, r"regions\.coat\.prompt"),
    ],
)
def test_what_cannot_be_meant_is_refused_by_its_name(world: Store, region: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        settings(regions={"coat": region})


def test_a_kernel_without_masks_is_refused(world: Store) -> None:
    region = {"coat": {"prompt": "a coat", "mask": {"region": "person"}}}
    with pytest.raises(UserError, match=r"attention=flash cannot tell regions apart"):
        settings(regions=region, attention="flash")
    assert settings(regions={"coat": {**region["coat"], "weight": 0}}, attention="flash")
