"""Settings of `timeframe`; their values stand in conf/timeframe.yaml."""

from __future__ import annotations

from collections.abc import Collection
from typing import Annotated, Any, Literal

from pydantic import model_validator

from flows.render import schedules
from flows.render.keyed import Keyed
from flows.text2video.settings import OF_A_SOURCE
from reel.config import OPERATIONAL, Config, Field, Marker, Text
from reel.schedule.setting import ScheduleText
from reel.units import MOST_FRAMES, Factor
from tasks.preprocess.tile import Tile
from tasks.stylize.settings.embed import check_text


class BySparsectrl(Config):
    """How SparseCtrl holds to the pictures of its ranges."""

    kind: str = "rgb"
    """Which of the family's SparseCtrls reads them."""
    every: int = Field(default=4, ge=1)
    """A picture stands on the first frame of its range, and again on every so many of its frames."""


class ByTile(Tile):
    """How a ControlNet of kind tile holds to the pictures of its ranges."""

    weight: Factor = Field(default=1.0, gt=0, le=10)
    """How much the map decides where a range says a strength of 1."""


class ByIpAdapter(Config):
    """How an IP-Adapter reads the pictures of its ranges."""

    weight: Factor = Field(default=0.6, gt=0, le=2)
    """How much the picture decides beside the words where a range says a strength of 1."""


class Timeframe(Keyed):
    """Settings of `timeframe`."""

    track: ScheduleText = None
    """Pictures on ranges of frames, with prompts and strengths: @wink.yaml; docs/schedules/timeframe.md."""
    by: Literal["tile", "sparsectrl", "ip_adapter"] = "tile"
    """What holds the clip to the picture of a range that says nothing of its own."""
    drawn: bool = False
    """Ranges with words and no picture get one that is drawn from the words, all of one noise."""
    tile: ByTile = ByTile()
    sparsectrl: BySparsectrl = BySparsectrl()
    ip_adapter: ByIpAdapter = ByIpAdapter()
    renderer: Literal["animatediff", "animate"] = "animatediff"
    """Who makes a clip of the track: AnimateDiff, or an image-to-video model as in `animate`."""
    animator: str = "ltx_2b"
    """For renderer=animate: its model (rotoscope models)."""
    approve: Annotated[Literal["ask", "yes"], OPERATIONAL] = "ask"
    """Whether drawn pictures are shown first: nothing moves before you say yes. Sweeps never ask."""
    prompt: Text = ""
    """What all ranges show; the words of a range follow it."""
    frames: int | None = Field(default=None, ge=1, le=MOST_FRAMES)
    """Length; empty: as the track says, or to the end of its last range."""

    @model_validator(mode="after")
    def _consistent(self) -> Timeframe:
        if self.track is None:
            raise ValueError("track: there is none: track=@wink.yaml, or track='0-6: eyes closed --pic a.png; ...'")
        if (self.width is None) != (self.height is None):
            raise ValueError("width and height: give both, or neither")
        if self.drawn and not self.keyframe.draws:
            raise ValueError(f"drawn: keyframe={self.keyframe.name} draws none: keyframe=sprite, sd15, ...")
        if self.stylize.ip_adapter is not None:
            raise ValueError(
                "stylize.ip_adapter: reads one picture for the whole clip; here ranges have theirs: by=ip_adapter"
            )
        embeddings = self.stylize.embeddings
        check_text(self.prompt, "prompt", embeddings)
        if self.stylize.guidance_scale > 1:
            check_text(self.negative_prompt, "negative_prompt", embeddings)
        schedules.check(schedules.slots(self, embeddings))
        return self

    def result_part(self, without: Collection[Marker] = ()) -> dict[str, Any]:
        """Without what has no effect: drawing where none is asked for, other ControlNets, what is said of sources."""
        part = super().result_part(without)
        part["stylize"] = {name: value for name, value in part["stylize"].items() if name not in UNREAD}
        part["model"] = self.model.only({"tile"}, {self.sparsectrl.kind}).result_part(without)
        unread = {"keyframe": not self.drawn, "draw": not self.drawn, "animator": self.renderer != "animate"}
        return {name: value for name, value in part.items() if not unread.get(name, False)}


UNREAD = tuple(name for name in OF_A_SOURCE if not name.startswith(("encode_", "control_")))
"""Settings under `stylize` without effect here."""
