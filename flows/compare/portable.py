"""A comparison without this machine's folders, since its page is made to be sent to others.

A file is shown by as much of its path's end as tells it from the others: ``sample.mp4``, or ``monday/take 1.mp4`` next
to ``tuesday/take 1.mp4``. That goes for settings, axes, reasons of failures and the filter that found the renders.
"""

from __future__ import annotations

import functools
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

from flows import flow
from reel.config import SCHEDULE, TEXT, Place, leaves
from reel.errors import UserError
from reel.history.comparison import Comparison, Point
from reel.models.source import ModelSource
from reel.nested import mapped

_PATH = re.compile(r"(?<![\w.)\]/:~-])/(?:[^\s/'\"<>|:;,()]+/)+([^\s/'\"<>|:;,()]*)")
"""An absolute path within a text: two names or more, so that neither ``red/blue`` nor ``t /2`` is one."""

Say = Callable[[str], str]


def portable(comparison: Comparison, folders: Iterable[Path]) -> Comparison:
    """The comparison with every absolute path in it shortened.

    Args:
        folders: this machine's, of which texts may speak; those of the renders' own settings count anyway.
    """
    records = [point.record for point in comparison.points if point.record]
    roots = {str(folder) for folder in (*folders, Path.home())}
    files: set[str] = set()
    for record in records:
        roots |= {text for _, text in _strings(record.config.get("paths", {}))}
        told = [*_strings(record.config), *_strings(record.result)]  # the result's part may say it in another way
        files |= {file for key, text in told for file in _files(text, _is_prose(record.flow, key))}
    shown = [part for axis in comparison.axes for value in axis.values for part in value.split(" & ")]
    said_of = [*shown, comparison.name, *(point.reason for point in comparison.points)]
    files |= {file for text in said_of for file in _files(text)}
    names = dict.fromkeys((f"{root}/" for root in roots if root.count("/") > 1), "") | short_names({*files, *shown})
    longest_first = sorted(names, key=len, reverse=True)

    def said(text: str) -> str:
        return functools.reduce(lambda text, path: text.replace(path, names[path]), longest_first, text)

    return replace(
        comparison,
        name=said(comparison.name),
        points=tuple(_point(point, said) for point in comparison.points),
        axes=tuple(replace(axis, values=tuple(map(said, axis.values))) for axis in comparison.axes),
    )


def short_names(texts: Iterable[str]) -> dict[str, str]:
    """For every absolute path among the texts the shortest end of it that no other path has, and no text is.

    >>> short_names(["/a/monday/x.mp4", "/a/tuesday/x.mp4", "/b/y.mp4", "/b/z.mp4", "z.mp4"])
    {'/a/monday/x.mp4': 'monday/x.mp4', '/a/tuesday/x.mp4': 'tuesday/x.mp4', '/b/y.mp4': 'y.mp4', '/b/z.mp4': 'b/z.mp4'}
    """
    ends: dict[str, list[str]] = {}
    taken: Counter[str] = Counter()
    for text in sorted(set(texts)):
        parts = PurePosixPath(text).parts[1:] if text.startswith("/") else ()
        if parts:
            ends[text] = ["/".join(parts[-count:]) for count in range(1, len(parts) + 1)]
        taken.update(ends.get(text, [text]))
    return {path: next((end for end in of_one if taken[end] == 1), of_one[-1]) for path, of_one in ends.items()}


def without_folders(text: str) -> str:
    """A text in which absolute paths are cut down to their last name."""
    return _PATH.sub(lambda found: found[1], text)


def _files(text: str, is_prose: bool = False) -> Iterator[str]:
    """Absolute paths that a text is, or speaks of."""
    if is_prose:
        return
    if text.startswith("/") and "\n" not in text:
        yield text
    else:
        yield from (found[0] for found in _PATH.finditer(text))


def _point(point: Point, said: Say) -> Point:
    def shown(path: tuple[str, ...], value: Any) -> Any:
        return said(value) if isinstance(value, str) else value

    record = point.record
    if record is not None:
        held = {"config": mapped(record.config, shown), "result": mapped(record.result, shown)}
        record = record.model_copy(update=held)
    values = {key: said(value) for key, value in point.values.items()}
    return replace(point, values=values, record=record, reason=said(point.reason))


def _strings(value: Any, key: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], str]]:
    """Every text of nested data with the path of names that leads to it."""
    if isinstance(value, str):
        yield key, value
    elif isinstance(value, Mapping):
        for name, item in value.items():
            yield from _strings(item, (*key, str(name)))
    elif isinstance(value, list | tuple):
        for number, item in enumerate(value):
            yield from _strings(item, (*key, str(number)))


def _is_prose(name: str, key: tuple[str, ...]) -> bool:
    """Whether a setting of a flow is a text for people, a prompt say: it may begin with a slash and is no path."""
    return any(place.matches(key) for place in _prose(name))


@functools.cache
def _prose(name: str) -> tuple[Place, ...]:
    try:
        found = leaves(flow.get(name).settings)
    except UserError:  # a flow of another version
        return ()
    files = ModelSource.model_fields["id"]  # a text that may name a file
    texts = (place for place in found if TEXT in place.markers and SCHEDULE not in place.markers)
    return tuple(place for place in texts if place.field is not files)
