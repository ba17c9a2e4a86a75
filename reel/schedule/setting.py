"""A schedule as a setting: a text in a schedule language, ``@file``, a mapping or list in YAML, or one number.

Settings classes import this module, and most renders have no schedule: what reads one is imported where one is read.
"""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BeforeValidator

from reel.config import SCHEDULE, TEXT, from_home

if TYPE_CHECKING:
    from reel.schedule.model import What
    from reel.schedule.read import Parsed

OFF = ("", "null", "none")
"""Texts that switch a schedule off again, on a command line after a file that has one."""


def as_text(value: Any) -> str | None:
    """One text for every way in which a schedule can be given, and None for none.

    Raises:
        UserError: ``@file`` that cannot be read.
        ValueError: a type that is no schedule.
    """
    if value is None or (isinstance(value, str) and value.strip().lower() in OFF):
        return None
    if isinstance(value, str):
        return _file(value) if value.startswith("@") else value
    if isinstance(value, Mapping):
        import yaml

        from reel.schedule.settings import NAMES_OF_SETTINGS

        data = dict(value) if {*NAMES_OF_SETTINGS, "keys"} & value.keys() else {"keys": dict(value)}
        return yaml.safe_dump(data, sort_keys=False, allow_unicode=True, width=10**9)
    if isinstance(value, (list, tuple)):
        return json.dumps(list(value), ensure_ascii=False)
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return f"{value!r}"
    raise ValueError("must be a schedule: a text such as '0: red top; 24: blue top', @file, or a mapping of keys")


def _file(where: str) -> str:
    """A file's text, to be read the same without the file's name: YAML of keys alone looks like web UI lines."""
    from reel.schedule.dialects.catalogue import detect
    from reel.schedule.read import load

    text, name = load(f"@{from_home(where[1:])}")
    if Path(name or "").suffix.lower() in (".yaml", ".yml") and detect(text)[0].name != "yaml":
        return "keys:\n" + textwrap.indent(text, "  ")
    return text


ScheduleText = Annotated[str | None, BeforeValidator(as_text), TEXT, SCHEDULE]
"""Type of a setting that holds a schedule; None: there is none."""


def parse_setting(text: str, what: What, name: str) -> Parsed:
    """Read a setting's text, as `reel.schedule.read.parse`; a lone formula is a value schedule with one key."""
    from reel.schedule.expressions import ExpressionError, parse_expression
    from reel.schedule.read import parse

    dialect = None
    if what == "value":
        try:
            parse_expression(text.strip())
            dialect = "short"
        except ExpressionError:
            pass
    return parse(text, dialect, what, name=name)


def listed(text: str, name: str) -> list[float] | None:
    """One value for each frame where the text is a list of numbers; None where it is none.

    Raises:
        ScheduleError: a list with something else in it, at its place.
    """
    if not text.lstrip().startswith("["):
        return None
    from reel.schedule.findings import Report, ScheduleError, Source

    found = list(re.finditer(r"[^\s,\[\]]+", text))
    values = []
    for match in found:
        try:
            values.append(float(match[0]))
        except ValueError:
            report = Report(Source(text, name))
            report.add("RS115", f"'{match[0][:40]}' is not a number", match.start(), match.end(), fix="[0.2, 0.4, 0.6]")
            raise ScheduleError(report.findings, name) from None
    return values
