"""An experiment in the making: its settings, where each comes from, and what is asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from reel.imports import file as files
from reel.imports.found import Entry, Fact, Leaf, Path_, Source
from reel.values import OPEN

ASK = OPEN
"""What every flow refuses until it is given: nothing is guessed in its place."""


OWN_CHECKPOINT = "civitai"
"""The family whose checkpoint is a file of the user's own."""
_ORDER = (
    *("name", "clip", "picture", "strength", "last", "last_strength", "pictures", "prompt", "prompt_schedule"),
    *(
        "negative_prompt",
        "seed",
        "strength_schedule",
        "guidance_schedule",
        "frames",
        "fps",
        "width",
        "height",
        "extract",
    ),
    *("model", "stylize", "animate", "controls", "preprocess", "assemble"),
)


class Refused(ValueError):
    """A value that no setting takes; the message says why."""


def text(value: Any) -> tuple[Any, str]:
    """A text, a number or a switch as text."""
    if isinstance(value, bool):
        return str(value).lower(), ""
    if isinstance(value, str):
        return value, ""
    if isinstance(value, int | float):
        return f"{value:g}" if isinstance(value, float) else str(value), ""
    raise Refused(f"must be a text, got {_shown(value)}")


def number(value: Any) -> tuple[Any, str]:
    """A finite number."""
    found = files.number(value)
    if found is None:
        raise Refused(f"must be a number, got {_shown(value)}")
    return (int(found) if found.is_integer() and abs(found) < 2**53 else found), ""


def whole(value: Any) -> tuple[Any, str]:
    """A whole number."""
    found = number(value)[0]
    if isinstance(found, float):
        raise Refused(f"must be a whole number, got {_shown(value)}")
    return found, ""


def seed(value: Any, bits: int = 63) -> tuple[Any, str]:
    """A seed; those of AnimateDiff and of film models count to 2**63 here."""
    if isinstance(value, str) and value.strip().lstrip("-").isdecimal() and len(value) < 25:
        value = int(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise Refused(f"must be a whole number, got {_shown(value)}")
    if value < 0:
        raise Refused("it stands for another seed each time; here every render has its seed")
    if value >= 2**bits:
        raise Refused(f"seeds are below 2**{bits} here")
    return value, ""


def flag(value: Any) -> tuple[Any, str]:
    """On or off, also as a word."""
    if isinstance(value, bool):
        return value, ""
    word = str(value).strip().lower()
    if word in ("true", "false", "enable", "disable", "on", "off"):
        return word in ("true", "enable", "on"), ""
    raise Refused(f"must be true or false, got {_shown(value)}")


def side(unit: int) -> Callable[[Any], tuple[Any, str]]:
    """A side of a frame, px; what is over a multiple of the unit is cut off, as latents cut it off everywhere."""

    def read(value: Any) -> tuple[Any, str]:
        found = whole(value)[0]
        near = found // unit * unit
        if near < unit:
            raise Refused(f"must be {unit} px or more, got {_shown(value)}")
        return near, "" if near == found else f"{near} px: a side is a multiple of {unit}, and the rest is cut off"

    return read


def _shown(value: Any, most: int = 40) -> str:
    shown = repr(value)
    return shown if len(shown) <= most else f"{shown[: most - 4]}..."


@dataclass
class Draft:
    """Settings of a flow.

    Attributes:
        known: what became of each leaf, by its path.
        notes: what else is good to know.
        choices: files of groups: ``{"model": "civitai", "control": ["pose"]}``.
        values: settings by dotted key; `ASK` for what is asked for.
        asked: why, by key.
        implied: keys that no leaf gives, with the reason.
        renderer: of the flow; empty: its own.
    """

    flow: str
    format: str
    source: Source
    known: dict[Path_, Entry] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    choices: dict[str, Any] = field(default_factory=dict)
    values: dict[str, Any] = field(default_factory=dict)
    asked: dict[str, str] = field(default_factory=dict)
    implied: dict[str, str] = field(default_factory=dict)
    renderer: str = ""

    @property
    def takes(self) -> str:
        """Whose settings it has, as the tables name them: a flow, or a renderer of one."""
        return self.renderer or self.flow

    @property
    def called(self) -> str:
        """The same for messages."""
        return f"{self.flow} renderer={self.renderer}" if self.renderer else self.flow

    def put(self, key: str, value: Any, fact: Fact, how: str = "") -> None:
        """A setting that a fact gives."""
        self.values[key] = value
        self.note_key(key, fact, how)

    def note_key(self, key: str, fact: Fact, how: str = "") -> None:
        """That a fact is in a setting."""
        said = "; ".join(dict.fromkeys(filter(None, [fact.how, how])))
        for leaf in fact.leaves:
            self._enter(leaf, Entry(leaf, "approximated" if said else "mapped", (key,), said))

    def _enter(self, leaf: Leaf, entry: Entry) -> None:
        """One entry a leaf: what is in two settings has two keys, and is as exact as the less exact of them."""
        one = self.known.get(leaf.path)
        if one is None or (one.fate == "not mapped" and not one.keys):
            self.known[leaf.path] = entry
        elif entry.fate != "not mapped":
            fate = one.fate if one.fate != "mapped" else entry.fate
            how = "; ".join(dict.fromkeys(filter(None, [one.how, entry.how])))
            self.known[leaf.path] = Entry(leaf, fate, tuple(dict.fromkeys([*one.keys, *entry.keys])), how)

    def read(self, key: str, how_read: Callable[[Any], tuple[Any, str]], fact: Fact) -> None:
        """A setting whose value is read; not mapped where it is none, or another fact has given the setting."""
        try:
            value, how = how_read(fact.value)
        except Refused as error:
            return self.left(fact, str(error))
        if key in self.values and key not in self.implied:
            same = self.values[key] == value
            if not same:
                return self.left(fact, f"{key} is {_shown(self.values[key])} already")
        return self.put(key, value, fact, how)

    def left(self, fact: Fact, why: str) -> None:
        for leaf in fact.leaves:
            self._enter(leaf, Entry(leaf, "not mapped", (), why))

    def imply(self, key: str, value: Any, why: str) -> None:
        self.values[key] = value
        self.implied[key] = why

    def ask(self, key: str, fact: Fact | None, what: str) -> None:
        """Leave a setting open, until a person gives it."""
        self.values[key] = ASK
        self.ask_in(key, fact, what)

    def ask_in(self, key: str, fact: Fact | None, what: str) -> None:
        named = f"{what}; the file says {_shown(fact.value, 90)}" if fact is not None else what
        self.asked[key] = named
        for leaf in fact.leaves if fact is not None else ():
            self._enter(leaf, Entry(leaf, "not mapped", (key,), f"asked for: {what}"))

    def file(self, key: str, fact: Fact, what: str) -> None:
        """A file or folder of this machine that a fact names; asked for where there is none."""
        self.values[key] = self.file_in(key, fact, what)

    def file_in(self, key: str, fact: Fact, what: str) -> str:
        """As `file`, for a key inside a list: the path, or `ASK`."""
        found = here(fact.value, self.source.folder)
        if found is None:
            self.ask_in(key, fact, what)
            return ASK
        self.note_key(key, fact)
        return str(found)

    def embedding(self, name: str, place: str) -> None:
        """A textual inversion that a prompt uses."""
        key = f"stylize.embeddings.{name}"
        if f"{key}.id" not in self.values and "." not in name:
            self.values[f"{key}.kind"] = "file"
            self.ask(f"{key}.id", None, f"the file of embedding:{name}, which {place or 'a prompt'} uses")

    def drop(self, key: str, why: str) -> None:
        """Take a setting back that the flow refuses: what gave it is not mapped."""
        self.values.pop(key, None)
        self.implied.pop(key, None)
        for asked in [one for one in self.asked if one == key or one.startswith((f"{key}.", f"{key}["))]:
            del self.asked[asked]
        for path, entry in self.known.items():
            kept = tuple(one for one in entry.keys if one != key and not one.startswith((f"{key}.", f"{key}[")))
            if kept == entry.keys:
                continue
            self.known[path] = replace(entry, keys=kept) if kept else Entry(entry.leaf, "not mapped", (), why)

    def complete(self) -> None:
        """Ask for what a flow cannot do without: what conf/ has in its place is a sample, and nobody's own."""
        if not {"prompt", "prompt_schedule"} & self.values.keys():
            self.ask("prompt", None, "what the film shows")
        if self.flow == "dance" and "clip" not in self.values:
            self.ask("clip", None, "the source: a video or a folder of pictures")
        if self.flow == "animate" and not {"picture", "last", "pictures"} & self.values.keys():
            self.ask("picture", None, "the film's first frame: the file makes its film from words alone")
        if self.flow == "animate" and "negative_prompt" not in self.values:
            self.imply("negative_prompt", "", "the file has none")
        if self.choices.get("model") == OWN_CHECKPOINT and "model.base.id" not in self.values:
            self.ask("model.base.id", None, "the SD 1.5 checkpoint, a .safetensors file")

    def of(self, fate: str) -> list[Entry]:
        return [entry for entry in self.known.values() if entry.fate == fate]

    def nested(self) -> dict[str, Any]:
        """The settings as groups in groups, in the order in which conf/ has them."""
        made: dict[str, Any] = {}
        at = {name: number for number, name in enumerate(_ORDER)}
        for key, value in sorted(self.values.items(), key=lambda one: at.get(one[0].partition(".")[0], len(at))):
            *parents, last = key.split(".")
            place = made
            for name in parents:
                place = place.setdefault(name, {})
            place[last] = value
        return made


def here(value: Any, folder: Path) -> Path | None:
    """A file or folder that is there: by itself, or from the folder of the file that names it."""
    if not isinstance(value, str) or not value.strip() or len(value) > 1000 or "\0" in value or "://" in value:
        return None
    path = Path(value.strip().strip('"'))
    for one in _places(path, folder):
        try:
            if one.exists():
                return one
        except OSError:
            continue
    return None


def _places(path: Path, folder: Path) -> Sequence[Path] | Iterable[Path]:
    if path.is_absolute():
        return [path]
    return [(folder / path).absolute()]
