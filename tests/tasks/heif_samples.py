"""Tiny HEIF and AVIF pictures of tiles, as phones write them, put together from single coded frames (ISO 23008-12)."""

from __future__ import annotations

from pathlib import Path

from tests.tasks.media_samples import run

COLOURS = ("red", "lime", "blue", "white")
CODECS = {
    "heic": ("hvc1", "hvcC", ["-c:v", "libx265", "-x265-params", "log-level=none:lossless=1", "-tag:v", "hvc1"]),
    "avif": ("av01", "av1C", ["-c:v", "libsvtav1", "-crf", 1]),
}
"""Brand -> item type, the box of the decoder's configuration, how a tile is coded."""


def box(kind: str, *parts: bytes) -> bytes:
    payload = b"".join(parts)
    return (8 + len(payload)).to_bytes(4, "big") + kind.encode() + payload


def full(kind: str, version: int, *parts: bytes) -> bytes:
    return box(kind, bytes([version, 0, 0, 0]), *parts)


def number(value: int, size: int) -> bytes:
    return value.to_bytes(size, "big")


def coded(folder: Path, colour: str, brand: str, side: int) -> tuple[bytes, bytes]:
    """One frame of a colour: its configuration box, and its data."""
    path = folder / f"{colour}.mp4"
    _, name, options = CODECS[brand]
    run("-f", "lavfi", "-i", f"color={colour}:s={side}x{side},format=yuv420p", "-frames:v", 1, *options, path)
    data = path.read_bytes()
    at = data.index(name.encode()) - 4
    configuration = data[at : at + int.from_bytes(data[at : at + 4], "big")]
    at = data.index(b"mdat") - 4
    return configuration, data[at + 8 : at + int.from_bytes(data[at : at + 4], "big")]


def grid(path: Path, brand: str = "heic", side: int = 64, turns: int = 0, transfer: int = 2) -> Path:
    """A picture of two by two tiles: red, lime above blue, white; ``turns`` quarter turns against the clock (irot).

    Its colours are those of BT.709, with the transfer curve of that number in H.273 (2: not said).
    """
    path.parent.mkdir(exist_ok=True)
    tiles = [coded(path.parent, colour, brand, side) for colour in COLOURS]
    kind, _, _ = CODECS[brand]
    items = range(2, 2 + len(tiles))
    named = [full("infe", 2, number(1, 2), bytes(2), b"grid", b"\0")]
    named += [full("infe", 2, number(item, 2), bytes(2), kind.encode(), b"\0") for item in items]
    properties = box(
        "ipco", tiles[0][0], full("ispe", 0, number(side, 4) * 2), full("ispe", 0, number(2 * side, 4) * 2),
        box("irot", bytes([turns])), box("colr", b"nclx", number(1, 2), number(transfer, 2), number(6, 2), b"\0"),
    )  # fmt: skip
    uses = [number(1, 2), b"\x03\x03\x84\x05", *(number(item, 2) + b"\x02\x81\x02" for item in items)]
    whole = b"\0\0\x01\x01" + number(2 * side, 2) * 2  # an image grid of 2 rows and 2 columns

    def meta(first: int) -> bytes:
        places = [number(1, 2) + number(1, 2) + bytes(2) + number(1, 2) + number(0, 4) + number(len(whole), 4)]
        for item, (_, data) in zip(items, tiles, strict=True):
            places.append(number(item, 2) + bytes(4) + number(1, 2) + number(first, 4) + number(len(data), 4))
            first += len(data)
        return full(
            "meta", 0, full("hdlr", 0, bytes(4), b"pict", bytes(13)), full("pitm", 0, number(1, 2)),
            full("iinf", 0, number(len(named), 2), *named),
            full("iref", 0, box("dimg", number(1, 2), number(len(tiles), 2), *(number(item, 2) for item in items))),
            box("iprp", properties, full("ipma", 0, number(1 + len(tiles), 4), *uses)),
            box("idat", whole), full("iloc", 1, b"\x44\x00", number(len(places), 2), *places),
        )  # fmt: skip

    head = box("ftyp", brand.encode(), bytes(4), b"mif1", brand.encode())
    first = len(head) + len(meta(0)) + 8
    path.write_bytes(head + meta(first) + box("mdat", *(data for _, data in tiles)))
    return path
