"""The stages of `storyboard`: all key pictures first, then shot by shot its clip and its figures, then the film.

[story ─> write ─>] storyboard ─> keyframe.draw, a shot each ─> keyframe.sheet ─> (approved?)
key picture ─> encode ┐
words ───────> embed ─┴> denoise ─> decode ─> clip ─> film.mix, film.cut

Nothing in a shot's stages knows the shot's place in the film, its neighbours or the music: a shot that is moved keeps
its picture and its clip.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from flows.animate.stages import animated, embedded
from flows.flow import Made, Source
from flows.render import key_pictures, measures
from flows.render.finishing import Finishing
from flows.render.key_pictures import DrawnPicture, OwnPicture, put
from flows.render.measures import Measures
from flows.render.published import is_published
from flows.storyboard.shots import ShotPlan
from flows.storyboard.written import Written
from reel.clip import Clip
from reel.config import Config
from reel.history.recorder import Recorder
from reel.op import Context, Op, get
from reel.story.file import text_of
from tasks.cached import Stage, call
from tasks.compare import story_page
from tasks.film import build
from tasks.film.settings import Film
from tasks.film.settings import Shot as FilmShot
from tasks.keyframe.sheet import Sheet, drawn
from tasks.tracking.render import tracked
from tasks.tracking.settings import Tracking

SHEET, PAGE, FILE = "contact_sheet.png", "film.html", "story.yaml"


@dataclass(frozen=True)
class StoryMade(Made):
    """What was made of a storyboard; ``parts`` are its shots.

    Attributes:
        clips: the shots as the film takes them.
        sheet: the key pictures as a clip.
        stages: of every shot, in order.
    """

    clips: Sequence[build.Part] = ()
    sheet: str = ""
    stages: Sequence[Sequence[Stage]] = ()


@dataclass(frozen=True)
class StoryPlan:
    """A film worked out and checked (`flows.flow.RenderPlan`).

    Attributes:
        measures: the metrics of each shot.
        take: number of the shot that the film is a take of, where it is one: comparisons show its clip and its figures.
        film_shots, planned: the film, as `tasks.film.build` takes it.
        finishing: what is done to every clip before it goes into the film.
    """

    written: Written
    shots: Sequence[ShotPlan]
    measures: Measures
    film: Film
    film_shots: Sequence[FilmShot]
    planned: build.Planned
    tracking: Tracking
    take: int | None = None
    finishing: Finishing = field(default_factory=Finishing)

    @property
    def sources(self) -> Mapping[str, Source]:
        found = {} if self.written.source is None else {"file": self.written.source}
        for shot in self.shots:
            pictured = key_pictures.sources_of(shot.key_pictures)
            found |= {f"shots.{shot.number}.{place}": source for place, source in pictured.items()}
            if shot.sound is not None:
                found[f"shots.{shot.number}.sound"] = shot.sound
        if self.film.music.file is not None:
            from tasks.media.source import source_digest

            found["film.music.file"] = Source(self.film.music.file, source_digest(self.film.music.file))
        return found

    @property
    def ops(self) -> list[tuple[Op, Config]]:
        found = [] if self.written.writer is None else [self.written.writer]
        for shot in self.shots:
            found += [pair for one in shot.key_pictures for pair in key_pictures.ops_of(one)]
            passes = shot.passes
            stages = {"embed": passes.embed, "encode": passes.encode, "denoise": passes.denoise,
                      "decode": passes.decode, "sound": passes.sound}  # fmt: skip
            found += [(get("animate", name), cfg) for name, cfg in stages.items() if cfg is not None]
        shown = [(get("animate", "shown"), shot.shown) for shot in self.shots]
        sheet = (get("keyframe", "sheet"), self.sheet)
        return [*found, sheet, *shown, *self.finishing.ops, *build.ops(self.planned, self.film_shots, self.film)]

    @property
    def sheet(self) -> Sheet:
        return Sheet(labels=[shot.title for shot in self.shots])

    def stills(self, ctx: Context, each: Sequence[Context] | None = None) -> tuple[list[list[str]], str]:
        """Digests of every shot's key pictures, and of the clip of the first ones.

        Args:
            each: the contexts of the shots; none: all are drawn in `ctx`.
        """
        shots = zip(self.shots, each or [ctx] * len(self.shots), strict=True)
        found = [[key_pictures.made(one, own) for one in shot.key_pictures] for shot, own in shots]
        return found, key_pictures.as_clip([some[0] for some in found], ctx)

    def draw(self, ctx: Context) -> StoryMade:
        """Every stage up to the clips of the shots."""
        if self.written.writer is not None:
            call(*self.written.writer, {}, ctx)
        noted: list[list[Stage]] = [[] for _ in self.shots]
        each = [_listening(ctx, stages) for stages in noted]
        found, sheet = self.stills(ctx, each)
        parts = [self._shot(*one) for one in zip(self.shots, found, each, strict=True)]
        frames = sheet if self.take is None else parts[self.take - 1].frames
        clips = [self._part(*one) for one in zip(self.shots, parts, each, strict=True)]
        return StoryMade(frames, parts=parts, clips=clips, sheet=sheet, stages=noted)

    def _shot(self, shot: ShotPlan, pictures: Sequence[str], ctx: Context) -> Made:
        """A shot's clip."""
        made = animated(shot.passes, embedded(shot.passes.embed, pictures, ctx), pictures, (), ctx)
        given = {f"frames_{index}": digest for index, digest in enumerate(pictures)}
        beside = call(get("animate", "shown"), shot.shown, given, ctx).digest
        return replace(made, maps={"map_pictures": beside})

    def _part(self, shot: ShotPlan, made: Made, ctx: Context) -> build.Part:
        """A shot as the film takes it: its clip, finished, and the sound that goes with it."""
        frames = self.finishing.inputs(made.frames, ctx).get("finished", made.frames)
        if shot.sound is not None:
            return build.Part(frames, build.Sounding(file=shot.sound.path))
        return build.Part(frames, build.Sounding(digest=made.sound) if made.sound else None)

    def assemble(self, made: Made, ctx: Context) -> str:
        """The film and what goes with it."""
        assert isinstance(made, StoryMade)
        return build.make(self.planned, made.clips, self.film_shots, self.film, ctx)

    def hand_over(self, made: Made, ctx: Context, recorder: Recorder) -> None:
        """The storyboard, the contact sheet, the film's page, and a record of each shot under the film's."""
        assert isinstance(made, StoryMade)
        film = ctx.store.get(self.assemble(made, replace(ctx, told=None)))
        stills, board = Clip.open(ctx.store, made.sheet), self.written.file.board
        rows = self._rows(made, recorder, film.meta["placed"], ctx)
        if is_published(Path(recorder.record.output or ""), Path(recorder.record.config["paths"]["root"])):
            rows = [{**row, "computed": None} for row in rows]  # the same page, whatever the store held
        if self.take is not None:
            recorder.metric(**rows[self.take - 1]["figures"])  # in the place of the shots' mean
        page = story_page.build(board.title, rows, stills, film)
        put(recorder, FILE, text_of(board).encode(), "other")
        put(recorder, SHEET, drawn(stills, self.sheet.labels), "sheet")
        put(recorder, PAGE, page, "page")

    def _rows(
        self, made: StoryMade, film: Recorder, placed: Sequence[Mapping[str, Any]], ctx: Context
    ) -> list[dict[str, Any]]:
        """What the page tells of each shot; each gets its record."""
        measured = iter([stage for stage in film.record.stages if stage.measures])
        rows = []
        for index, shot in enumerate(self.shots):
            figures = list(itertools.islice(measured, len(self.measures.parts[index].metrics)))
            about = {"shot": facts(shot)}
            with tracked(
                ctx.store, self.tracking, "shot", about, parent=film.run, title=shot.title, result=about
            ) as own, own.at_once():  # fmt: skip
                for stage in made.stages[index]:
                    own.stage(stage)
                for figure in figures:
                    own.stage(figure)
                own.pictures(**made.parts[index].pictures)
                measures.record(ctx.store, own)
            computed = list(dict.fromkeys(stage.op for stage in made.stages[index] if not stage.reused))
            place = next(dict(one) for one in placed if one.get("shot") == index)
            rows.append({**facts(shot), "place": place, "figures": own.record.metrics, "computed": computed})
        return rows


def _listening(ctx: Context, noted: list[Stage]) -> Context:
    """A context whose stages are noted as well as told."""

    def told(stage: Stage) -> None:
        noted.append(stage)
        ctx.tell(stage)

    return replace(ctx, told=told)


def facts(shot: ShotPlan) -> dict[str, Any]:
    """A shot for its record and the page: words, seed, length, model; its place in the film is none of them."""
    pictures = ["own" if isinstance(one, OwnPicture) else one.draw.architecture for one in shot.key_pictures]
    told = [one.draw.consistency(len(one.references)) for one in shot.key_pictures if isinstance(one, DrawnPicture)]
    own = shot.shot
    return {
        "title": shot.title,
        "prompt": own.prompt,
        "motion": own.motion,
        "camera": own.camera or "",
        "animated_as": shot.prompt,
        "drawn_as": [one.draw.prompt for one in shot.key_pictures if isinstance(one, DrawnPicture)],
        "pictures": pictures,
        "consistency": " · ".join(dict.fromkeys(told)),
        "caption": own.caption or "",
        "speech": own.speech or "",
        "seed": shot.seed,
        "frames": shot.length,
        "seconds": float(shot.seconds),
        "model": shot.model.name,
    }
