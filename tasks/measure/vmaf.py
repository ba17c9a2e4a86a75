"""VMAF to the source: the likeness that viewers would notice, as FFmpeg's libvmaf predicts it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from reel.clip import Clip
from reel.config import Config
from reel.errors import UserError
from reel.measure import Measure, Result, Value, declare, save
from reel.op import Context, op
from tasks.measure.pairs import check_pair

MEASURE = declare(
    Measure(
        name="vmaf",
        about="Likeness of render and source to a viewer, predicted.",
        aspect="structure",
        values=(Value("mean", "VMAF to the source", "higher", 0, 100),),
        reference="github.com/Netflix/vmaf by FFmpeg's libvmaf; its models were fitted to compressed films, not to "
        "restyled ones: read it as an order, not as a grade",
    )
)
SMALLEST = 32
"""Least side (px) on which libvmaf's four scales work."""


class Vmaf(Config):
    """Settings of VMAF."""

    model: Literal["vmaf_v0.6.1", "vmaf_v0.6.1neg", "vmaf_4k_v0.6.1"] = "vmaf_v0.6.1"
    """Model built into libvmaf; `neg` gives no credit for sharpening, `4k` is for frames of that size."""


@op(
    "measure",
    "vmaf",
    version=1,
    config=Vmaf,
    inputs=("frames", "original"),
    distributions=("imageio-ffmpeg", "ffmpeg-python"),
    gives="measure",
)
def vmaf(cfg: Vmaf, inputs: Mapping[str, str], ctx: Context) -> str:
    """Mean over the frames of libvmaf's figure for each.

    Raises:
        UserError: render and source differ in size or number of frames, or FFmpeg is not there or has no libvmaf.
    """
    clip, original = Clip.open(ctx.store, inputs["frames"]), Clip.open(ctx.store, inputs["original"])
    check_pair("vmaf", clip, original)
    if min(clip.width, clip.height) < SMALLEST:
        return save(ctx.store, Result("vmaf", missing=f"frames are smaller than the {SMALLEST} px it needs"))
    with ctx.store.draft("vmaf") as draft, ctx.progress(total=clip.count, desc="vmaf") as bar:
        series = _run(clip, original, cfg.model, draft.dir)
        bar.update(clip.count)
    return save(ctx.store, Result("vmaf", {"mean": sum(series) / len(series)}, {"mean": series}))


def _run(clip: Clip, original: Clip, model: str, folder: Path) -> list[float]:
    """VMAF of every frame. `folder` lies in the store, so that no path in the graph has a character to escape."""
    import ffmpeg

    from tasks.media import ffmpeg as program

    pictures = []
    for role, one in (("render", clip), ("source", original)):
        for name in one.stored.files:
            one.stored.check(name)
        pattern = Path("..", "..", one.stored.store.folder(one.digest).relative_to(one.stored.store.root))
        stream = ffmpeg.input(str(pattern / "frames" / "%06d.png"), f="image2", framerate=25, start_number=0)
        tagged = stream.video.filter("metadata", "add", key="role", value=role)  # or a clip and itself are one stream
        pictures.append(tagged.filter("format", "yuv420p"))
    graph = ffmpeg.filter(pictures, "libvmaf", model=f"version={model}", log_fmt="json", log_path="vmaf.json")
    with program.start(ffmpeg.output(graph, "-", f="null"), folder) as run:
        code = run.process.wait()
        if code:
            run.check_disk()
            raise UserError(
                f"measure.vmaf: FFmpeg could not measure ({'; '.join(run.messages()[:3]) or f'exit code {code}'})",
                fix="use the FFmpeg of imageio-ffmpeg (unset IMAGEIO_FFMPEG_EXE), which has libvmaf, or leave vmaf out",
            )
    frames = json.loads((folder / "vmaf.json").read_bytes())["frames"]
    if len(frames) != clip.count:
        raise UserError(f"measure.vmaf: FFmpeg measured {len(frames)} of {clip.count} frames")
    return [float(frame["metrics"]["vmaf"]) for frame in frames]
