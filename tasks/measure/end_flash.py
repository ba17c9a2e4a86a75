"""End flash: whether brightness or colour jump, or the picture blurs, in the last frames of a film."""

from __future__ import annotations

from collections.abc import Mapping

from reel.clip import Clip
from reel.config import Config
from reel.measure import Measure, Result, Value, declare, save
from reel.op import Context, op
from tasks.animate.flash import end_flash as looked
from tasks.measure import flow

MEASURE = declare(
    Measure(
        name="end_flash",
        about="Largest step of mean brightness and colour in a film's last frames, and how sharp they still are.",
        aspect="steadiness",
        values=(
            Value("brightness", "largest step of brightness at the end", "lower", 0, 255, "/255"),
            Value("colour", "largest step of colour at the end", "lower", 0, 255, "/255"),
            Value("sharpness", "sharpness of the last frames against the others", None, 0, None),
            Value("seen", "the end flashes or blurs", "lower", 0, 1),
        ),
        reference="own: steps against the film's own median step, see tasks/animate/flash.py",
    )
)


class EndFlash(Config):
    """Settings of the metric: it has none."""


@op(
    "measure",
    "end_flash",
    version=1,
    config=EndFlash,
    inputs=("frames",),
    distributions=("numpy", "opencv-python-headless"),
    gives="measure",
)
def end_flash(cfg: EndFlash, inputs: Mapping[str, str], ctx: Context) -> str:
    """See `tasks.animate.flash.end_flash`."""
    clip = Clip.open(ctx.store, inputs["frames"])
    if clip.count < 2:
        return save(ctx.store, Result("end_flash", missing=flow.ONE_FRAME))
    found = looked(clip.array())
    figures = {"brightness": found.brightness, "colour": found.colour, "sharpness": found.sharpness}
    return save(ctx.store, Result("end_flash", {**figures, "seen": float(found.seen)}))
