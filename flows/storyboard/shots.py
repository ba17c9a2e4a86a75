"""The shots of a storyboard worked out: their lengths and animators, held against what models make."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

from flows.animate.plan import fitting, passes_of
from flows.animate.settings import Animate
from flows.animate.stages import Passes
from flows.config.compose import plain_settings
from flows.config.root import Root
from flows.edge.job import current
from flows.flow import Source
from flows.render.key_pictures import KeyPicture
from flows.render.words import read_of_motion
from flows.storyboard.pictures import Place, key_pictures, size_of, tell_unknown, tell_unused
from flows.storyboard.settings import Story
from reel.config import parse
from reel.errors import UserError
from reel.models.animator import Animator
from reel.story import prompts
from reel.story.file import StoryFile
from reel.story.model import Shot
from tasks.animate import checks
from tasks.animate.settings import Key, Sampling
from tasks.animate.shown import ShownKeys
from tasks.assemble import Assemble
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


def worked_out(cfg: Story, file: StoryFile) -> list[ShotPlan]:
    """Every shot of a storyboard.

    Raises:
        UserError: the first that cannot be made, with its place.
    """
    width, height = size_of(cfg, file)
    found = [_Worker(cfg, file, number, width, height).plan() for number in range(1, len(file.board.shots) + 1)]
    tell_unused(cfg, file)
    tell_unknown(cfg, file)
    for line in prompts.doubts(file.board):
        log.warning(line)
    return found


@dataclass(frozen=True)
class _Worker(Place):
    """Works out one shot."""

    def plan(self) -> ShotPlan:
        model, sampling, frames, fps = self.animator()
        length = self.length(model, sampling, frames, fps)
        pictured = key_pictures(self, model)
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
            prompt=read_of_motion(words, model),
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
