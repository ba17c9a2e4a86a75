"""Probe attributes: does the embedded family's figure look as the prompt says?"""

from __future__ import annotations

from collections.abc import Mapping

from reel.clip import Clip
from reel.config import Config, Text
from reel.measure import Measure, Result, Value, declare, save
from reel.op import Context, op
from tasks.measure.figure import PROBE, known, read_frames
from tasks.sprite.asked import asked
from tasks.sprite.attributes import CHOICES
from tasks.sprite.captions import FACE

MEASURE = declare(
    Measure(
        name="probe_attributes",
        about="Attributes that the prompt names and the family's probe sees: hair, clothes, face, background, skin.",
        aspect="character",
        values=(
            Value("share", "attributes as prompted", "higher", 0, 1, tells=0.01),
            Value("probability", "probability of the prompted", "higher", 0, 1, tells=0.01),
            Value("kept", "probability of the prompted, and that the rest stays one thing", "higher", 0, 1, tells=0.01),
            *(Value(name, f"{name.replace('_', ' ')} as prompted", "higher", 0, 1) for name in CHOICES),
        ),
        reference="own: data/models/sprite/README.md; the probe itself reads 97 to 100 % of drawn figures right",
        families=("sprite",),
        torch=True,
    )
)


class ProbeAttributes(Config):
    """Settings of the probe's attributes."""


class Asked(ProbeAttributes):
    """The same with the text that the render was asked for."""

    prompt: Text


@op(
    "measure",
    "probe_attributes",
    version=3,
    config=Asked,
    inputs=("frames",),
    distributions=("numpy", "opencv-python-headless", "torch"),
    models=lambda cfg: [PROBE],
    gives="measure",
)
def probe_attributes(cfg: Asked, inputs: Mapping[str, str], ctx: Context) -> str:
    """Share of frames (and mean probability) in which the probe sees what the prompt says, over what it says.

    What the prompt leaves open, the skin, say, is right as long as it stays what it is in most of the clip: ``kept`` is
    the mean probability of both. Eyes and mouth may well change, and count only where they are named.

    An attribute that cannot be seen in the picture (a skirt in a close-up) is guessed by the probe and counts all the
    same.

    Raises:
        ModelAbsent: the embedded family is not in this checkout.
    """
    import numpy as np

    choices = known().choices
    wanted = asked(cfg.prompt, choices)
    if not wanted:
        missing = f"the prompt names none of {', '.join(choices).replace('_', ' ')} in the family's words"
        return save(ctx.store, Result("probe_attributes", missing=missing))
    reading = read_frames(Clip.open(ctx.store, inputs["frames"]))
    chances = {}  # of the prompted value, by attribute: (F,)
    stays = {}  # of the clip's own value, by attribute that the prompt leaves open: (F,)
    right = {}
    for column, (name, values) in enumerate(choices.items()):
        if name in wanted:
            place = values.index(wanted[name])
            right[name] = reading.labels[:, column] == place
            chances[name] = reading.chances[column][:, place]
        elif name not in FACE:
            stays[name] = reading.chances[column][:, reading.chances[column].mean(axis=0).argmax()]
    share = np.mean([*right.values()], axis=0)  # (F,)
    probability = np.mean([*chances.values()], axis=0)
    kept = np.mean([*chances.values(), *stays.values()], axis=0)
    values_found = {"share": share.mean(), "probability": probability.mean(), "kept": kept.mean()}
    values_found |= {name: seen.mean() for name, seen in right.items()}
    series = {"share": share.tolist(), "probability": probability.tolist(), "kept": kept.tolist()}
    return save(ctx.store, Result("probe_attributes", values_found, series, notes={"asked": wanted}))
