"""A draft as a file of conf/experiment/: YAML for people, with what is asked for marked where it stands."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import PurePath
from typing import Any

from reel.errors import UserError
from reel.imports.draft import ASK, Draft

MOST = 900_000
"""Bytes of an experiment; files of conf/ have a million at most."""
HYDRAS = "???"
"""What Hydra refuses in the place of a file's name."""
_PLAIN_KEY = re.compile(r"[A-Za-z_][\w.-]*")


def experiment(draft: Draft, name: str) -> str:
    """The file's text.

    Args:
        name: of the experiment, ``text2video/walk``.

    Raises:
        UserError: it would be larger than files of conf/ are.
    """
    file = PurePath(draft.source.name).name
    rows = [
        "# @package _global_",
        f"# Imported from {file} ({draft.format}); rotoscope import says what of it is here.",
    ]
    if draft.asked:
        rows.append(f"# To be given before it runs: {', '.join(draft.asked)}")
    if draft.choices:
        rows.append("defaults:")
        for group, choice in draft.choices.items():
            value = f"[{', '.join(choice)}]" if isinstance(choice, list) else HYDRAS if choice == ASK else choice
            rows.append(f"  - override /{group}: {value}{_comment(draft, group)}")
        rows.append("")
    rows += _group(draft.nested(), "", "", draft)
    text = "\n".join(rows) + "\n"
    if (size := len(text.encode())) > MOST:
        raise UserError(f"{name}: the experiment would have {size} bytes, at most {MOST} are read", fix="fewer keys")
    return text


def _group(values: Mapping[str, Any], indent: str, at: str, draft: Draft) -> Iterator[str]:
    for key, value in values.items():
        place = f"{at}.{key}" if at else key
        name = key if isinstance(key, str) and _PLAIN_KEY.fullmatch(key) and key not in _WORDS else _scalar(key)
        yield from _value(f"{indent}{name}:", value, indent, place, draft)


_WORDS = (
    "true",
    "false",
    "null",
    "yes",
    "no",
    "on",
    "off",
    "y",
    "n",
    "True",
    "False",
    "None",
    "Yes",
    "No",
    "On",
    "Off",
)


def _value(start: str, value: Any, indent: str, place: str, draft: Draft) -> Iterator[str]:
    if isinstance(value, Mapping) and value:
        yield start
        yield from _group(value, f"{indent}  ", place, draft)
    elif isinstance(value, list) and any(isinstance(one, Mapping) for one in value):
        yield start
        for number, one in enumerate(value):
            inner = list(_group(one, f"{indent}    ", f"{place}[{number}]", draft))
            inner[0] = f"{indent}  - {inner[0].strip()}"
            yield from inner
    else:
        yield f"{start} {_scalar(value)}{_comment(draft, place)}"


def _comment(draft: Draft, key: str) -> str:
    why = draft.asked.get(key) or draft.implied.get(key)
    if not why:
        return ""
    words = re.sub(r"\s+", " ", why)
    return f"  # {words if len(words) <= 160 else f'{words[:156]}...'}"


def _scalar(value: Any) -> str:
    """A value on one line; a text is a text for YAML and for OmegaConf alike."""
    import yaml

    if value == ASK and isinstance(value, str):
        return ASK
    text = yaml.safe_dump(literal(value), default_flow_style=True, allow_unicode=True, width=10**9)
    return text.removesuffix("\n").removesuffix("...").rstrip("\n")


def literal(value: Any) -> Any:
    """Plain data whose texts OmegaConf leaves alone: ``${`` begins nothing there."""
    if isinstance(value, Mapping):
        return {name: literal(item) for name, item in value.items()}
    if isinstance(value, list):
        return [literal(item) for item in value]
    if isinstance(value, str) and "${" in value:
        return re.sub(r"(\\*)\$\{", lambda match: match[1] * 2 + r"\${", value)
    return value
