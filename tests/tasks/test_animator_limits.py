"""Each animator's limits against its stock pipeline: what is accepted comes out unchanged, what is refused would not.

The pipelines run on tiny models of their own geometry. Of each family's limits the form is held against them: the rule
of the lengths, what sides are multiples of, its list of sizes. What of it was trained no pipeline can say.
"""

from __future__ import annotations

import functools
import inspect
import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import diffusers
import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from reel.errors import UserError
from reel.models import buckets
from reel.models.animator import Animator
from reel.models.family import Size
from tasks.animate import checks
from tasks.animate.catalogue import RECIPES
from tasks.animate.recipe import READ, Shown, loaded_class
from tasks.animate.settings import Key, Sampling
from tests.families import animator, animators
from tests.tasks import animate_models as ltx
from tests.tasks import video_models as tiny
from tests.tasks.animate_models import one_thread, picture  # noqa: F401

pytestmark = pytest.mark.filterwarnings("ignore")
ANIMATORS = animators()


@dataclass(frozen=True)
class Stock:
    """A family with its tiny models, and what its pipeline is told beside a picture, a length and a size.

    Attributes:
        sized: whether it is told a size at all.
        lengths, sides: least and most that are tried.
        sizes: the only ones of the tiny models, where the family has only some.
        hidden: what it does to a length that nobody would see in the number of its frames; empty: nothing.
    """

    model: str
    parts: dict[str, Any]
    call: Mapping[str, Any]
    further: Mapping[str, Any] | None = None
    sized: bool = True
    lengths: tuple[int, int] = (1, 18)
    sides: tuple[int, int] = (24, 130)
    sizes: tuple[tuple[int, int], ...] = ()
    hidden: Callable[[int], str] = lambda frames: ""

    def limits(self) -> Animator:
        """The family's limits, the sizes and lengths that it was trained with left open, as tiny as its models are."""
        model = animator(self.model)
        own = model.limits
        least, most = (9, 9) if own.frames.least == own.frames.most else (self.lengths[0], 99)
        frames = own.frames.model_copy(update={"least": least, "most": most})
        change: dict[str, Any] = {"frames": frames, "least_side": 1, "most_pixels": 10**6}
        if own.sizes:
            change["sizes"] = [Size(width=width, height=height) for width, height in self.sizes]
        if own.bucket:
            change["bucket"] = self.parts["transformer"].config.target_size
        return model.model_copy(update={"limits": own.model_copy(update=change)})

    def makes(self, frames: int, width: int, height: int) -> str:
        """What its pipeline makes of that: empty, if it is just that, or in words what it does."""
        recipe = RECIPES[animator(self.model).architecture]
        pipe = loaded_class(recipe.pipeline)(**{**self.parts, **recipe.init, **(self.further or {})})
        pipe.set_progress_bar_config(disable=True)
        size = {"width": width, "height": height} if self.sized else {}
        call = {"num_frames": frames, "num_inference_steps": 1, "output_type": "np", **size, **self.call}
        with told("diffusers") as lines:
            try:
                found = pipe(image=picture(0, width, height), generator=torch.Generator().manual_seed(0), **call)
            except (ValueError, RuntimeError, IndexError, AssertionError) as error:
                return f"fails: {error}"
        shape = np.asarray(found.frames[0]).shape[:3]
        if shape != (frames, height, width):
            return f"makes {shape}"
        return self.hidden(frames) or "".join(line for line in lines if "ounding" in line or "djusting" in line)


@contextmanager
def told(name: str) -> Iterator[list[str]]:
    """What a library's modules log inside the block."""
    lines: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: lines.append(record.getMessage())  # type: ignore[method-assign]
    logger = logging.getLogger(name)
    logger.addHandler(handler)
    try:
        yield lines
    finally:
        logger.removeHandler(handler)


def drawn(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(1))


WORDS = {"prompt_embeds": drawn(1, 16, tiny.TEXT), "guidance_scale": 1.0}


def wordless(parts: tiny.Parts) -> dict[str, Any]:
    """The same without what embeds texts."""
    return {name: None if name.startswith(("text", "token")) else part for name, part in parts.items()}


@functools.cache
def stocks() -> dict[str, Stock]:
    image = {"prompt_attention_mask": torch.ones(1, 16, dtype=torch.bool)}
    chat = {
        "prompt_embeds": drawn(1, 8, 16),
        "prompt_embeds_mask": torch.ones(1, 8),
        "prompt_embeds_2": drawn(1, 8, tiny.TEXT),
        "prompt_embeds_mask_2": torch.ones(1, 8),
    }
    return {
        "ltx_2b": Stock("ltx_2b", wordless(ltx.ltx()), {**WORDS, **image}),
        "wan21": Stock("wan21", wordless(tiny.wan21()), WORDS),
        "wan22": Stock("wan22", wordless(tiny.wan22()), WORDS),
        "wan22_5b": Stock("wan22_5b", wordless(tiny.wan22_5b()), WORDS),
        "svd": Stock("svd", tiny.svd(), {"max_guidance_scale": 1.0}, lengths=(2, 6), sides=(64, 130)),
        "cogvideox": Stock(
            "cogvideox", wordless(tiny.cogvideox()), WORDS, sizes=((64, 32),), hidden=lambda frames: positions(frames)
        ),
        "cogvideox15": Stock(
            "cogvideox15", wordless(tiny.cogvideox(newer=True)), WORDS, hidden=lambda frames: first_cell(frames)
        ),
        "hunyuan": Stock(
            "hunyuan",
            wordless(tiny.hunyuan()),
            {
                "prompt_embeds": drawn(1, 8, 16),
                "pooled_prompt_embeds": drawn(1, 8),
                "prompt_attention_mask": torch.ones(1, 8),
            },
        ),
        "hunyuan15": Stock(
            "hunyuan15",
            wordless(tiny.hunyuan15()),
            chat,
            further={"guider": diffusers.ClassifierFreeGuidance(guidance_scale=1.0)},
            sized=False,
            lengths=(1, 10),
        ),
    }


def positions(frames: int) -> str:
    """CogVideoX learned its positions for one length; see the test of it below."""
    return "" if frames == 9 else "leaves its learned positions out"


def first_cell(frames: int) -> str:
    """CogVideoX decodes cells two by two; an even number of them has no first one alone, which stands for one frame."""
    return "draws the first cell, one frame, out to four" if frames % 8 == 0 else ""


def accepted(model: Animator, frames: int, width: int, height: int) -> bool:
    """Whether all checks let that pass; if not, they say what would do."""

    def held() -> None:
        assert checks.frames(frames, model, "error") == frames
        for name, side in (("width", width), ("height", height)):
            assert checks.side(name, side, model, "error", model.multiple_of) == side
        checks.size(width, height, model)

    said = refused(held)
    assert said is None or said.fix
    return said is None


def refused(work: Callable[[], Any]) -> UserError | None:
    """What a check says against it; None: nothing."""
    try:
        work()
    except UserError as error:
        return error
    return None


@pytest.mark.parametrize(
    "name", ["ltx_2b", "wan21", "wan22", "wan22_5b", "svd", "cogvideox", "cogvideox15", "hunyuan", "hunyuan15"]
)
def test_what_is_accepted_is_made_unchanged_and_what_is_refused_is_not(name: str):
    stock = stocks()[name]
    model = stock.limits()
    least, most = stock.sides
    sides = st.one_of(st.integers(-(-least // 16), most // 16).map(lambda n: 16 * n), st.integers(least, most))
    kept: list[bool] = []

    @settings(max_examples=8)
    @given(st.integers(*stock.lengths), sides, sides)
    @example(9, 64, 64)
    @example(9, 64, 32 if least < 64 else 64)
    @example(5, 80, 64)
    def holds(frames: int, width: int, height: int) -> None:
        said, fits = stock.makes(frames, width, height), accepted(model, frames, width, height)
        assert fits == (said == ""), (frames, width, height, said)
        kept.append(fits)

    holds()
    assert any(kept)
    assert not all(kept)


def test_cogvideox_leaves_its_learned_positions_out_at_another_length():
    """Nobody would see it in the film's size: what was learned is replaced by what is reckoned, in silence."""
    stock = stocks()["cogvideox"]
    pipe = diffusers.CogVideoXImageToVideoPipeline(**stock.parts)
    pipe.set_progress_bar_config(disable=True)
    positions = stock.parts["transformer"].patch_embed.pos_embedding

    def latents(frames: int) -> torch.Tensor:
        call = {"num_frames": frames, "width": 64, "height": 32, "num_inference_steps": 1, "output_type": "latent"}
        generator = torch.Generator().manual_seed(0)
        return pipe(image=picture(0, 64, 32), generator=generator, **call, **stock.call).frames

    before = latents(9), latents(17)
    positions.data += 1
    try:
        after = latents(9), latents(17)
    finally:
        positions.data -= 1
    assert not torch.equal(before[0], after[0])
    assert torch.equal(before[1], after[1])


@pytest.mark.parametrize("model", ANIMATORS, ids=lambda model: model.name)
@given(st.floats(0.5, 70))
@settings(max_examples=20)
def test_a_rate_is_told_as_it_is_or_the_family_has_one(model: Animator, fps: float):
    """A pipeline that is told no rate makes its own, so any other is refused; none is rounded to a whole number."""
    call = inspect.signature(loaded_class(RECIPES[model.architecture].pipeline).__call__).parameters
    told = call.get("frame_rate") or call.get("fps")
    said = refused(lambda: checks.rate(fps, model))
    if said is not None:
        assert said.fix is not None
        checks.rate(float(said.fix.removeprefix("fps=").partition(";")[0]), model)
    elif told is None:
        assert fps == model.limits.least_fps == model.limits.most_fps
    elif model.limits.whole_fps:
        assert float(fps).is_integer()


def test_the_sizes_of_hunyuan_15_are_its_pipelines_own():
    from diffusers.pipelines.hunyuan_video1_5.image_processor import HunyuanVideo15ImageProcessor

    processor = HunyuanVideo15ImageProcessor()
    shapes = np.random.RandomState(0).randint(16, 3000, (20, 2)).tolist()
    for target in (640, 960):
        own = [(wide, high) for high, wide in buckets.buckets(target)]
        for width, height in [*shapes, *own[:: target // 160]]:
            height_of_its_own, width_of_its_own = processor.calculate_default_height_width(height, width, target)
            assert buckets.chosen(width, height, target) == (width_of_its_own, height_of_its_own)
    assert (832, 480) not in buckets.sizes(640), "which it would make 848x480"
    assert {(848, 480), (480, 832), (640, 640)} <= set(buckets.sizes(640))


def test_framepack_is_asked_for_what_makes_the_films_length():
    """It makes whole sections and a frame: asked for 73 it would make 109. So it is asked for another number."""
    from tasks.animate.animators.framepack import ASKED, SECTION, arguments, sections
    from tasks.animate.settings import Denoise

    rule = animator("framepack").limits.frames
    base = {"architecture": "framepack", "sources": {}, "fps": 30, "width": 64, "height": 64, "num_inference_steps": 1}
    for frames in range(1, 400):
        if not rule.fits(frames):
            continue
        cfg = Denoise(**base, frames=frames, guidance_scale=1)
        asked = arguments(cfg, [Shown(np.zeros((1, 64, 64, 3), np.uint8), 0, 1.0)])["num_frames"]
        made = max(1, -(-asked // ASKED))
        assert made * SECTION + 1 == frames
        assert len(sections({}, frames)) == made


def test_pictures_where_a_pipeline_takes_them():
    def places(name: str, *at: int, strength: float = 1.0) -> list[int]:
        found = [(f"pictures.{frame}", Key(at=frame, strength=strength)) for frame in at]
        return [key.at for key in checks.keys(found, 81, animator(name), "error")]

    assert places("wan21", 0) == [0]
    assert places("wan22", 0, 80) == [0, 80]
    assert places("wan22", 0) == [0]
    assert places("framepack", 0, 80) == [0, 80]
    for name in ("wan21", "wan22_5b", "svd", "cogvideox", "hunyuan15", "framepack_f1"):
        with pytest.raises(UserError, match="takes 1 at most, got 2"):
            places(name, 0, 80)
        with pytest.raises(UserError, match="at the first frame alone, got frame 80"):
            places(name, 80)
    with pytest.raises(UserError, match="wan21_flf needs the first and the last frame, got 1 picture"):
        places("wan21_flf", 0)
    ends = [("picture", Key(at=0)), ("last", Key(at=76))]
    assert len(checks.keys(ends, 77, animator("wan22"), "error")) == 2
    with pytest.raises(UserError, match="puts the last picture behind all frames that it makes, and 4 of them are cut"):
        checks.keys(ends, 77, animator("wan22"), "error", 4)
    with pytest.raises(UserError, match="picture: model wan22 needs one at the first frame"):
        places("wan22", 80)
    with pytest.raises(UserError, match="first and the last frame alone, got frame 40"):
        places("wan22", 0, 40)
    with pytest.raises(UserError, match=r"knows no strength, got 0\.5"):
        places("svd", 0, strength=0.5)


def test_one_picture_breaks_the_weights_for_two_and_two_those_for_one():
    """Why both are refused: neither pipeline says what is wrong, and the 5B one takes no notice of the second."""
    one, two = tiny.wan21(), tiny.wan21(both=True)
    assert torch.isfinite(_wan(two, picture(1))).all()
    for parts, last in ((one, picture(1)), (two, None)):
        with pytest.raises(RuntimeError):
            _wan(parts, last)
    small = tiny.wan22_5b()
    assert torch.equal(_wan(small, picture(1), expand_timesteps=True), _wan(small, None, expand_timesteps=True))


def _wan(parts: tiny.Parts, last: Any, **init: Any) -> torch.Tensor:
    pipe = diffusers.WanImageToVideoPipeline(**wordless(parts), **init)
    pipe.set_progress_bar_config(disable=True)
    call = {"width": 32, "height": 32, "num_frames": 5, "num_inference_steps": 1, "output_type": "latent"}
    generator = torch.Generator().manual_seed(0)
    return pipe(image=picture(), last_image=last, generator=generator, **call, **WORDS).frames


SET = {
    "timesteps": [1000.0, 500.0],
    "guidance_rescale": 0.5,
    "picture_noise": 0.1,
    "decode_timestep": 0.05,
    "decode_noise_scale": 0.02,
    "encode_tiling": True,
    "decode_tiling": True,
    "decode_framewise": True,
}


@pytest.mark.parametrize("model", ANIMATORS, ids=lambda model: model.name)
def test_settings_that_a_pipeline_does_not_read_are_refused(model: Animator):
    reads = RECIPES[model.architecture].reads
    assert reads <= READ
    for name, value in SET.items():
        if name in reads:
            checks.sampling(Sampling(**{name: value}), model)
            continue
        with pytest.raises(UserError, match=rf"animate\.{name}: model {model.name} does not read it") as said:
            checks.sampling(Sampling(**{name: value}), model)
        assert said.value.fix is not None
        assert said.value.fix.startswith(f"animate.{name}=")


def test_words_for_a_model_without():
    with pytest.raises(UserError, match="prompt: model svd reads none"):
        checks.prompt("she waves", animator("svd"))
    checks.prompt("", animator("svd"))


@pytest.mark.parametrize("name", ["wan21", "vace"])
def test_wans_pipelines_find_the_package_that_they_mend_texts_with(name: str):
    """They call it for every text, and import it only where it is there."""
    module = inspect.getmodule(loaded_class(RECIPES[name].pipeline))
    assert module is not None
    assert module.prompt_clean("the cafÃ© &amp; bar") == "the café & bar"
