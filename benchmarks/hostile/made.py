"""Makers of the files that bad inputs name. All of it is harmless: sizes, shapes and names are wrong, nothing else."""

from __future__ import annotations

import json
import os
import shutil
import struct
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks import synthetic_renders
from benchmarks.hostile.case import Make
from benchmarks.runs import ROOT
from reel.files import canonical_json, sha256_bytes
from reel.history.record import record_path
from reel.store import Store

GLOBAL = "# @package _global_\n"
"""First line of a file whose settings are for the whole."""
DEPLOYMENT = "flow: dance\nexperiment: dance/new_character\n"


def together(*makers: Make) -> Make:
    """Several makers, one after another."""

    def make(here: Path) -> None:
        for one in makers:
            one(here)

    return make


def file(name: str, content: bytes | str = b"") -> Make:
    """A file with that content; text is UTF-8."""

    def make(here: Path) -> None:
        (here / name).parent.mkdir(parents=True, exist_ok=True)
        (here / name).write_bytes(content.encode() if isinstance(content, str) else content)

    return make


def folder(name: str) -> Make:
    return lambda here: (here / name).mkdir(parents=True)


def fifo(name: str) -> Make:
    """A named pipe that nobody writes to: whoever opens it waits."""

    def make(here: Path) -> None:
        (here / name).parent.mkdir(parents=True, exist_ok=True)
        os.mkfifo(here / name)

    return make


def link(name: str, target: str) -> Make:
    return lambda here: (here / name).symlink_to(target)


def sparse(name: str, size: int) -> Make:
    """A file of that size (bytes) of which nothing is on the disk."""

    def make(here: Path) -> None:
        (here / name).parent.mkdir(parents=True, exist_ok=True)
        with (here / name).open("wb") as made:
            made.truncate(size)

    return make


def checkout(here: Path) -> None:
    """conf/ as it is, and what its defaults name of data/, as a checkout of its own."""
    if not (here / "conf").exists():
        shutil.copytree(ROOT / "conf", here / "conf", ignore=shutil.ignore_patterns("local", "__pycache__"))
        (here / "data").mkdir(exist_ok=True)
        for name in ("models", "source"):
            (here / "data" / name).symlink_to(ROOT / "data" / name)


def conf(name: str, content: bytes | str) -> Make:
    """A file of conf/, in a checkout of its own."""
    return together(checkout, file(f"conf/{name}", content))


def edited(name: str, old: str, new: str) -> Make:
    """A file of conf/ with one text in it changed."""

    def make(here: Path) -> None:
        checkout(here)
        text = (here / "conf" / name).read_text("utf-8")
        assert old in text, f"conf/{name} does not hold {old!r}"
        (here / "conf" / name).write_text(text.replace(old, new), "utf-8")

    return make


def local(content: bytes | str) -> Make:
    return conf("local/default.yaml", content)


def experiment(content: bytes | str) -> Make:
    """conf/experiment/dance/x.yaml."""
    return conf("experiment/dance/x.yaml", content)


def deployment(content: bytes | str) -> Make:
    """conf/deployment/x.yaml."""
    return conf("deployment/x.yaml", content)


def scheduled(rule: str) -> Make:
    """A deployment with one schedule."""
    return deployment(f"{DEPLOYMENT}schedules:\n  - {rule}\n")


def nested(depth: int) -> str:
    """YAML lists within lists."""
    return f"clip: {'[' * depth}{']' * depth}\n"


ALIASES = f"a: &a [{', '.join('x' * 100)}]\nclip: [{', '.join(['*a'] * 110)}]\n"
"""A hundred values, a hundred and ten times: over the limit, and harmless were it read."""


def png(name: str, width: int, height: int) -> Make:
    """The head of a PNG file of that size (px), with no picture behind it."""

    def make(here: Path) -> None:
        def chunk(kind: bytes, data: bytes) -> bytes:
            return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

        head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
        data = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")
        file(name, data)(here)

    return make


def picture(name: str, size: tuple[int, int] = (64, 64), frames: int = 1) -> Make:
    """A real picture, or an animated GIF."""

    def make(here: Path) -> None:
        from PIL import Image

        (here / name).parent.mkdir(parents=True, exist_ok=True)
        pictures = [Image.new("RGB", size, (10 * number, 80, 120)) for number in range(frames)]
        if frames == 1:
            pictures[0].save(here / name)
        else:
            pictures[0].save(here / name, save_all=True, append_images=pictures[1:])

    return make


def part_of_sample(name: str, share: float) -> Make:
    """The beginning of the sample clip."""

    def make(here: Path) -> None:
        data = (ROOT / "data/source/sample.mp4").read_bytes()
        file(name, data[: int(len(data) * share)])(here)

    return make


def safetensors(name: str, tensors: Mapping[str, tuple[int, ...]], header: Mapping[str, Any] | None = None) -> Make:
    """A file of float32 zeros by name and shape, or one with a header of its own."""

    def make(here: Path) -> None:
        described: dict[str, Any] = {}
        at = 0
        for tensor, shape in tensors.items():
            size = 4
            for side in shape:
                size *= side
            described[tensor] = {"dtype": "F32", "shape": list(shape), "data_offsets": [at, at + size]}
            at += size
        head = json.dumps(described if header is None else header).encode()
        file(name, struct.pack("<Q", len(head)) + head + bytes(at))(here)

    return make


def store(here: Path) -> Store:
    """The store that the command finds."""
    return Store(here / "store")


def empty_store(here: Path) -> None:
    store(here)


def renders(here: Path) -> None:
    """Two finished renders."""
    found = store(here)
    for number, weight in enumerate((0.4, 0.8)):
        frames = synthetic_renders.clip(found, 2, (64, 64), weight)
        synthetic_renders.record(
            found,
            number,
            synthetic_renders.settings(weight, 0.2),
            {"frames": frames},
            synthetic_renders.numbers(weight, 0.2),
            pictures={"frames": frames},
        )


def damaged_record(content: bytes) -> Make:
    """Two renders, and a third record with that content."""
    return together(renders, file("store/records/20260303-000000-abcdef.json", content))


def record_of(**changes: Any) -> Make:
    """A record whose fields are changed and whose checksum fits them."""

    def make(here: Path) -> None:
        renders(here)
        found = store(here)
        [first, *_] = sorted(path.stem for path in (found.root / "records").glob("*.json"))
        envelope = json.loads(record_path(found, first).read_bytes())
        data = envelope["record"] | changes
        envelope |= {"record": data, "sha256": sha256_bytes(canonical_json(data))}
        record_path(found, first).write_text(json.dumps(envelope), "utf-8")

    return make


def manifest_of(value: Any) -> Make:
    """A render whose clip has a manifest of another shape, filed under the digest of its bytes."""

    def make(here: Path) -> None:
        found = store(here)
        data = canonical_json(value)
        digest = sha256_bytes(data)
        file(f"store/objects/{digest[:2]}/{digest}/manifest.json", data)(here)
        synthetic_renders.record(found, 0, synthetic_renders.settings(0.4, 0.2), {"frames": digest}, {},
                                 pictures={"frames": digest})  # fmt: skip

    return make


def sweep_manifest(content: bytes | str) -> Make:
    return together(empty_store, file("store/sweeps/dance-0badc0de/manifest.json", content))


def search_file(content: bytes | str) -> Make:
    return together(empty_store, file("store/searches/mine/search.json", content))
