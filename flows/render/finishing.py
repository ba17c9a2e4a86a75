"""Finishing a render: ops of kind `finish`, one after the other, on the frames that its movie is made of.

The drawn frames stay what they are: metrics, comparisons and sheets see them, so that a finished render is measured as
an unfinished one is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from flows.flow import Made
from reel.config import Config, parse
from reel.op import Context, Op, get
from reel.work import Extent
from tasks.assemble import Assemble
from tasks.cached import call


@dataclass(frozen=True)
class Finishing:
    """The chosen ops with their settings, in their order."""

    ops: Sequence[tuple[Op, Config]] = field(default_factory=tuple)

    def extent(self, drawn: Extent, ctx: Context) -> Extent:
        """Frames and size of a clip when it is finished.

        Args:
            drawn: of the clip before.
        """
        for op, cfg in self.ops:
            drawn = op.work(cfg, {"frames": drawn}, ctx).extent or drawn
        return drawn

    def inputs(self, frames: str, ctx: Context) -> dict[str, str]:
        """What `assemble` takes beside the drawn frames: ``finished``, or nothing where nothing was chosen.

        Args:
            frames: digest of the drawn clip.
        """
        for op, cfg in self.ops:
            frames = call(op, cfg, {"frames": frames}, ctx).digest
        return {"finished": frames} if self.ops else {}

    def film(self, made: Made, cfg: Assemble, embed_facts: bool, ctx: Context, **more: str) -> str:
        """The last stage of a flow: the film, and what goes with it.

        Args:
            cfg: settings of the stage; ``embed_facts``: the render's key goes into the film's metadata.
            more: digests that it takes beside the drawn frames, the finished ones and the maps.
        """
        key = {"render": made.key} if embed_facts else {}
        settings = cfg.model_copy(update={"metadata": {**key, **cfg.metadata}})
        given = {"frames": made.frames, **made.maps, **self.inputs(made.frames, ctx), **more}
        return call(get("assemble", "assemble"), settings, given, ctx).digest


def plan(chosen: Mapping[str, Mapping[str, Any] | None], *, closed: bool = False) -> Finishing:
    """Check the chosen ops and their settings.

    Args:
        closed: the film's end leads into its beginning; for ops that ask.

    Raises:
        UserError: an unknown op or setting.
    """
    found = []
    for name, own in chosen.items():
        op = get("finish", name)
        round_it = {"closed": True} if closed and "closed" in op.config.model_fields else {}
        found.append((op, parse(op.config, {**round_it, **(own or {})}, f"finish.{name}")))
    return Finishing(tuple(found))
