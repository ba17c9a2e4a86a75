"""An imported draft against its flow: what the flow's settings refuse is taken back and told, nothing is rendered."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from flows import flow
from flows.config.compose import plain_settings
from flows.config.root import Root
from reel.config import parse
from reel.errors import UserError
from reel.imports.draft import ASK, Draft

STAND_IN = "asked/for.safetensors"
"""What stands for what is asked for while the rest is checked: a file, a hub id and a path alike."""


def agreed(draft: Draft) -> Draft:
    """The draft, without what its flow refuses: each of that is not mapped, for the reason that the flow gives.

    Raises:
        UserError: the flow refuses it whatever is taken back.
    """
    root: Root[Any] = Root(draft.flow, lambda: flow.get(draft.flow).settings)
    base = plain_settings(root, list(_picks(draft)))
    for _ in range(len(draft.values) + 1):
        refused = _refused(root, base, draft)
        if refused is None:
            draft.complete()
            return draft
        keys = _meant(refused, draft) or _single(root, base, draft, refused)
        if not keys:
            break
        why = f"the flow refuses it: {_said(refused)}"
        for key in keys:
            draft.drop(key, why)
    assert refused is not None
    raise UserError(f"{draft.source.name}: {draft.flow} refuses its settings: {_said(refused)}", fix="--flow NAME")


def _said(refused: UserError) -> str:
    line = refused.message.partition("\n")[0].partition(" (got ")[0]
    return line if len(line) <= 160 else f"{line[:156]}..."


def _picks(draft: Draft) -> Iterator[str]:
    """Choices of files as overrides; of what is asked for, the flow's own."""
    for group, choice in draft.choices.items():
        if choice != ASK:
            yield f"{group}=[{','.join(choice)}]" if isinstance(choice, list) else f"{group}={choice}"


def _refused(root: Root[Any], base: Mapping[str, Any], draft: Draft) -> UserError | None:
    try:
        parse(root.cls, merged(base, _given(draft.nested())))
    except UserError as error:
        return error
    return None


def _given(value: Any) -> Any:
    """Plain data in which something stands for what is asked for."""
    if isinstance(value, Mapping):
        return {name: _given(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_given(item) for item in value]
    return STAND_IN if value == ASK and isinstance(value, str) else value


def merged(base: Any, over: Any) -> Any:
    """Groups in groups put over others, as Hydra does it with files."""
    if not isinstance(base, Mapping) or not isinstance(over, Mapping):
        return over
    return {**base, **{name: merged(base.get(name), item) for name, item in over.items()}}


def _meant(refused: UserError, draft: Draft) -> list[str]:
    """Settings of the draft that the lines of a refusal begin with; where none is, those beside them in their group."""
    found: list[str] = []
    for line in refused.message.split("\n"):
        match = re.match(r"(?:unknown key ')?([\w.]+)", line)
        head = match[1].rstrip(".") if match else ""
        exact = [key for key in draft.values if head == key or head.startswith(f"{key}.")]
        while head and not exact and head.count(".") > 1:
            head = head.rpartition(".")[0]
            exact = [key for key in draft.values if key.startswith(f"{head}.")]
        found += exact
    return list(dict.fromkeys(found))


def _single(root: Root[Any], base: Mapping[str, Any], draft: Draft, refused: UserError) -> list[str]:
    """The one setting without which less is refused, of the group that is named first; all where there is no such."""
    told = set(refused.message.split("\n"))
    heads = {line.partition(":")[0] for line in told}
    named = [key for key in draft.values if any(key.startswith(f"{head}.") for head in heads)]
    for key in [*reversed(named), *(key for key in reversed(draft.values) if key not in named)]:
        now = _refused(root, base, _without(draft, key))
        if now is None or set(now.message.split("\n")) < told:
            return [key]
    return list(draft.values)


def _without(draft: Draft, key: str) -> Draft:
    return replace(draft, values={name: value for name, value in draft.values.items() if name != key})
