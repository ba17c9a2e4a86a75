"""The op `comfyui.frames`: what a graph saved, pictures or a film, as a clip of frames."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from reel.errors import UserError
from reel.op import Context, op
from reel.work import Extent, Work
from tasks.comfyui.settings import Frames
from tasks.extract import Extract, extract
from tasks.media.source import open_source


def _work(cfg: Frames, given: Mapping[str, Extent], ctx: Context) -> Work:
    return Work()  # how many frames they are is known when they are there


@op("comfyui", "frames", version=1, config=Frames, inputs=("files",), gives="frames", work=_work,
    distributions=("imageio-ffmpeg", "ffmpeg-python", "av", "pillow", "pi-heif", "numpy"))  # fmt: skip
def frames(cfg: Frames, inputs: Mapping[str, str], ctx: Context) -> str:
    """Frames of kind ``rgb``, in the files' own size.

    Raises:
        UserError: files that cannot be read, or pictures of several sizes.
    """
    stored = ctx.store.get(inputs["files"])
    for name in stored.files:
        stored.check(name)
    first, *more = sorted(stored.files)
    path = stored.path(first).parent if more else stored.path(first)
    try:
        source = open_source(path)
        how = Extract(multiple_of=1, fps=f"{cfg.fps:g}" if source.pictures else "source")
        given = replace(ctx, files={"source": path})
        return extract(how, {"source": stored.digest}, given)
    except UserError as error:
        told = error.message.removeprefix("clip: ")
        raise UserError(f"output: what ComfyUI saved cannot be read: {told}", fix=error.fix) from None
