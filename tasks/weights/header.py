"""The header of a safetensors file: read and judged by itself, before any library opens the file.

A file is eight bytes with the header's length, the header (JSON: every tensor's number format, shape and place) and the
tensors' bytes, without gaps. Format: the safetensors project's README. Nothing here imports torch.
"""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reel.errors import UserError

MOST_HEADER = 16 << 20
"""Bytes. Real ones have some hundred kilobytes, or a few megabytes where a trainer's or a workflow's notes are kept."""
BITS = {
    **dict.fromkeys(("F4",), 4),
    **dict.fromkeys(("F6_E2M3", "F6_E3M2"), 6),
    **dict.fromkeys(("BOOL", "U8", "I8", "F8_E5M2", "F8_E4M3", "F8_E8M0", "F8_E4M3FNUZ", "F8_E5M2FNUZ"), 8),
    **dict.fromkeys(("I16", "U16", "F16", "BF16"), 16),
    **dict.fromkeys(("I32", "U32", "F32"), 32),
    **dict.fromkeys(("I64", "U64", "F64", "C64"), 64),
}
"""Bits of a number, by the format's names of number formats."""

OTHERS: tuple[tuple[bytes, str, str], ...] = (
    (b"PK\x03\x04", "a ZIP archive, as PyTorch's pickles (.pt, .ckpt) are", "a pickle may hold code and is not loaded"),
    (b"\x80", "a Python pickle (.pt, .ckpt)", "a pickle may hold code and is not loaded"),
    (b"GGUF", "a GGUF file", "quantised GGUF files are not loaded"),
    (b"version https://git-lfs", "a Git LFS pointer, not the file itself", "run `git lfs pull` where it came from"),
    (b"\x89HDF", "an HDF5 file (.h5)", "another format"),
    (b"\x1f\x8b", "a gzip archive", "unpack it"),
    (b"7z\xbc\xaf", "a 7z archive", "unpack it"),
    (b"Rar!", "a RAR archive", "unpack it"),
    (b"\x89PNG", "a PNG picture", "a picture, not a model"),
    (b"\xff\xd8\xff", "a JPEG picture", "a picture, not a model"),
)
"""What files are that bear the name only: first bytes, name, what to know."""
_TEXTS = (
    ("<", "a web page", "the download wanted a log-in, or its address has changed: download it again in a browser"),
    ("{", "a JSON text", "it may be a server's message instead of the file: look at it, and download it again"),
)


class NotSafetensors(UserError):
    """A file that is no safetensors file, or not a whole one."""


@dataclass(frozen=True)
class Tensor:
    """What the header says of a tensor."""

    dtype: str
    shape: tuple[int, ...]


@dataclass(frozen=True)
class Header:
    """A header that was checked."""

    tensors: Mapping[str, Tensor]
    metadata: Mapping[str, str]

    @property
    def count(self) -> int:
        """Numbers in all tensors."""
        return sum(math.prod(tensor.shape) for tensor in self.tensors.values())


def read_header(path: Path) -> Header:
    """The header of a file, after checking that the file is as long as it says. A file that was read is not read again.

    Raises:
        NotSafetensors: what the file is instead, or what is wrong with it.
        UserError: it cannot be read.
    """
    try:
        stat = path.stat()
        return _read(path, (stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns))
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror or error})", fix="look at its permissions") from None


@functools.lru_cache(maxsize=64)
def _read(path: Path, seen: tuple[int, ...]) -> Header:
    size = seen[2]
    with path.open("rb") as handle:
        first = handle.read(64)
        if len(first) < 8:
            raise _broken(path, f"has {size} bytes", "it is empty or was cut short: download it again")
        length = int.from_bytes(first[:8], "little")
        if first[8:9] != b"{" or length > size - 8:
            raise _another(path, first, length, size)
        if length > MOST_HEADER:
            raise _broken(path, f"has a header of {length} bytes, over the {MOST_HEADER} that are read", "")
        handle.seek(8)
        raw = handle.read(length)
    return _checked(path, _parsed(path, raw), size - 8 - length)


def _another(path: Path, first: bytes, length: int, size: int) -> NotSafetensors:
    """What a file is that does not begin as a safetensors file does."""
    if first[8:9] == b"{" and length <= MOST_HEADER:
        return _broken(path, f"is cut short: its header alone has {length} bytes, the file {size}", "download it again")
    for sign, name, advice in OTHERS:
        if first.startswith(sign):
            return _broken(path, f"is {name}", advice)
    text = first.lstrip(b"\xef\xbb\xbf \t\r\n")
    for letter, name, advice in _TEXTS:
        if text.startswith(letter.encode()):
            return _broken(path, f"is {name}", advice)
    if not any(first):
        return _broken(path, "begins with zeros", "its download was never finished: download it again")
    return _broken(path, "does not begin as a safetensors file does", "download it again, or give another file")


def _parsed(path: Path, raw: bytes) -> dict[str, Any]:
    try:
        found = json.loads(raw.decode("utf-8"), object_pairs_hook=_once, parse_constant=_no_number)
    except RecursionError:
        raise _broken(path, "has a header that is nested too deeply") from None
    except ValueError as error:
        told = str(error).split(": line")[0][:100]
        raise _broken(path, f"has a damaged header ({told})") from None
    if not isinstance(found, dict):
        raise _broken(path, "has a header that is not a table of tensors")
    return found


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name twice")
    return found


def _no_number(word: str) -> None:
    raise ValueError(f"{word} is not a number of JSON")


def _checked(path: Path, found: dict[str, Any], room: int) -> Header:
    """Every entry complete, and the tensors one after the other to the file's last byte.

    Args:
        room: bytes after the header.
    """
    notes = found.pop("__metadata__", None)
    notes = {} if notes is None else notes
    if not isinstance(notes, dict) or not all(isinstance(text, str) for text in notes.values()):
        raise _broken(path, "has metadata that is not texts")
    try:
        "".join([*found, *notes, *notes.values()]).encode()
    except UnicodeEncodeError:
        raise _broken(path, "has a damaged header (half a character)") from None
    tensors, places = {}, []
    for name, entry in found.items():
        tensor, start, stop = _entry(path, name, entry)
        tensors[name] = tensor
        places.append((start, stop, name))
    end = 0
    for start, stop, name in sorted(places):
        if start != end:
            raise _broken(path, f"has a gap or an overlap before the tensor {shown(name)}")
        end = stop
    if end > room:
        raise _broken(path, f"is cut short: its tensors take {end} bytes, {room} are there", "download it again")
    if end < room:
        raise _broken(path, f"has {room - end} bytes after its last tensor")
    return Header(tensors, notes)


def _entry(path: Path, name: str, entry: Any) -> tuple[Tensor, int, int]:
    """A tensor's entry: format, shape, and its first byte and the byte after its last."""
    try:
        if set(entry) != {"dtype", "shape", "data_offsets"}:
            raise ValueError
        dtype, shape, (start, stop) = entry["dtype"], entry["shape"], entry["data_offsets"]
        whole = all(type(number) is int and 0 <= number < 1 << 53 for number in [*shape, start, stop])
        if not whole or not isinstance(shape, list) or len(shape) > 16:
            raise ValueError
        bits = math.prod(shape) * BITS[dtype]
    except KeyError as error:
        raise _broken(path, f"has a tensor {shown(name)} of unknown form (no {str(error)[:40]})") from None
    except (TypeError, ValueError):
        raise _broken(path, f"has a tensor {shown(name)} with a wrong shape or place") from None
    if bits != 8 * (stop - start):
        raise _broken(path, f"has a tensor {shown(name)} that is larger or smaller than its shape says")
    return Tensor(dtype, tuple(shape)), start, stop


def shown(name: str) -> str:
    """A tensor's name for a message: on one line, and not too long."""
    plain = "".join(letter if letter.isprintable() else "?" for letter in name[:80])
    return plain if len(name) <= 60 else f"{plain[:57]}..."


def _broken(path: Path, what: str, fix: str = "it is damaged: download it again") -> NotSafetensors:
    return NotSafetensors(f"{path}: not a whole safetensors file: it {what}", fix=fix or None)
