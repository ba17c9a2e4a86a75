"""Text is literal: what a person types after ``prompt=`` or ``clip=`` reaches the run byte for byte.

Hydra's override grammar and OmegaConf's interpolations would eat it: commas make a sweep, brackets an error, ``1984``
an int, ``null`` nothing, and ``${oc.env:HOME}`` a folder. So the value of every key that a settings class declares as
text (`reel.config.Text`, `pathlib.Path`) is quoted before Hydra sees it. Three forms are not literal, and a leading
backslash takes the meaning away from each of them:

``prompt=@file.txt``       the file's text, without its last line break (text keys only: a file may be called ``@x``)
``prompt=choice(a, b)``    an axis of a sweep; its items are literal in turn
``mask=``                  no path at all, where the key may be empty
"""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flows.config.overrides import quoted
from reel.errors import UserError
from reel.nested import mapped
from reel.reading import read_small
from reel.values import MOST_CHARACTERS, check_text, local_path, shortened

if TYPE_CHECKING:
    from reel.config import Config

_MARK = "\ue000"
"""Stands before a text that OmegaConf would take for "missing" (``???``); a private-use character nobody types."""

_ESCAPED = re.compile(r"\\+(@|choice\()")


@dataclass(frozen=True)
class TextKey:
    """A key whose value is literal. ``*`` in the path stands for any name (an entry of a mapping or a list)."""

    path: tuple[str, ...]
    is_path: bool
    optional: bool
    is_schedule: bool = False
    """``@file`` is read where the schedule is, since its name says how to read it."""
    also: str = ""
    """A group that this key stands for where it is given one value (`reel.config.also`)."""

    @property
    def name(self) -> str:
        return ".".join(self.path)

    def matches(self, key: str) -> bool:
        parts = key.split(".")
        return len(parts) == len(self.path) and all(
            mine in ("*", part) for mine, part in zip(self.path, parts, strict=True)
        )


@functools.cache
def text_keys(cls: type[Config]) -> list[TextKey]:
    """All literal keys of a settings class, nested ones included."""
    from reel.config import INDEX, SCHEDULE, TEXT, Also, arms, leaves

    found: dict[TextKey, None] = {}
    for leaf in leaves(cls):
        types = list(arms(leaf.annotation))
        is_path = any(isinstance(one, type) and issubclass(one, Path) for one in types)
        if INDEX not in leaf.path and (is_path or TEXT in leaf.markers):
            optional = type(None) in types
            group = next((one.key for one in leaf.field.metadata if isinstance(one, Also)), "")
            plain = is_path and TEXT not in leaf.markers
            found[TextKey(leaf.path, plain, optional, SCHEDULE in leaf.markers, group)] = None
    return list(found)


def literal_overrides(overrides: Sequence[str], keys: Sequence[TextKey], *, multirun: bool) -> list[str]:
    """Command-line overrides with every literal value quoted for Hydra; the others are passed as they are.

    Raises:
        UserError: ``@file`` cannot be read, ``choice(`` without ``-m`` or not closed, bytes that are no UTF-8, or a
            text or path that none can be.
    """
    return [_one(override, keys, multirun) for override in overrides]


def _one(override: str, keys: Sequence[TextKey], multirun: bool) -> str:
    head, equals, value = override.partition("=")
    name = head.lstrip("+")
    key = next((key for key in keys if key.matches(name)), None)
    if key is None and equals and not value.startswith("{"):
        key = next((key for key in keys if key.also == name), None)
        if key is not None:  # shots=story.yaml is file=story.yaml
            name, head = key.name, f"{head.removesuffix(name)}{key.name}"
    if key is None or not equals:
        return override
    if value.startswith("choice("):
        if not multirun:
            raise UserError(
                f"{name}=choice(...) is an axis of a sweep, and this is a single run",
                fix=f"add -m; or write {name}=\\choice(... if you mean these very characters",
            )
        items = [literal(name, item, key, raw=raw) for item, raw in split_choice(name, value)]
        return f"{head}={','.join(items)}"  # not choice(...): Hydra takes the quotes off its arguments too early
    return f"{head}={literal(name, value, key)}"


def literal(name: str, value: str, key: TextKey, *, raw: bool = False) -> str:
    """One value, quoted so that Hydra and OmegaConf give it back unchanged.

    Args:
        raw: take every character as it is, ``@`` and backslashes too.
    """
    if key.is_path and key.optional and not value and not raw:
        return "null"
    if not raw:
        if value.startswith("@") and not key.is_path and not key.is_schedule:
            value = _read(name, value[1:])
        elif _ESCAPED.match(value):
            value = value[1:]
    _check(name, value, key)
    return hydra_quoted(value)


def typed(value: str) -> str:
    """A literal value as it is typed, so that `literal` gives back these very characters."""
    return f"\\{value}" if re.match(r"\\*(@|choice\()", value) else value


def _check(name: str, value: str, key: TextKey) -> None:
    """Refuse what no text and no path can be, before all that reads it; schedules have limits of their own."""
    try:
        value.encode()
        if key.is_path and value:
            local_path(value)
        elif not key.is_schedule:
            check_text(value)
    except UnicodeEncodeError as error:
        raise UserError(
            f"{name}: character {error.start + 1} is not valid UTF-8 ({value[:40]!a})",
            fix="rename the file, or set the terminal to UTF-8",
        ) from None
    except ValueError as error:
        raise UserError(f"{name}: {error}") from None


def hydra_quoted(text: str) -> str:
    """A text as a quoted element of Hydra's override grammar that survives OmegaConf's interpolation, too."""
    if text == "???" or text.startswith(_MARK):
        text = _MARK + text
    # OmegaConf: n backslashes before ${ are written as 2n, and one more takes the meaning away from ${ itself.
    return quoted(re.sub(r"(?<!\\)(\\*)\$\{", lambda match: match[1] * 2 + "\\${", text))


def unmarked(data: Any, keys: Sequence[TextKey]) -> Any:
    """Composed data with the private mark taken off literal values again."""

    def plain(path: tuple[str, ...], value: Any) -> Any:
        marked = isinstance(value, str) and value.startswith(_MARK) and any(key.matches(".".join(path)) for key in keys)
        return value[1:] if marked else value

    return mapped(data, plain)


def _read(name: str, file: str) -> str:
    """The text of a prompt's file, without its last line break."""
    fix = f"give the path of a text file, or write {name}=\\@... for a text that begins with @"
    try:
        text = read_small(local_path(file), 4 * MOST_CHARACTERS).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(f"{name}=@{file}: not UTF-8 at byte {error.start}", fix="save the file as UTF-8") from None
    except FileNotFoundError:
        raise UserError(f"{name}=@{file}: cannot read the file (no such file or directory)", fix=fix) from None
    except ValueError as error:
        raise UserError(f"{name}=@{shortened(file)}: {error}", fix=fix) from None
    return re.sub(r"\r?\n\Z", "", text)


def split_choice(name: str, value: str) -> list[tuple[str, bool]]:
    """Items of ``choice(a, "b, c", (d:1.2, e))`` and whether each was quoted.

    Commas inside brackets or quotes do not split; a quoted item is taken without its quotes, ``\\"`` inside it being a
    quote and ``\\\\`` a backslash.

    Raises:
        UserError: the parenthesis or a quote is not closed, or there is no item.
    """
    items, rest = [], value.removeprefix("choice(")
    while True:
        item, raw, rest = _next_item(name, rest.lstrip())
        items.append((item, raw))
        if rest.startswith(","):
            rest = rest[1:]
            continue
        if rest.strip() == ")":
            break
        raise UserError(
            f"{name}=choice(...): found {rest[:20]!r} where ',' or the last ')' was expected",
            fix=f"put items that hold quotes or odd brackets into files: {name}=choice(@a.txt, @b.txt)",
        )
    if any(not item and not raw for item, raw in items):
        raise UserError(f"{name}=choice(...): an empty item", fix="drop the comma, or write '' for an empty text")
    return items


def _next_item(name: str, text: str) -> tuple[str, bool, str]:
    if text[:1] in ("'", '"'):
        quote = text[0]
        closed = re.match(rf"{quote}((?:\\.|[^\\{quote}])*){quote}\s*(?=[,)])", text, re.DOTALL)
        if closed:
            return re.sub(rf"\\([\\{quote}])", r"\1", closed[1]), True, text[closed.end() :]
    depth = 0
    for index, char in enumerate(text):
        if depth == 0 and char in ",)":
            return text[:index].rstrip(), False, text[index:]
        depth += (char in "([{") - (char in ")]}")
    raise UserError(
        f"{name}=choice(...): not closed; one ')' is missing at its end",
        fix=f"close it, or put the items into files: {name}=choice(@a.txt, @b.txt)",
    )
