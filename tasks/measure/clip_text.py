"""CLIP, text to image: does the render show what the prompt says?"""

from __future__ import annotations

from collections.abc import Mapping

from reel.clip import Clip
from reel.config import Text
from reel.measure import Measure, Result, Value, declare, save
from reel.op import Context, op
from tasks.measure.vision import ClipNetwork, ClipReader, clip_source

MEASURE = declare(
    Measure(
        name="clip_text",
        about="Cosine of the prompt's and each frame's CLIP vectors.",
        aspect="character",
        values=(Value("mean", "CLIP, prompt to frames", "higher", -1, 1),),
        reference="CLIPSIM of Wu et al., GODIVA, arXiv 2104.14806; CLIPScore (Hessel et al., arXiv 2104.08718) is 2.5 "
        "times it, with another CLIP",
        validated=False,
        torch=True,
    )
)


class ClipText(ClipNetwork):
    """Settings of CLIP between text and frames."""


class Prompted(ClipText):
    """The same with the text that the render was asked for."""

    prompt: Text


@op(
    "measure",
    "clip_text",
    version=1,
    config=Prompted,
    inputs=("frames",),
    distributions=("transformers", "torch", "numpy", "pillow"),
    models=lambda cfg: [clip_source(cfg)],
    gives="measure",
)
def clip_text(cfg: Prompted, inputs: Mapping[str, str], ctx: Context) -> str:
    """Mean over the frames. A prompt beyond CLIP's 77 tokens is cut, which is noted.

    Raises:
        ModelAbsent: the weights are not on this machine and cannot be fetched.
    """
    clip = Clip.open(ctx.store, inputs["frames"])
    reader = ClipReader(cfg, ctx)
    wanted, cut = reader.text(cfg.prompt)
    series = []
    with ctx.progress(total=clip.count, desc="clip_text") as bar:
        for found in reader.pictures(clip.frames()):
            series.append(float(found @ wanted))
            bar.update()
    notes = {"model": cfg.model, "prompt_cut": cut}
    return save(ctx.store, Result("clip_text", {"mean": sum(series) / len(series)}, {"mean": series}, notes=notes))
