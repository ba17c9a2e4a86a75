"""From a painter, as conf/keyframe/ has it, to the settings of the op that draws one picture with it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reel.errors import UserError
from reel.models.family import Size
from reel.models.painter import Painter
from tasks.keyframe.catalogue import RECIPES
from tasks.keyframe.settings import Draw, Drawing

if TYPE_CHECKING:
    from reel.compute import Attention


def drawing(
    painter: Painter,
    how: Drawing,
    *,
    prompt: str,
    width: int,
    height: int,
    seed: int,
    dtype: str,
    attention: Attention,
    references: int = 0,
    reference_scale: float = 1.0,
) -> Draw:
    """One picture of a painter; what it does not read is not in its key.

    Args:
        width, height: px.
        references: how many reference pictures it is given.
        reference_scale: how strongly these count, where an IP-Adapter shows them to it.

    Raises:
        UserError: fewer of these than the painter needs.
    """
    recipe = RECIPES[painter.architecture]
    if references < painter.limits.least_references:
        raise UserError(
            f"keyframe: {painter.name} draws from reference pictures, and there are none",
            fix="another keyframe=NAME (rotoscope models)",
        )
    return Draw(
        architecture=painter.architecture,
        sources=painter.sources_of(recipe.needs(references=references > 0)),
        dtype=dtype,  # type: ignore[arg-type]  # a name of the same few
        prompt=prompt if painter.base is None else recipe.read(prompt, painter.base),
        negative_prompt=how.negative_prompt if painter.limits.negative_prompt else "",
        width=width,
        height=height,
        painted=painted_size(painter, width, height),
        num_inference_steps=how.num_inference_steps,
        guidance_scale=how.guidance_scale,
        reference_scale=reference_scale if references and recipe.adapter else None,
        scheduler_config=painter.scheduler_config,
        call=painter.call,
        max_tokens=painter.max_tokens,
        seed=seed,
        attention=attention,
    )


def painted_size(painter: Painter, width: int, height: int) -> Size | None:
    """The size that a picture is painted at where it is smaller than those that the painter's authors advise: the
    smallest of these of the same shape. None: at its own size.

    A painter that was trained at one size draws badly at a smaller one.
    """
    sizes = painter.advice.sizes
    if any(size.width <= width and size.height <= height for size in sizes):
        return None
    larger = [size for size in sizes if size.width * height == width * size.height]
    return min(larger, key=lambda size: size.width, default=None)


def check_size(painter: Painter, width: int, height: int, of: str) -> None:
    """Whether a painter draws pictures of a size, px.

    Args:
        of: what they are for: ``film``, ``clip``.

    Raises:
        UserError: it does not.
    """
    larger, of_film = painted_size(painter, width, height), f"{width}x{height}"
    if larger is not None:
        width, height = larger.width, larger.height
    limits, wrong = painter.limits, ""
    if width % painter.multiple_of or height % painter.multiple_of:
        wrong = f"draws sides that are multiples of {painter.multiple_of} px"
    elif min(width, height) < limits.least_side:
        wrong = f"draws {limits.least_side} px a side at least"
    elif width * height > limits.most_pixels:
        wrong = f"draws {limits.most_pixels:,} px at most"
    if wrong:
        raise UserError(
            f"keyframe: {painter.name} {wrong}, and the {of} is {of_film}",
            fix="another keyframe=NAME (rotoscope models), or width=... height=...",
        )
