"""From frames to a movie file: one table of formats, one FFmpeg run fed with raw frames at their exact times.

Frames reach FFmpeg as a NUT stream on its standard input, since NUT carries any time base: variable rates survive.
Thread counts are fixed in the table, because x264 and others repeat their bytes only for the same number of threads;
with that and FFmpeg's bit-exact mode one machine gives one file, and another machine of the same kind the same one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reel.errors import UserError
from reel.files import canonical_json
from tasks.media import ffmpeg, webp
from tasks.media.colour import SCALE_FLAGS
from tasks.media.timeline import Timing, ticks

if TYPE_CHECKING:
    import numpy as np

THREADS = 4
"""Encoder threads on every machine: part of the bytes, unlike threads elsewhere."""

_BT709 = {"color_primaries": "bt709", "color_trc": "bt709", "colorspace": "bt709", "color_range": "tv"}


@dataclass(frozen=True)
class Format:
    """An output format.

    Attributes:
        pixel_format: as FFmpeg names it; YUV ones are BT.709, limited range, and tagged so.
        video, sound: FFmpeg output options; ``sound`` is None where the format carries none.
        crf: quality by default, the best and the worst allowed (small is good), or None where there is no such dial.
        even: whether both sides must be even.
        max_fps: the fastest rate that players honour.
        tick: seconds that all times are rounded to; None: it has the frames' own.
    """

    suffix: str
    muxer: str
    pixel_format: str
    video: Mapping[str, Any]
    sound: Mapping[str, Any] | None = None
    crf: tuple[int, int, int] | None = None
    even: bool = False
    preset: bool = False
    max_fps: int = 240
    tick: Fraction | None = None

    @property
    def is_yuv(self) -> bool:
        return self.pixel_format.startswith("yuv")


FORMATS: dict[str, Format] = {
    "mp4": Format(
        "mp4", "mp4", "yuv420p",
        # finer chroma than x264 thinks fit: drawn pictures have flat, strong colours
        {"vcodec": "libx264", "profile:v": "high", "x264-params": "chroma-qp-offset=-6", "movflags": "+faststart"},
        {"acodec": "aac", "audio_bitrate": "192k"}, crf=(14, 1, 51), even=True, preset=True,
    ),
    "prores": Format(
        "mov", "mov", "yuv422p10le", {"vcodec": "prores_ks", "profile:v": 3, "vendor": "apl0"},
        {"acodec": "pcm_s16le"}, even=True,
    ),
    "ffv1": Format(
        "mkv", "matroska", "bgr0", {"vcodec": "ffv1", "level": 3, "slices": 4, "slicecrc": 1}, {"acodec": "flac"},
        tick=Fraction(1, 1000),
    ),
    "webm": Format(
        "webm", "webm", "yuv420p",
        {"vcodec": "libvpx-vp9", "video_bitrate": 0, "deadline": "good", "cpu-used": 2, "row-mt": 1},
        {"acodec": "libopus", "audio_bitrate": "128k"}, crf=(24, 0, 63), even=True, tick=Fraction(1, 1000),
    ),
    "gif": Format("gif", "gif", "pal8", {"vcodec": "gif", "loop": 0}, max_fps=50, tick=Fraction(1, 100)),
    "webp": Format("webp", "", "rgb24", {}, max_fps=90, tick=Fraction(1, 1000)),  # written by tasks.media.webp
}  # fmt: skip


@dataclass(frozen=True)
class SoundTrack:
    """A stretch of a file's sound: ``start`` and ``duration`` in seconds on the player's clock."""

    path: Path
    container: str
    stream: int
    start: Fraction
    duration: Fraction


@dataclass(frozen=True)
class Movie:
    """What to write: the format, the times, quality, sound and the facts for the container."""

    format: Format
    size: tuple[int, int]
    timing: Timing
    crf: int | None = None
    preset: str = "medium"
    sound: SoundTrack | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)


def check(movie: Movie) -> None:
    """Raises: UserError when the format cannot hold frames of that size or rate."""
    width, height = movie.size
    if movie.format.even and (width % 2 or height % 2):
        fixed = f"{width - width % 2}x{height - height % 2}"
        raise UserError(
            f"assemble.format: {movie.format.suffix} needs sides that are multiples of 2: {width}x{height} -> {fixed}",
            fix="set extract.multiple_of=2 or more, or assemble.format=ffv1",
        )
    fps = movie.timing.fps or Fraction(len(movie.timing.pts)) / movie.timing.duration
    if fps > movie.format.max_fps:
        raise UserError(
            f"assemble.fps: {float(fps):g} frames a second are too fast for {movie.format.suffix}; players honour at "
            f"most {movie.format.max_fps}",
            fix=f"assemble.fps={movie.format.max_fps // 2}",
        )
    if movie.format.tick and not all(ticks(movie.timing.begins, movie.format.tick)):
        raise UserError(
            f"assemble.format: some frames are closer to each other than {movie.format.suffix} can tell "
            f"({float(movie.format.tick) * 1000:g} ms)",
            fix="assemble.format=mp4, or a constant rate such as assemble.fps=24",
        )


def encode(movie: Movie, frames: Iterable[np.ndarray], folder: Path, name: str, palette: str | None = None) -> Path:
    """Write a movie file into ``folder``.

    Args:
        frames: ``(H, W, 3)`` uint8 RGB, as many as there are times.
        palette: name of a palette file in ``folder`` (GIF; see `make_palette`).

    Raises:
        UserError: nothing more could be written, or the source's sound could not be read.
    """
    check(movie)
    if not movie.format.muxer:
        return webp.write(folder / name, movie.size, _held(movie, frames), ticks(movie.timing.begins, webp.TICK))
    stream = _fed(movie)
    if palette is not None:
        import ffmpeg as graphs

        colours = graphs.input(palette, protocol_whitelist="file", format="png_pipe")
        stream = graphs.filter([stream, colours], "paletteuse", dither="sierra2_4a")
    elif movie.format.is_yuv:
        stream = _to_yuv(stream, movie.format.pixel_format)
    else:
        stream = stream.filter("format", pix_fmts=movie.format.pixel_format)
    _run(movie, _output(movie, stream, name), frames, folder, name)
    return folder / name


def _held(movie: Movie, frames: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    """The pictures of the movie one after the other; one that is held comes as the very same array."""
    source, number, frame = iter(frames), -1, None
    for wanted in movie.timing.shown:
        while number < wanted:
            frame, number = next(source), number + 1
        assert frame is not None
        yield frame
    for _ in source:  # the rest is read, too: it counts as progress, and damage in it must not pass
        pass


def make_palette(movie: Movie, frames: Iterable[np.ndarray], folder: Path) -> str:
    """The 256 colours of a GIF, in a pass of its own so that memory does not grow with the length."""
    name = ".palette.png"
    output = _fed(movie).filter("palettegen", stats_mode="full", reserve_transparent=0).output(
        name, format="image2", update=1, vcodec="png", **{"frames:v": 1}
    )  # fmt: skip
    _run(movie, output, frames, folder, name)
    return name


def _fed(movie: Movie) -> Any:
    import ffmpeg as graphs

    stream = graphs.input("pipe:0", format="nut", protocol_whitelist="pipe")["v:0"]
    timing = movie.timing
    if timing.fps is None:
        return stream
    count = max(1, round(timing.duration * timing.fps))
    stream = stream.filter("settb", expr=ffmpeg.ratio(timing.time_base))  # NUT has ticks of its own choice
    return ffmpeg.constant_rate(stream, timing.fps, timing.time_base, timing.pts[-1], count)


def _to_yuv(stream: Any, pixel_format: str) -> Any:
    stream = stream.filter("scale", flags=SCALE_FLAGS, in_range="pc", out_range="tv", out_color_matrix="bt709")
    stream = stream.filter("format", pix_fmts=pixel_format)
    return stream.filter("setparams", range="tv", color_primaries="bt709", color_trc="bt709", colorspace="bt709")


def _output(movie: Movie, stream: Any, name: str) -> Any:
    import ffmpeg as graphs

    form = movie.format
    options: dict[str, Any] = dict(form.video) | {
        "format": form.muxer, "fps_mode": "passthrough", "enc_time_base": "filter", "threads": THREADS,
        "map_metadata": -1, "fflags": "+bitexact", "flags:v": "+bitexact", "flags:a": "+bitexact",
    }  # fmt: skip
    if form.is_yuv:
        options |= {"pix_fmt": form.pixel_format, **_BT709}
    if form.crf is not None:
        options["crf"] = form.crf[0] if movie.crf is None else movie.crf
    if form.preset:
        options["preset"] = movie.preset
    options |= _last_shown(movie)
    if movie.metadata and form.sound is not None:
        # A list of its own arguments: the text is never part of a filter or of another option.
        options["metadata"] = "comment=" + canonical_json(dict(movie.metadata)).decode()
    streams = [stream]
    if movie.sound is not None and form.sound is not None:
        streams.append(_sound(movie.sound))
        options |= form.sound
    return graphs.output(*streams, name, **options)


def _last_shown(movie: Movie) -> dict[str, Any]:
    """What makes the last picture stay for its own time, which FFmpeg knows nothing of: raw frames have none."""
    begins = movie.timing.begins
    if movie.format.muxer == "gif":
        return {"final_delay": ticks(begins, Fraction(1, 100))[-1]}
    if movie.timing.fps is not None:
        return {}
    near = float(begins[-2]) - 1e-6  # it alone is at or after this
    seconds = float(begins[-1] - begins[-2])
    options = {"bsf:v": f"setts=duration=if(gte(PTS*TB\\,{near:.9f})\\,round({seconds:.9f}/TB)\\,DURATION)"}
    # Without B-frames the last picture is the last in the file, too: the MP4 muxer keeps that one's duration alone.
    return options | ({"bf": 0} if movie.format.muxer == "mp4" else {})


def _sound(track: SoundTrack) -> Any:
    """The stretch of sound at its own offset: silence is put before a late start, so that every player agrees."""
    import ffmpeg as graphs

    options: dict[str, Any] = {"t": f"{float(track.duration):.6f}"}
    if track.start > 0:
        options["ss"] = f"{float(track.start):.6f}"
    source = graphs.input(ffmpeg.file_url(track.path), format=track.container, protocol_whitelist="file", **options)
    sound = source[str(track.stream)].filter("aresample", **{"async": 1, "first_pts": 0})
    return sound.filter("atrim", end=f"{float(track.duration):.6f}")  # t= above counts from the first packet


def _run(movie: Movie, output: Any, frames: Iterable[np.ndarray], folder: Path, name: str) -> None:
    with ffmpeg.start(output, folder, feed=True) as run:
        trouble = _feed(movie.timing, movie.size, frames, run)
        run.close_stdin()
        code = run.process.wait()
        run.check_disk()
        if code != 0 or trouble is not None:
            reason = "; ".join(run.messages()[:3]) or str(trouble)
            raise UserError(f"assemble: FFmpeg could not write {name}: {reason}")


def _feed(timing: Timing, size: tuple[int, int], frames: Iterable[np.ndarray], run: ffmpeg.Run) -> Exception | None:
    """Write the frames as NUT. Returns what went wrong with the pipe, which FFmpeg's own messages explain better."""
    import av

    count = 0
    try:
        with av.open(run.stdin, "w", format="nut") as container:
            stream = container.add_stream("rawvideo", options={})
            stream.width, stream.height, stream.pix_fmt = *size, "rgb24"
            stream.time_base = stream.codec_context.time_base = timing.time_base
            for pts, array in zip(timing.pts, frames, strict=True):
                frame = av.VideoFrame.from_ndarray(array, format="rgb24")
                frame.pts, frame.time_base = pts, timing.time_base
                container.mux(stream.encode(frame))
                count += 1
            container.mux(stream.encode(None))
    except (BrokenPipeError, av.FFmpegError) as error:
        return error
    return None
