"""Why settings do not fit their class, where the reason stands in a file of conf/: a first line that is missing, a
choice that was not made. The settings alone would tell of keys that nobody wrote.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from flows.config.setting_places import package_of
from reel.errors import UserError, suggest
from reel.nested import at

if TYPE_CHECKING:
    from pathlib import Path

    from flows.config.engine import Engine
    from flows.config.setting_places import Origins


def check_packages(engine: Engine, origins: Origins) -> None:
    """Files of settings for the whole must say so, or they stand in a group of their own.

    Raises:
        UserError: one that does not; some classes pass over keys that they do not know, so this comes first.
    """
    for group in origins.choices:
        if (head := group.partition("/")[0]) in origins.data and not engine.shape.has(head):
            raise without_package(origins.chosen(group), head)


def without_package(path: Path | str, package: str) -> UserError:
    """What a file without its first line is told."""
    return UserError(
        f"{path}: its settings stand under {package!r}, where nothing reads them: its first line does not say that "
        "they are meant for the whole",
        fix="begin the file with this line, as it is: # @package _global_",
    )


def cause(engine: Engine, origins: Origins, error: UserError) -> UserError | None:
    """The error to show instead of one about settings that do not fit; None: that one says it."""
    for group in origins.choices:
        path = origins.chosen(group)
        package = package_of(path, group).partition(".")[0]
        if package and f"unknown key '{package}'" in error.message:
            return without_package(path, package)
    for match in re.finditer(r"^(\S+)\.\w+: a value is needed", error.message, re.MULTILINE):
        if told := _half_set(engine, origins, match[1]):
            return told
    return None


def _half_set(engine: Engine, origins: Origins, key: str) -> UserError | None:
    """A group of keys of which a few are set, and whose file, which sets the others, is not chosen."""
    files = dict(_choices_by_package(engine))
    if key.rpartition(".")[0] not in {package.rpartition(".")[0] for package in files}:
        return None
    written = next(iter(at(origins.data, key) or {}), None)
    origin = origins.find(f"{key}.{written}")
    where = f"\n{origin.shown(key=True)}" if origin is not None else ""
    if key in files:
        group, choice = files[key]
        return UserError(
            f"'{key}' is set, and {choice!r} is a choice of {group} that is not chosen{where}",
            fix=f"choose it, too: {group}=[...,{choice}]; or leave its keys out",
        )
    if near := suggest(key, files):
        return UserError(f"unknown key '{key}'{near}{where}", fix="one of your own needs all keys that the others have")
    return None


def _choices_by_package(engine: Engine) -> Iterator[tuple[str, tuple[str, str]]]:
    """The key under which each file of a group stands of which several can be chosen, with group and name."""
    for group, chosen in engine.defaults.items():
        for name in engine.options.get(group, ()) if isinstance(chosen, list) else ():
            path = engine.root.folder / group / f"{name}.yaml"
            yield package_of(path, group), (group, name)
