"""Key pictures of a render: a file of the user's, or drawn from words; and those of a clip as a render of their own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from flows.flow import Made, Source
from flows.render import measures
from reel.clip import Clip, frame_name
from reel.config import Config
from reel.errors import UserError
from reel.files import write_atomic
from reel.history.record import Role
from reel.history.recorder import Recorder
from reel.models.family import Family
from reel.op import Context, Op, get
from tasks.animate import pictures
from tasks.cached import call
from tasks.extract import Extract
from tasks.keyframe.settings import Draw
from tasks.keyframe.sheet import Sheet, drawn
from tasks.media.geometry import Fit
from tasks.media.source import source_digest


@dataclass(frozen=True)
class OwnPicture:
    """A file of the user, and how its picture is brought to the film's size."""

    source: Source
    extract: Extract


@dataclass(frozen=True)
class DrawnPicture:
    """A picture that is drawn, from words and from pictures of characters."""

    draw: Draw
    references: Sequence[OwnPicture] = ()


KeyPicture = OwnPicture | DrawnPicture


def at_size(width: int, height: int, fit: Fit, background: str | None, multiple_of: int) -> Extract:
    """How a picture is brought to a clip's size, px; borders and what lies behind transparent pixels are black where no
    colour is given."""
    return Extract(
        width=width, height=height, fit=fit, multiple_of=multiple_of, background=background or "#000000", fps="source"
    )


def own_picture(path: Path, extract: Extract) -> OwnPicture:
    """A file that was looked at, `tasks.animate.pictures.look`."""
    return OwnPicture(Source(path, source_digest(path)), extract)


def ops_of(one: KeyPicture) -> list[tuple[Op, Config]]:
    """The ops that make a key picture, with their settings."""
    if isinstance(one, OwnPicture):
        return [(get("extract", "extract"), one.extract)]
    references: list[tuple[Op, Config]] = [(get("extract", "extract"), each.extract) for each in one.references]
    return [*references, (get("keyframe", "draw"), one.draw)]


def made(one: KeyPicture, ctx: Context) -> str:
    """Digest of a key picture, a clip of one frame."""
    if isinstance(one, OwnPicture):
        own = replace(ctx, files={"source": one.source.path})
        return call(get("extract", "extract"), one.extract, {"source": one.source.digest}, own).digest
    given = {f"reference_{index}": made(each, ctx) for index, each in enumerate(one.references)}
    return call(get("keyframe", "draw"), one.draw, given, ctx).digest


def as_clip(digests: Sequence[str], ctx: Context) -> str:
    """Digest of a clip of these pictures, a frame each."""
    given = {f"picture_{index}": digest for index, digest in enumerate(digests)}
    bare = Sheet(labels=[str(index + 1) for index in range(len(digests))])  # a name changes no picture
    return call(get("keyframe", "sheet"), bare, given, ctx).digest


def look_all(paths: Sequence[tuple[str, Path]], *, background: bool) -> list[pictures.Still]:
    """Files that are to be one clip's key pictures, all of one size.

    Args:
        paths: each with the setting that names it.

    Raises:
        UserError: a file that is no still picture, or of another size than the first.
    """
    looked = {path: pictures.look(path, key, background=background) for key, path in paths}
    stills = [looked[path] for _, path in paths]
    for (key, _), still in zip(paths, stills, strict=True):
        if (still.width, still.height) != (stills[0].width, stills[0].height):
            raise UserError(
                f"{key}: {still.path.name} is {still.width}x{still.height} px, {stills[0].path.name} "
                f"{stills[0].width}x{stills[0].height}: scaled and cut differently they would not fit each other",
                fix="pictures of one size, best of one drawing",
            )
    return stills


def size_for(width: int | None, height: int | None, stills: Sequence[pictures.Still], model: Family) -> tuple[int, int]:
    """A clip's size, px: as asked for, or of those that the model advises the one nearest to its pictures' shape.

    Raises:
        UserError: the model advises none.
    """
    if width is not None and height is not None:
        return width, height
    sizes = model.advice.sizes
    if not sizes:
        raise UserError(f"width, height: model {model.name} advises no size", fix="width=512 height=512")
    best = pictures.bucket(stills[0], sizes) if stills else sizes[0]
    return best.width, best.height


@dataclass(frozen=True)
class Stills:
    """The key pictures of a clip as a render of their own (`flows.flow.RenderPlan`), to be looked at before the clip.

    Attributes:
        labels: what stands above each.
        name: of the sheet's file.
    """

    pictures: Sequence[KeyPicture]
    labels: Sequence[str]
    name: str = "key_pictures.png"

    @property
    def measures(self) -> measures.Measures:
        """How much changes from one picture to the next."""
        return measures.plan({"key_pictures": {}}, measures.Subject(None, "", original=False, pictures=True))

    @property
    def sources(self) -> Mapping[str, Source]:
        return sources_of(self.pictures)

    @property
    def ops(self) -> list[tuple[Op, Config]]:
        found = [pair for one in self.pictures for pair in ops_of(one)]
        return [*found, (get("keyframe", "sheet"), Sheet(labels=list(self.labels)))]

    def draw(self, ctx: Context) -> Made:
        sheet = as_clip([made(one, ctx) for one in self.pictures], ctx)
        return Made(sheet, maps={"map_pictures": sheet})

    def assemble(self, made: Made, ctx: Context) -> str:
        """The stills themselves: their sheet is drawn when they are handed over."""
        return made.frames

    def hand_over(self, made: Made, ctx: Context, recorder: Recorder) -> None:
        clip = Clip.open(ctx.store, made.frames)
        put(recorder, self.name, drawn(clip, self.labels), "sheet")
        for number in range(clip.count):  # to be used by name, in another flow
            put(recorder, f"key_picture_{number + 1}.png", clip.stored.read(frame_name(number)), "other")


def sources_of(some: Sequence[KeyPicture]) -> dict[str, Source]:
    """The files that key pictures are made from, by their places."""
    found: dict[str, Source] = {}
    for index, one in enumerate(some):
        files = [one] if isinstance(one, OwnPicture) else one.references
        found |= {f"{index}.{number}": each.source for number, each in enumerate(files)}
    return found


def put(recorder: Recorder, name: str, data: bytes, role: Role) -> None:
    """A file of the output folder, noted; what an earlier render of the same film left there stays."""
    folder = Path(recorder.record.output or "")
    if name not in {one.name for one in recorder.record.outputs}:
        write_atomic(folder / name, data)
        recorder.output(folder / name, role)
