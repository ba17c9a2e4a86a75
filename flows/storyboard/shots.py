"""The shots of a storyboard worked out: their pictures, lengths, sizes and animators, held against what models make."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

from flows.animate.plan import dtype_of, fitting, passes_of
from flows.animate.settings import Animate
from flows.animate.stages import Passes
from flows.config.compose import plain_settings
from flows.config.root import Root
from flows.edge.job import current
from flows.flow import Source
from flows.render.key_pictures import DrawnPicture, KeyPicture, OwnPicture, own_picture
from flows.storyboard.settings import Story
from reel.config import parse
from reel.errors import UserError
from reel.models.animator import Animator
from reel.models.painter import OWN
from reel.story import prompts
from reel.story.file import StoryFile
from reel.story.model import Shot
from tasks.animate import checks, pictures
from tasks.animate.settings import Key, Sampling
from tasks.animate.shown import ShownKeys
from tasks.assemble import Assemble
from tasks.extract import Extract
from tasks.keyframe.drawing import check_size, drawing
from tasks.media.source import source_digest

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ShotPlan:
    """A shot worked out.

    Attributes:
        number: from 1.
        shot: as the storyboard has it.
        key_pictures: the first one, and the last where there is one.
        passes: settings of the animator's ops, and the shot's as `animate` would have them.
        length: frames.
        seed: of picture and motion.
        prompt: what the animator is told.
        model: its animator.
        sound: a file that begins with it.
    """

    number: int
    shot: Shot
    key_pictures: Sequence[KeyPicture]
    passes: Passes
    settings: Animate
    shown: ShownKeys
    length: int
    fps: float
    seed: int
    prompt: str
    model: Animator
    sound: Source | None = None

    def fitted(self) -> ShotPlan:
        """The same within `compute.max_memory`; its models' files are looked at."""
        return replace(self, passes=fitting(self.passes, self.settings))

    @property
    def title(self) -> str:
        return f"shot {self.number}" + (f" ({self.shot.name})" if self.shot.name else "")

    @property
    def seconds(self) -> Fraction:
        return self.length / Fraction(str(self.fps))


def size_of(cfg: Story, file: StoryFile) -> tuple[int, int]:
    """Width and height of all pictures and clips, px.

    Raises:
        UserError: a size that the animator or the key pictures' model does not make.
    """
    if cfg.width is not None and cfg.height is not None:
        unit = cfg.model.multiple_of
        width = checks.side("width", cfg.width, cfg.model, "error", unit)
        height = checks.side("height", cfg.height, cfg.model, "error", unit)
    elif not cfg.model.advice.sizes:
        raise UserError(f"width, height: model {cfg.model.name} advises no size", fix="width=512 height=512")
    else:
        width, height = cfg.model.advice.sizes[0].width, cfg.model.advice.sizes[0].height
    checks.size(width, height, cfg.model)
    drawn = any(shot.picture is None or shot.last_prompt.strip() for shot in file.board.shots)
    if drawn and cfg.keyframe.draws:  # else it is told of the shot that has no picture
        check_size(cfg.keyframe, width, height, "film")
    return width, height


def worked_out(cfg: Story, file: StoryFile) -> list[ShotPlan]:
    """Every shot of a storyboard.

    Raises:
        UserError: the first that cannot be made, with its place.
    """
    width, height = size_of(cfg, file)
    found = [_Worker(cfg, file, number, width, height).plan() for number in range(1, len(file.board.shots) + 1)]
    for line in prompts.doubts(file.board):
        log.warning(line)
    return found


@dataclass(frozen=True)
class _Worker:
    """Works out one shot."""

    cfg: Story
    file: StoryFile
    number: int
    width: int
    height: int

    @property
    def shot(self) -> Shot:
        return self.file.board.shots[self.number - 1]

    @property
    def seed(self) -> int:
        return self.file.board.seed if self.shot.seed is None else self.shot.seed

    def error(self, key: str, error: UserError) -> UserError:
        """An error of a check, at this shot's place."""
        words = error.message.removeprefix(f"{key}: ")
        return self.file.error(self.number, key, words, error.fix)

    def plan(self) -> ShotPlan:
        model, sampling, frames, fps = self.animator()
        length = self.length(model, sampling, frames, fps)
        pictured = [self.picture(), *self.last(model)]
        keys = [Key(at=0), Key(at=length - 1)][: len(pictured)]
        words = prompts.motion_prompt(self.file.board, self.shot)
        try:
            checks.prompt(words, model)
            made = checks.rendered(length, sampling.extra_frames, model)
            checks.keys([("picture", key) for key in keys], length, model, "error", sampling.extra_frames)
            size = (self.width, self.height)
            settings = _animate(self.cfg, model, sampling, words, self.seed, length, fps)
            passes = passes_of(settings, keys, length, made, *size, [words])
        except UserError as error:
            raise self.error("frames" if error.message.startswith("frames") else "", error) from None
        return ShotPlan(
            number=self.number,
            shot=self.shot,
            key_pictures=pictured,
            passes=passes,
            settings=settings,
            shown=ShownKeys(frames=length, fps=fps, width=self.width, height=self.height, keys=keys),
            length=length,
            fps=fps,
            seed=self.seed,
            prompt=words,
            model=model,
            sound=self.sound(),
        )

    def animator(self) -> tuple[Animator, Sampling, int, float]:
        """The shot's animator with its settings, usual length and rate: the film's, or its own where it names one."""
        cfg = self.cfg
        found = (cfg.model, cfg.animate, cfg.frames, cfg.fps)
        try:
            if self.shot.model is not None and self.shot.model != cfg.model.name:
                found = _other_animator(self.shot.model)
                checks.size(self.width, self.height, found[0])
            model, sampling, frames, fps = found
            if self.shot.animate:
                own = {**sampling.model_dump(mode="json"), **self.shot.animate}
                sampling = parse(Sampling, own, "animate")
            checks.sampling(sampling, model)
        except UserError as error:
            key = "model" if self.shot.model is not None and not error.message.startswith("animate") else "animate"
            raise self.error(key, error) from None
        checks.rate(fps, model)
        return model, sampling, frames, fps

    def length(self, model: Animator, sampling: Sampling, frames: int, fps: float) -> int:
        """Frames of the shot: as it says, or the nearest to its seconds that the animator makes.

        Args:
            frames: where it says none.
        """
        rule = model.limits.frames
        if self.shot.frames is not None:
            try:
                return checks.frames(self.shot.frames, model, "error")
            except UserError as error:
                fix = (error.fix or "").partition(", or")[0]
                raise self.error("frames", UserError(error.message, fix=fix)) from None
        seconds = self.shot.seconds if self.shot.seconds is not None else self.cfg.seconds
        if seconds is None:
            return checks.frames(frames, model, "error")
        most = rule.most - sampling.extra_frames
        longest = rule.nearest(most) if rule.nearest(most) <= most else rule.nearest(most) - rule.step
        asked = round(seconds * fps)
        if asked - longest > rule.step / 2:
            fix = f"{longest / fps:.1f} seconds at most, or two shots"
            raise self.error(
                "seconds" if self.shot.seconds is not None else "",
                UserError(f"{seconds:g} s are {asked} frames, model {model.name} makes {longest} at most", fix=fix),
            )
        near = min(rule.nearest(asked), longest)
        if near != asked:
            log.info("shot %d: %d frames (%.2f s) for %g s: model %s makes %s", self.number, near, near / fps, seconds,
                     model.name, rule)  # fmt: skip
        return near

    def picture(self) -> KeyPicture:
        if self.shot.picture is not None:
            return self.own("picture", self.shot.picture)
        return self.drawn(last=False)

    def last(self, model: Animator) -> list[KeyPicture]:
        """The picture that it ends with, if any."""
        if self.shot.last is None and not self.shot.last_prompt.strip():
            return []
        key = "last" if self.shot.last is not None else "last_prompt"
        if model.limits.pictures == "first":
            raise self.file.error(self.number, key, f"model {model.name} takes a picture at the first frame alone")
        return [self.own("last", self.shot.last) if self.shot.last is not None else self.drawn(last=True)]

    def own(self, key: str, path: Path) -> OwnPicture:
        try:
            still = pictures.look(path, key, background=self.cfg.background is not None)
            pictures.check_fit(still, self.width, self.height, self.cfg.fit, key)
        except UserError as error:
            raise self.error(key, error) from None
        return own_picture(path, self.extract())

    def extract(self) -> Extract:
        return Extract(
            width=self.width,
            height=self.height,
            fit=self.cfg.fit,
            multiple_of=self.cfg.model.multiple_of,
            background=self.cfg.background or "#000000",
            fps="source",
        )

    def drawn(self, *, last: bool) -> DrawnPicture:
        painter, how = self.cfg.keyframe, self.cfg.draw
        if not painter.draws:
            raise self.file.error(
                self.number, "", f"it has no picture of its own, and keyframe={OWN} draws none", "picture: key.png"
            )
        settings = drawing(
            painter,
            how,
            prompt=prompts.picture_prompt(self.file.board, self.shot, last=last),
            width=self.width,
            height=self.height,
            seed=self.seed,
            dtype=dtype_of(self.cfg),
            attention=self.cfg.compute.attention,
        )
        return DrawnPicture(settings, self.references())

    def references(self) -> list[OwnPicture]:
        """Pictures of the characters that the shot names, as many as the painter takes."""
        most, found = self.cfg.keyframe.limits.references, []
        for one in prompts.named(self.file.board, self.shot) if most else []:
            for path in one.pictures:
                try:
                    pictures.look(path, "pictures", background=self.cfg.background is not None)
                except UserError as error:
                    raise UserError(f"characters: {one.name}: {error.message}", fix=error.fix) from None
                extract = Extract(multiple_of=16, background=self.cfg.background or "#000000", fps="source")
                found.append(own_picture(path, extract))
        return found[:most]

    def sound(self) -> Source | None:
        if self.shot.sound is None:
            return None
        from tasks.media import sounds

        try:
            sounds.look(self.shot.sound, "sound")
        except UserError as error:
            raise self.error("sound", error) from None
        return Source(self.shot.sound, source_digest(self.shot.sound))


def _animate(
    cfg: Story, model: Animator, sampling: Sampling, words: str, seed: int, length: int, fps: float
) -> Animate:
    """The shot as `animate` would have its settings."""
    return Animate(
        prompt=words,
        negative_prompt=cfg.negative_prompt,
        seed=seed,
        frames=length,
        fps=fps,
        model=model,
        animate=sampling,
        assemble=Assemble(),
        compute=cfg.compute,
        tracking=cfg.tracking,
        paths=cfg.paths,
    )


def _other_animator(name: str) -> tuple[Animator, Sampling, int, float]:
    """Another animator, with what its authors advise and what the command line says; usual length and rate.

    Raises:
        UserError: there is none of that name.
    """
    from flows.commands.models import family

    family(name)  # its own words for one that is not there
    kept = [one for one in current().overrides if not one.lstrip("+~").startswith(("model=", "shots.", "model."))]
    data: Mapping[str, Any] = plain_settings(Root("storyboard", Story), [*kept, f"model={name}"])
    model, sampling = parse(Animator, data["model"], "model"), parse(Sampling, data["animate"], "animate")
    return model, sampling, int(data["frames"]), float(data["fps"])
