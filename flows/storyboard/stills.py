"""The key pictures of a film as a render of their own, to be looked at before anything is animated."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from flows.flow import Made, Source
from flows.render.key_pictures import ops_of, put
from flows.render.measures import Measures
from flows.storyboard.stages import FILE, SHEET, StoryPlan
from reel.clip import Clip
from reel.config import Config
from reel.history.recorder import Recorder
from reel.op import Context, Op, get
from reel.story.file import text_of
from tasks.cached import call
from tasks.keyframe.sheet import drawn


@dataclass(frozen=True)
class StillsPlan:
    """See `flows.flow.RenderPlan`."""

    film: StoryPlan
    name: str = SHEET

    @property
    def measures(self) -> Measures:
        return Measures()

    @property
    def sources(self) -> Mapping[str, Source]:
        return self.film.sources

    @property
    def ops(self) -> list[tuple[Op, Config]]:
        pictures = [pair for shot in self.film.shots for one in shot.key_pictures for pair in ops_of(one)]
        return [*pictures, (get("keyframe", "sheet"), self.film.sheet)]

    def draw(self, ctx: Context) -> Made:
        if self.film.written.writer is not None:
            call(*self.film.written.writer, {}, ctx)
        return Made(self.film.stills(ctx)[1])

    def assemble(self, made: Made, ctx: Context) -> str:
        """The stills themselves: their sheet is drawn when they are handed over."""
        return made.frames

    def hand_over(self, made: Made, ctx: Context, recorder: Recorder) -> None:
        """The contact sheet and the storyboard."""
        put(recorder, self.name, drawn(Clip.open(ctx.store, made.frames), self.film.sheet.labels), "sheet")
        put(recorder, FILE, text_of(self.film.written.file.board).encode(), "other")
