"""Choices that belong together: a model is drawn by one renderer and not by another, which only a composition shows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from flows.config.engine import resolved
from flows.config.root import entries, group_of
from reel.errors import UserError

if TYPE_CHECKING:
    from flows.config.engine import Engine


def made_for_another(engine: Engine, group: str, rest: str, key: str, picked: Mapping[str, str]) -> UserError:
    """The error for a chosen file that lacks what another one starts from.

    Args:
        group, rest: whose file it is, and the key in it that it lacks.
        key: the setting that starts from it.
        picked: choices by group, as they were typed.
    """
    where = "another flow"
    fix = f"another {group}=NAME; rotoscope models says what each is for" if group == "model" else f"another {group}"
    if (helps := _companion(engine, group, picked)) is not None:
        where, fix = f"another {helps[0]}", f"{'='.join(helps)}, or {fix}"
    return UserError(f"{group}: the chosen one has no {rest}, which {key} starts from: it is made for {where}", fix=fix)


def _companion(engine: Engine, group: str, picked: Mapping[str, str]) -> tuple[str, str] | None:
    """Another group and a choice of it with which the chosen file does: ``renderer``, ``vace`` for a model of VACE.

    Groups are tried whose files choose one of ``group`` as well, for these are made for it. None: no choice helps.
    """
    for other in engine.defaults:
        choices = engine.options.get(other, ())
        if other == group or not any(_chooses(engine, other, choice, group) for choice in choices):
            continue
        for choice in choices:
            if choice != picked.get(other, engine.defaults[other]) and _goes(engine, {**picked, other: choice}):
                return other, choice
    return None


def _chooses(engine: Engine, group: str, choice: str, chosen: str) -> bool:
    """Whether a file of a group chooses one of another group."""
    return any(group_of(entry) == chosen for entry in entries(engine.root.folder / group / f"{choice}.yaml"))


def _goes(engine: Engine, picked: Mapping[str, str]) -> bool:
    """Whether choices compose to settings of the flow."""
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException

    from reel.config import parse

    try:
        parse(engine.root.cls, resolved(engine.composed([f"{group}={choice}" for group, choice in picked.items()])))
    except (HydraException, OmegaConfBaseException, UserError):
        return False
    return True
