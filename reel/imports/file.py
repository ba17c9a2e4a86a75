"""Files of other tools as text or plain data: what they hold is looked over before anybody reads it."""

from __future__ import annotations

import json
import math
import re
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from reel.errors import UserError
from reel.reading import Unreadable, read_small

MOST = 16 * 1024 * 1024
"""Bytes of a settings file or graph."""
MOST_PICTURE = 256 * 1024 * 1024
"""Bytes of a PNG."""
MOST_TEXT = 4_000_000
"""Characters of one text in a PNG, unpacked, and of a settings file."""
MOST_LEAVES = 100_000
DEEPEST = 60
PNG = b"\x89PNG\r\n\x1a\n"
_MOVIES = {b"RIFF": "a WebP or AVI file", b"\xff\xd8\xff": "a JPEG", b"GIF8": "a GIF", b"\x1aE\xdf\xa3": "a WebM file"}
_NO_TEXT = re.compile("[\0\ud800-\udfff]")


def contents(path: Path) -> str | dict[str, str]:
    """A file's text; of a PNG the texts in it, by their names.

    Raises:
        UserError: no regular file, too large, no text, or a PNG that says nothing.
    """
    try:
        data = read_small(path, MOST_PICTURE)
    except FileNotFoundError:
        raise UserError(f"{path}: there is no such file", fix="check the name") from None
    except Unreadable as error:
        raise UserError(f"{path} {error}", fix="a settings file, a graph, or a PNG of the tool") from None
    if data.startswith(PNG):
        return picture_texts(data, path)
    kind = next((name for start, name in _MOVIES.items() if data.startswith(start)), None)
    if kind is None and data[4:8] == b"ftyp":
        kind = "a movie"
    if kind is not None:
        raise UserError(
            f"{path}: this is {kind}; of pictures, a PNG's texts alone are read",
            fix="the PNG that the tool saved beside it, or the settings as text or JSON",
        )
    if len(data) > MOST:
        raise UserError(f"{path} has {len(data)} bytes, at most {MOST} are read", fix="one settings file or graph")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise UserError(
            f"{path}:{line}: byte 0x{data[error.start]:02x} is not UTF-8",
            fix="save the file as UTF-8, or give the tool's own file",
        ) from None
    return checked(text, str(path))


def checked(text: str, name: str) -> str:
    """A text with something in it.

    Raises:
        UserError: it is empty, too long, or holds what no text has.
    """
    if len(text) > MOST_TEXT:
        raise UserError(f"{name} has {len(text)} characters, at most {MOST_TEXT} are read")
    if "\0" in text:
        raise UserError(f"{name}:{text.count(chr(10), 0, text.find(chr(0))) + 1}: holds a NUL: this is no text")
    if not text.strip():
        raise UserError(f"{name}: the file is empty", fix="a settings file, a graph, or a PNG of the tool")
    return text


def picture_texts(data: bytes, path: Path) -> dict[str, str]:
    """Texts in a PNG by their names: chunks tEXt, zTXt and iTXt; of two of one name the first.

    Raises:
        UserError: it breaks off before its end, or there are no texts.
    """
    found: dict[str, str] = {}
    for kind, body in _chunks(data, path):
        if kind in (b"tEXt", b"zTXt", b"iTXt"):
            name, text = _text(kind, body)
            if name and text is not None:
                found.setdefault(name, text)
    if not found:
        raise UserError(
            f"{path}: no settings are saved in this PNG",
            fix="the picture as the tool saved it: editors and most sites leave the texts in it out",
        )
    return found


def _chunks(data: bytes, path: Path) -> Iterator[tuple[bytes, bytes]]:
    at = len(PNG)
    while at < len(data):
        if at + 12 > len(data):
            raise UserError(f"{path}: the PNG breaks off after {len(data)} bytes", fix="copy or download it again")
        length, kind = struct.unpack(">I4s", data[at : at + 8])
        if at + 12 + length > len(data):
            raise UserError(f"{path}: the PNG breaks off after {len(data)} bytes", fix="copy or download it again")
        yield kind, data[at + 8 : at + 8 + length]
        if kind == b"IEND":
            return
        at += 12 + length


def _text(kind: bytes, body: bytes) -> tuple[str, str | None]:
    """Name and text of a chunk; None for a text that cannot be unpacked or is too long."""
    name, _, rest = body.partition(b"\0")
    encoding, packed = "latin-1", kind == b"zTXt"
    if kind == b"zTXt":
        rest = rest[1:]
    elif kind == b"iTXt":
        encoding, packed = "utf-8", rest[:1] == b"\1"
        rest = rest[2:].partition(b"\0")[2].partition(b"\0")[2]
    if packed:
        unpacker = zlib.decompressobj()
        try:
            rest = unpacker.decompress(rest, 4 * MOST_TEXT)
        except zlib.error:
            return name.decode("latin-1"), None
        if unpacker.unconsumed_tail:
            return name.decode("latin-1"), None
    try:
        return name.decode("latin-1"), rest.decode(encoding)[: MOST_TEXT + 1]
    except UnicodeDecodeError:
        return name.decode("latin-1"), None


def is_json(text: str) -> bool:
    """Whether a text is JSON as a whole."""
    try:
        json.loads(text.strip("\ufeff \t\r\n"))
    except (ValueError, RecursionError):
        return False
    return True


def plain(text: str, name: str, twice: list[str] | None = None) -> Any:
    """JSON as plain data.

    Args:
        twice: gets the keys that are written twice in one group, of which the later one counts.

    Raises:
        UserError: it is no JSON (with line and column), too deep, or holds what is no text or more than makes sense.
    """
    again = [] if twice is None else twice

    def group(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        made: dict[str, Any] = {}
        for key, value in pairs:
            if key in made:
                again.append(key)
            made[key] = value
        return made

    try:
        data = json.loads(text, object_pairs_hook=group)
    except json.JSONDecodeError as error:
        line = text.splitlines()[error.lineno - 1].strip()[:60] if error.lineno <= len(text.splitlines()) else ""
        raise UserError(
            f"{name}:{error.lineno}:{error.colno}: this is not JSON ({error.msg[:1].lower()}{error.msg[1:]})"
            + (f": {line}" if line else ""),
            fix="put that line right, or let the tool save the file again",
        ) from None
    except RecursionError:
        raise UserError(f"{name}: nested too deeply, at most {DEEPEST} levels are read") from None
    except ValueError as error:  # a number of thousands of digits
        raise UserError(f"{name}: cannot be read ({str(error).partition(';')[0]})") from None
    _look_over(data, name)
    return data


def _look_over(data: Any, name: str) -> None:
    """Raises: UserError: too deep, too many values, or a text that is none."""
    todo, count = [(data, 0)], 0
    while todo:
        value, depth = todo.pop()
        count += 1
        if depth > DEEPEST:
            raise UserError(f"{name}: nested too deeply, at most {DEEPEST} levels are read")
        if count > MOST_LEAVES:
            raise UserError(f"{name}: more than {MOST_LEAVES} values: this is not a settings file or a graph")
        if isinstance(value, dict):
            todo += [(item, depth + 1) for item in value.values()]
            todo += [(key, depth + 1) for key in value]
        elif isinstance(value, list):
            todo += [(item, depth + 1) for item in value]
        elif isinstance(value, str) and (bad := _NO_TEXT.search(value)):
            what = "a NUL" if bad[0] == "\0" else "half a character"
            shown = value[:40].encode("ascii", "replace").decode()
            raise UserError(f"{name}: the text {shown!r} holds {what}: this is no text")


def number(value: Any) -> float | None:
    """A finite number, or a text that is one; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        found = float(value)
    except (ValueError, OverflowError):
        return None
    return found if math.isfinite(found) else None
