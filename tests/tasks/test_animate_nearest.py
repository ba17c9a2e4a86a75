"""What an animator makes that is nearest to what is asked of several: checks take it, and what fits stays as it is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.animate.settings import Animate
from flows.config.compose import plain_settings
from flows.config.root import Root
from reel.models.animator import Animator, FrameRule, Limits
from tasks.animate import checks, nearest


@pytest.fixture(scope="module")
def family() -> Animator:
    return Animator.model_validate(plain_settings(Root("animate", Animate), ["model=ltx_2b"])["model"])


@st.composite
def limits(draw: st.DrawFn) -> Limits:
    step = draw(st.integers(1, 16))
    rest = draw(st.integers(0, step - 1)) if step > 1 else 0
    low = draw(st.integers(1, 6))
    high = low + draw(st.integers(0, 30))
    rule = FrameRule(step=step, rest=rest, least=max(1, low * step + rest), most=high * step + rest)
    rates = sorted(draw(st.tuples(st.integers(1, 60), st.integers(1, 60))))
    return Limits(
        frames=rule, least_side=64, most_pixels=draw(st.integers(768 * 512, 2000 * 1200)),
        least_fps=rates[0], most_fps=rates[1], whole_fps=draw(st.booleans()),
        sizes=draw(st.sampled_from([[], [{"width": 768, "height": 512}, {"width": 512, "height": 768}]])),
    )  # fmt: skip


@given(limits(), st.integers(1, 600), st.integers(0, 24), st.integers(64, 4000), st.integers(64, 4000),
       st.floats(1, 120), st.sampled_from([8, 16, 32, 64]))  # fmt: skip
def test_what_is_nearest_the_checks_take(family, own, frames, extra, width, height, fps, unit):
    model = family.model_copy(update={"limits": own, "multiple_of": unit})
    length, more = nearest.length(frames, extra, model)
    assert checks.frames(length, model, "error") == length
    assert checks.rendered(length, more, model) == length + more
    rate = nearest.rate(fps, model)
    checks.rate(rate, model)
    size = nearest.size(width, height, model, unit)
    checks.size(*size, model)
    assert [checks.side("side", one, model, "error", unit) for one in size] == list(size)
    assert nearest.length(length, more, model) == (length, more), "what fits stays as it is"
    assert nearest.rate(rate, model) == rate
    assert nearest.size(*size, model, unit) == size


@pytest.mark.parametrize(
    ("asked", "extra", "made"),
    [(97, 8, (97, 8)), (100, 8, (97, 8)), (101, 8, (105, 8)), (1, 8, (9, 8)), (999, 8, (249, 8)), (97, 3, (97, 0))],
)
def test_lengths_of_a_known_family(family: Animator, asked: int, extra: int, made: tuple[int, int]):
    assert family.limits.frames.most == 257
    assert nearest.length(asked, extra, family) == made


def test_a_family_of_one_length_has_no_room_for_more(family: Animator):
    one = Limits(frames=FrameRule(least=25, most=25), most_pixels=1024 * 576)
    assert nearest.length(97, 8, family.model_copy(update={"limits": one})) == (25, 0)


def test_of_sizes_of_its_own_the_nearest_shape_is_taken(family: Animator):
    sizes = [{"width": 1360, "height": 768}, {"width": 720, "height": 480}, {"width": 768, "height": 1360},
             {"width": 680, "height": 384}]  # fmt: skip
    own = family.model_copy(update={"limits": Limits(frames=FrameRule(most=9), most_pixels=1360 * 768, sizes=sizes)})
    assert nearest.size(1920, 1080, own, 16) == (1360, 768)
    assert nearest.size(640, 360, own, 16) == (680, 384)
    assert nearest.size(480, 854, own, 16) == (768, 1360)
    assert nearest.size(720, 480, own, 16) == (720, 480)


def test_sizes_keep_their_shape(family: Animator):
    few = family.model_copy(update={"limits": Limits(frames=FrameRule(most=9), most_pixels=720 * 480)})
    width, height = nearest.size(1920, 1080, few, 16)
    assert width * height <= 720 * 480
    assert width / height == pytest.approx(16 / 9, rel=0.05)
    assert nearest.size(704, 480, few, 16) == (704, 480)


@pytest.mark.parametrize(
    ("territory", "licensed"),
    [("", True), ("EU", False), ("eu", False), ("South Korea", False), ("Korea", False), ("US", True), ("K", True)],
)
def test_territories_are_compared_word_by_word(family: Animator, territory: str, licensed: bool):
    model = family.model_copy(update={"territory": "the EU, the UK and South Korea"})
    assert nearest.licensed(territory, model) == licensed
    assert nearest.licensed(territory, family), "a licence that excludes nobody"
