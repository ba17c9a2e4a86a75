"""The storyboard that a film is made by: out of a file, or written from a story and kept by its request."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from flows.flow import Source
from flows.prefect_server.run import as_flow
from flows.storyboard.settings import Story
from reel.config import Config, parse
from reel.errors import UserError, suggest
from reel.files import sha256_file
from reel.history.recorder import new_run_id
from reel.keys import kept, make_key
from reel.op import Context, Op, get
from reel.store import Store
from reel.story.file import StoryFile, read
from tasks.cached import call, sound
from tasks.write.server import check_key
from tasks.write.settings import take


@dataclass(frozen=True)
class Written:
    """A storyboard with the command line's changes in it.

    Attributes:
        source: the file that it stands in; None: a writer wrote it.
        writer: the op that did, and its settings.
    """

    file: StoryFile
    source: Source | None = None
    writer: tuple[Op, Config] | None = None


def written(cfg: Story, store: Store) -> Written:
    """The storyboard: read, or written unless this very request was answered before.

    Raises:
        UserError: neither a story nor a file, or both; a file with mistakes; a writer that fails.
    """
    if cfg.file is not None and cfg.story.strip():
        raise UserError("story and shots both say what the film is: leave one of them out")
    if cfg.file is not None:
        file = read(cfg.file)
        return Written(changed(file, cfg), Source(cfg.file, sha256_file(cfg.file)))
    if not re.search(r"\w", cfg.story):
        raise UserError(
            "story: there are no words in it" if cfg.story.strip() else "story: there is none",
            fix="story='A girl finds a lantern. ...', or shots=story.yaml, a storyboard file",
        )
    op, settings = writer(cfg)
    return Written(changed(take(store, _answered(op, settings, cfg, store)), cfg), writer=(op, settings))


def writer(cfg: Story) -> tuple[Op, Config]:
    """The chosen writer's op, and its settings.

    Raises:
        UserError: there is no such writer, or wrong settings of it.
    """
    [(name, own)] = cfg.write.items()
    op = get("write", name)
    asked: dict[str, Any] = {"story": cfg.story, "shots": cfg.count, "style": cfg.style}
    if taken := asked.keys() & (own or {}).keys():
        raise UserError(f"write.{name}.{min(taken)}: is not set there", fix="story, count and style")
    return op, parse(op.config, {**(own or {}), **asked}, f"write.{name}")


def _answered(op: Op, settings: Config, cfg: Story, store: Store) -> str:
    """Digest of the storyboard. It has to be there before anything can be planned, so it is written while planning."""
    known = kept(store, make_key(op, settings, {}, {}).digest)
    if known is not None and sound(store, known["output"]):
        return str(known["output"])
    if not store.writable:
        raise UserError(f"paths.store: {store.root} is read-only, and the storyboard is not in it")
    check_key(settings)
    found: list[str] = []
    as_flow(lambda: found.append(call(op, settings, {}, Context(store, cfg.compute)).digest), "write", new_run_id())
    return found[0]


def changed(file: StoryFile, cfg: Story) -> StoryFile:
    """With the command line's style, seed and changes of shots.

    Raises:
        UserError: a shot that there is not, or a value that does not fit.
    """
    over = {"style": cfg.style or file.board.style, "seed": file.board.seed if cfg.seed is None else cfg.seed}
    file = replace(file, board=file.board.model_copy(update=over))
    numbers = {number_of(name, file): change.changed() for name, change in cfg.shots.items()}
    return file.with_changes(numbers) if numbers else file


def number_of(name: str, file: StoryFile) -> int:
    """Number of a shot, from 1, by what `shots` calls it: that number, or its name.

    Raises:
        UserError: no shot has that name.
    """
    names = [shot.name for shot in file.board.shots]
    if name.isdecimal():
        return int(name)
    if name not in names:
        known = [one for one in names if one is not None]
        raise UserError(
            f"shots.{name}: no shot has that name{suggest(name, known)}", fix="shots go by number from 1, or by name"
        )
    return names.index(name) + 1


def told(file: StoryFile, where: Path | None) -> str:
    """A storyboard in a few lines, for a terminal."""
    board = file.board
    lines = [f"{board.title}: {len(board.shots)} shots" + (f" ({where})" if where else "")]
    for number, shot in enumerate(board.shots, 1):
        words = shot.prompt or f"{shot.picture.name if shot.picture else ''}: {shot.motion}"
        lines.append(f"  {number:>3}  {words[:70]}  [{shot.camera or 'camera open'}]")
    return "\n".join(lines)
