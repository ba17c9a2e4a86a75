"""What of a settings class the command line has to know: which keys there are, and whose values are literal text.

It is plain data, kept between processes, so that a mistyped key is told without importing the class.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from flows.config.quoting import TextKey, text_keys

if TYPE_CHECKING:
    from reel.config import Config

ANYTHING = "**"
"""Last part of a path under which anything may stand."""


@dataclass(frozen=True)
class Shape:
    """Keys of a settings class.

    Attributes:
        texts: those whose values are literal.
        leaves: paths of those that hold a value; ``*`` stands for any name, `ANYTHING` for anything.
    """

    texts: Sequence[TextKey]
    leaves: Sequence[Sequence[str]]

    def has(self, key: str) -> bool:
        """Whether a dotted key can be set: a value, or something that further keys stand under."""
        path = key.split(".")
        return any(_leads(path, leaf) for leaf in self.leaves)

    def plain(self) -> dict[str, Any]:
        """As data for JSON, see `of_plain`."""
        texts = [[list(one.path), one.is_path, one.optional, one.is_schedule, one.also] for one in self.texts]
        return {"texts": texts, "leaves": [list(leaf) for leaf in self.leaves]}

    @staticmethod
    def of_plain(data: Mapping[str, Any]) -> Shape:
        return Shape([TextKey(tuple(path), *rest) for path, *rest in data["texts"]], data["leaves"])


def _leads(path: Sequence[str], leaf: Sequence[str]) -> bool:
    if leaf[-1] == ANYTHING:
        path, leaf = path[: len(leaf) - 1], leaf[:-1]
    return len(path) <= len(leaf) and all(mine in ("*", part) for part, mine in zip(path, leaf, strict=False))


@functools.cache
def shape(cls: type[Config]) -> Shape:
    """The keys of a settings class. A list is one value, whatever it holds."""
    from reel.config import INDEX, arms, leaves

    found: dict[tuple[str, ...], None] = {}
    for leaf in leaves(cls):
        path = leaf.path[: leaf.path.index(INDEX)] if INDEX in leaf.path else leaf.path
        found[(*path, ANYTHING) if Any in arms(leaf.annotation) and path == leaf.path else path] = None
    return Shape(text_keys(cls), list(found))
