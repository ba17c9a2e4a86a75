"""The key pictures of a shot: the user's own brought to size, or drawn from words and from pictures of characters."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

from flows.animate.plan import dtype_of
from flows.render.key_pictures import DrawnPicture, KeyPicture, OwnPicture, own_picture
from flows.storyboard.settings import Story
from reel.errors import UserError
from reel.models.animator import Animator
from reel.models.painter import OWN
from reel.story import prompts
from reel.story.file import StoryFile
from reel.story.model import Shot
from tasks.animate import checks, pictures
from tasks.extract import Extract
from tasks.keyframe.drawing import check_size, drawing

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Place:
    """A shot in its storyboard, and the size of the film (px)."""

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


def tell_unused(cfg: Story, file: StoryFile) -> None:
    """Say it where characters have reference pictures, and the key pictures' model takes none."""
    with_pictures = [one.name for one in file.board.characters if one.pictures]
    if with_pictures and cfg.keyframe.draws and not cfg.keyframe.limits.references:
        log.warning("characters: keyframe %s takes no reference pictures, those of %s are not used: their words alone "
                    "keep them the same", cfg.keyframe.name, ", ".join(with_pictures))  # fmt: skip


def tell_unknown(cfg: Story, file: StoryFile) -> None:
    """Say what the embedded families leave out of the words that they draw and move by."""
    from tasks.sprite.ltx.words import FAMILY, warnings
    from tasks.sprite.stance import framed
    from tasks.sprite.words import known, left_out

    board = file.board
    moved = [shot for shot in board.shots if (shot.model or cfg.model.name) == FAMILY]
    for line in warnings(FAMILY, [framed(prompts.motion_prompt(board, shot)).prompt for shot in moved]):
        log.warning(line)
    choices = known(cfg.keyframe.base) if cfg.keyframe.base is not None else None
    if choices is None:
        return
    drawn = [prompts.picture_prompt(board, shot) for shot in board.shots if shot.picture is None]
    drawn += [prompts.picture_prompt(board, shot, last=True) for shot in board.shots if shot.last_prompt.strip()]
    if strange := left_out(f"keyframe {cfg.keyframe.name}", [framed(one).prompt for one in drawn], choices):
        log.warning(strange)


def key_pictures(at: Place, model: Animator) -> list[KeyPicture]:
    """The picture that a shot begins with, and the one that it ends with, if any.

    Raises:
        UserError: one that cannot be had, with its place.
    """
    shot = at.shot
    first = _own(at, "picture", shot.picture) if shot.picture is not None else _drawn(at, last=False)
    if shot.last is None and not shot.last_prompt.strip():
        return [first]
    if model.limits.pictures == "first":
        key = "last" if shot.last is not None else "last_prompt"
        raise at.file.error(at.number, key, f"model {model.name} takes a picture at the first frame alone")
    return [first, _own(at, "last", shot.last) if shot.last is not None else _drawn(at, last=True)]


def _own(at: Place, key: str, path: Path) -> OwnPicture:
    cfg = at.cfg
    try:
        still = pictures.look(path, key, background=cfg.background is not None)
        pictures.check_fit(still, at.width, at.height, cfg.fit, key)
    except UserError as error:
        raise at.error(key, error) from None
    extract = Extract(
        width=at.width,
        height=at.height,
        fit=cfg.fit,
        multiple_of=cfg.model.multiple_of,
        background=cfg.background or "#000000",
        fps="source",
    )
    return own_picture(path, extract)


def _drawn(at: Place, *, last: bool) -> DrawnPicture:
    painter, how = at.cfg.keyframe, at.cfg.draw
    if not painter.draws:
        raise at.file.error(
            at.number, "", f"it has no picture of its own, and keyframe={OWN} draws none", "picture: key.png"
        )
    references = _references(at)
    settings = drawing(
        painter,
        how,
        prompt=prompts.picture_prompt(at.file.board, at.shot, last=last),
        width=at.width,
        height=at.height,
        seed=at.seed,
        dtype=dtype_of(at.cfg),
        attention=at.cfg.compute.attention,
        references=len(references),
        reference_scale=how.reference_scale,
    )
    return DrawnPicture(settings, references)


def _references(at: Place) -> list[OwnPicture]:
    """Pictures of the characters that a shot names, as many as the painter takes; of each the first ones first.

    Raises:
        UserError: one that cannot be read; none, where the painter needs one.
    """
    painter, named = at.cfg.keyframe, prompts.named(at.file.board, at.shot)
    limits = painter.limits
    turns = max((len(one.pictures) for one in named), default=0)
    given = [(one.name, one.pictures[turn]) for turn in range(turns) for one in named if turn < len(one.pictures)]
    if len(given) < limits.least_references:
        raise at.file.error(
            at.number,
            "",
            f"keyframe {painter.name} draws from reference pictures, and no character that it names has one",
            "pictures: [mira.png] at a character that its prompt names, or another keyframe=NAME",
        )
    if limits.references and len(given) > limits.references:
        log.warning("shot %d: %d reference pictures of %s, keyframe %s takes %d: the last ones are not used",
                    at.number, len(given), ", ".join(dict.fromkeys(name for name, _ in given)), painter.name,
                    limits.references)  # fmt: skip
    return [_reference(at, name, path) for name, path in given[: limits.references]]


def _reference(at: Place, name: str, path: Path) -> OwnPicture:
    background = at.cfg.background
    try:
        pictures.look(path, "pictures", background=background is not None)
    except UserError as error:
        raise UserError(f"characters: {name}: {error.message}", fix=error.fix) from None
    extract = Extract(multiple_of=16, background=background or "#000000", fps="source")
    return own_picture(path, extract)
