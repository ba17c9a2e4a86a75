"""Colour: what the numbers in a file mean, and the filters that turn them into 8-bit sRGB-like RGB frames.

YUV needs its matrix (BT.601, BT.709, BT.2020) and range (limited, full) to be read right; HDR (PQ, HLG) needs tone
mapping. Where a file does not say, the usual conventions are taken and named in the record, never hidden.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from reel.errors import UserError

Matrix = Literal["bt601", "bt709", "bt2020", "rgb"]
Transfer = Literal["sdr", "pq", "hlg"]

# Numbers of ITU-T H.273, which FFmpeg and all containers share.
_MATRICES: dict[int, Matrix] = {1: "bt709", 4: "bt601", 5: "bt601", 6: "bt601", 9: "bt2020"}
_UNREADABLE = {7: "SMPTE 240M", 8: "YCgCo", 10: "BT.2020 constant luminance", 14: "ICtCp", 15: "IPT-C2 (Dolby Vision)"}
_UNSPECIFIED = 2
_PQ, _HLG = 16, 18
_BT2020 = 9

SCALE_FLAGS = "lanczos+accurate_rnd+full_chroma_int+full_chroma_inp+bitexact"
"""Resampling: Lanczos with exact rounding and full chroma; without these, 8-bit colour bars are off by up to 5/255."""


@dataclass(frozen=True)
class Colour:
    """How to read a picture.

    Attributes:
        full: whether luma spans 0..255 rather than 16..235.
        wide: whether the primaries are those of BT.2020 and must be brought to BT.709.
        assumed: what the file did not say and was taken by convention.
    """

    matrix: Matrix
    full: bool
    transfer: Transfer
    wide: bool
    assumed: tuple[str, ...] = ()

    @property
    def hdr(self) -> bool:
        return self.transfer != "sdr"

    def record(self) -> dict[str, Any]:
        return {
            "matrix": self.matrix,
            "range": "full" if self.full else "limited",
            "transfer": self.transfer,
            "primaries": "bt2020" if self.wide else "bt709",
            "assumed": list(self.assumed),
        }


RGB = Colour("rgb", full=True, transfer="sdr", wide=False)


@dataclass(frozen=True)
class Tags:
    """What a file says about its colours.

    Attributes:
        matrix, transfer, primaries: H.273 code points; 2: not said.
        range: 0 not said, 1 limited, 2 full.
    """

    matrix: int
    range: int
    transfer: int
    primaries: int
    pixel_format: str
    is_rgb: bool


def read(tags: Tags, high: int, *, matrix: Matrix | None = None, full: bool | None = None) -> Colour:
    """Decide how a stream's numbers are meant.

    Args:
        high: stored lines, px. Where neither matrix nor primaries are named, convention gives BT.601 to standard
            definition (576 lines or fewer) and BT.709 above.
        matrix, full: what the user knows better than the file.

    Raises:
        UserError: a matrix that FFmpeg's scaler cannot undo.
    """
    assumed: list[str] = []
    if tags.is_rgb:
        matrix = "rgb"
    elif matrix is None:
        matrix = _matrix(tags, high, assumed)
    if tags.is_rgb or tags.pixel_format.startswith("yuvj"):
        full = True
    elif full is None:
        full = tags.range == 2
        assumed += ["range"] if tags.range == 0 else []
    hdr = tags.transfer in (_PQ, _HLG)
    return Colour(
        matrix=matrix,
        full=full,
        transfer="pq" if tags.transfer == _PQ else "hlg" if hdr else "sdr",
        wide=tags.primaries == _BT2020 or (tags.primaries == _UNSPECIFIED and hdr),
        assumed=tuple(assumed),
    )


def _matrix(tags: Tags, high: int, assumed: list[str]) -> Matrix:
    if tags.matrix in _UNREADABLE:
        raise UserError(
            f"the clip's colours are stored as {_UNREADABLE[tags.matrix]}, which cannot be turned into RGB here",
            fix="convert it first to BT.709 (for instance in DaVinci Resolve or HandBrake), or name what it really is "
            "with extract.color_matrix",
        )
    if tags.matrix in _MATRICES:
        return _MATRICES[tags.matrix]
    assumed.append("matrix")
    if tags.transfer in (_PQ, _HLG):
        return "bt2020"
    if tags.primaries in (1, 5, 6):  # files often name the primaries and leave the matrix out
        return "bt709" if tags.primaries == 1 else "bt601"
    return "bt601" if high <= 576 else "bt709"


def to_rgb(stream: Any, colour: Colour, size: tuple[int, int] | None, tonemap: str = "hable") -> Any:
    """Scale to ``size`` px (None: keep the size) and convert to ``rgb24``, full range, BT.709 primaries.

    Args:
        stream: an ffmpeg-python stream; the result is one too.
    """
    width, height = size or ("iw", "ih")
    stream = stream.filter("scale", w=width, h=height, **_reading(colour))
    if not (colour.hdr or colour.wide):
        return stream.filter("format", pix_fmts="rgb24")
    stream = stream.filter("format", pix_fmts="gbrp16le")
    return _to_bt709(stream, colour, tonemap).filter("format", pix_fmts="rgb24")


def over_background(stream: Any, colour: Colour, background: str) -> Any:
    """Lay transparent pictures on a plain colour, at their own size, as ``rgb24``.

    Done before any resampling: the colours that hide behind transparent pixels must not bleed over the edges.

    Args:
        background: ``#rrggbb``.
    """
    stream = stream.filter("scale", w="iw", h="ih", **_reading(colour)).filter("format", pix_fmts="rgba")
    branches = stream.split()
    plain = {"color": f"0x{background.removeprefix('#')}@1", "t": "fill", "replace": 1}
    behind = branches[0].filter("drawbox", x=0, y=0, w="iw", h="ih", **plain)
    return behind.overlay(branches[1], format="rgb", alpha="straight").filter("format", pix_fmts="rgb24")


def _reading(colour: Colour) -> dict[str, Any]:
    reading: dict[str, Any] = {"flags": SCALE_FLAGS, "out_range": "pc"}
    if colour.matrix != "rgb":
        reading |= {"in_color_matrix": colour.matrix, "in_range": "pc" if colour.full else "tv"}
    return reading


def _to_bt709(stream: Any, colour: Colour, tonemap: str) -> Any:
    """BT.2020 and HDR to BT.709: linear light, primaries, tone curve, display gamma (zimg + FFmpeg's tonemap)."""
    transfer = {"pq": "smpte2084", "hlg": "arib-std-b67", "sdr": "bt709"}[colour.transfer]
    primaries = "bt2020" if colour.wide else "bt709"
    stream = stream.filter("zscale", tin=transfer, pin=primaries, min="gbr", rin="pc", t="linear", npl=100)
    stream = stream.filter("format", pix_fmts="gbrpf32le").filter("zscale", p="bt709")
    if colour.hdr:
        stream = stream.filter("tonemap", tonemap=tonemap, desat=0)
    return stream.filter("zscale", t="bt709", r="pc").filter("format", pix_fmts="gbrp")
