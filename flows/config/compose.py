"""Composition: from a root config and overrides to checked, typed settings.

Everything is composed and checked before anything runs; under ``-m`` that means every point of the sweep. Of three ways
the first that can be taken is: the very same overrides were composed before (`flows.config.kept`), plain values are set
on what the same choices of files gave before, or Hydra composes. What went wrong is worked out in
`flows.config.diagnose`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

from flows.config import hydra_private
from flows.config.causes import cause, check_packages
from flows.config.diagnose import (
    admitted,
    checked,
    chosen,
    diagnose,
    is_composition,
    not_chosen,
    parse_overrides,
    read_overrides,
)
from flows.config.engine import Base, Engine, hydra_ready, note_variables, resolved
from flows.config.overrides import Override
from flows.config.quoting import literal_overrides, unmarked
from flows.config.root import Root
from flows.config.setting_places import Origins, placed
from reel.errors import UserError
from reel.nested import mapped
from reel.values import OPEN

if TYPE_CHECKING:
    from reel.config import Config

C = TypeVar("C", bound="Config")
T = TypeVar("T")


@dataclass(frozen=True)
class Composed(Generic[C]):
    """One point: its settings, and what gave them.

    Attributes:
        data: the composed config as plain data, as the YAML files and the overrides have it.
        origins: where each setting was written.
        choices: chosen file by config group.
        job_logging: logging configuration, for `logging.config.dictConfig`.
    """

    config: C
    data: Mapping[str, Any]
    overrides: Sequence[str]
    origins: Origins
    choices: Mapping[str, Any] = field(default_factory=dict)
    job_logging: dict[str, Any] = field(default_factory=dict)


class Given(NamedTuple):
    """What a composition gives, in plain data: literal texts marked, everything resolved.

    Attributes:
        job_logging: None where the settings alone were asked for.
    """

    data: dict[str, Any]
    overrides: list[str]
    choices: dict[str, Any]
    job_logging: dict[str, Any] | None


def settings(root: Root[C], overrides: Sequence[str] = (), *, literal: bool = True) -> Composed[C]:
    """Compose one point, as `single`.

    Args:
        overrides: as they are typed.
        literal: quote literal texts; False: they are as Hydra takes them.
    """
    with hydra_ready(root) as engine:
        taken = literal_overrides(overrides, engine.shape.texts, multirun=False) if literal else overrides
        return single(engine, taken, overrides)


def plain_settings(root: Root[Any], overrides: Sequence[str] = ()) -> dict[str, Any]:
    """Compose one point as plain data, held against no class.

    Raises:
        UserError: the files do not compose.
    """
    with hydra_ready(root) as engine:
        return plain_data(engine, overrides).data


def plain_data(engine: Engine, overrides: Sequence[str]) -> Given:
    """As `plain_settings`, inside `hydra_ready`, with the choices that were made."""
    return _given(engine, overrides, list(overrides), lambda: read_overrides(engine, overrides), logs=False)


def single(engine: Engine, overrides: Sequence[str], typed: Sequence[str] | None = None) -> Composed[Any]:
    """Check, compose and check again the one point that overrides name, inside `hydra_ready`.

    Args:
        overrides: with literal texts quoted (`flows.config.quoting.literal_overrides`).
        typed: the same as they were typed, for the places in messages.

    Raises:
        UserError: as `compose`, or several values for a key.
    """
    written = list(overrides if typed is None else typed)
    given = _given(
        engine, overrides, written, lambda: admitted(engine, checked(engine, overrides, multirun=False)), logs=True
    )
    return _typed(engine, given, written)


def compose(engine: Engine, overrides: Sequence[str]) -> Composed[Any]:
    """Compose and check one point of overrides that were checked, inside `hydra_ready`.

    Raises:
        UserError: an unknown key or group choice (with the nearest), a value of a wrong type or out of range.
    """
    parsed = parse_overrides(engine, overrides)
    try:
        given = _compose(engine, parsed, overrides, logs=True)
    except UserError as error:
        raise not_chosen(engine, parsed) or error from error.__cause__
    return _typed(engine, given, overrides)


def compose_points(
    engine: Engine, plan: Sequence[Sequence[str]], own: Sequence[str]
) -> Iterator[Composed[Any] | UserError]:
    """What `compose` gives or raises for every point of a sweep, with one composition a combination of groups.

    Args:
        own: overrides of Hydra's own part, the same for all points.
    """
    for point in plan:
        try:
            yield compose(engine, [*own, *point])
        except UserError as error:
            yield error


def with_values(engine: Engine, picks: Sequence[str], values: Sequence[Any]) -> Any:
    """The composed config, Hydra's own part included, inside `hydra_ready`.

    Args:
        picks: overrides that choose files of groups.
        values: parsed overrides that set values.
    """
    config = engine.composed(picks)
    hydra_private.apply_overrides(values, config)
    return config


def _given(
    engine: Engine, overrides: Sequence[str], written: Sequence[str], read: Callable[[], list[Any]], *, logs: bool
) -> Given:
    """One composition, kept for the next process that asks for the very same.

    Args:
        read: gives the overrides parsed, after whatever checks there are.
        logs: the logging configuration is needed, too.
    """
    key = ("point" if logs else "data", engine.root.name, *overrides)
    if known := engine.kept.get(*key):
        return Given(**known)
    parsed = read()
    given = _on_base(engine, parsed)
    if given is None or (logs and given.job_logging is None):
        given = _compose(engine, parsed, written, logs=logs)
        if logs and engine.base(_parted(engine, parsed)[0]).job_logging is None:
            return given
    if engine.keeps(overrides):
        engine.kept.put(given._asdict(), *key)
    return given


def _on_base(engine: Engine, parsed: Sequence[Any]) -> Given | None:
    """Plain values set on what choices of files give, without Hydra; None where that needs Hydra, or goes wrong."""
    if not all(isinstance(one, Override) for one in parsed):
        return None
    picks, values = _parted(engine, parsed)
    try:
        base = engine.base(picks)
        data = _set_on(base, values) if base.sealed else None
    except Exception as error:
        if not is_composition(error):
            raise
        return None
    lines = [one.input_line for one in parsed]
    return None if data is None else Given(data, lines, dict(base.choices), base.job_logging)


def _set_on(base: Base, values: Sequence[Override]) -> dict[str, Any]:
    from omegaconf import OmegaConf

    note_variables()
    config = OmegaConf.create(dict(base.data))
    OmegaConf.set_struct(config, True)
    for one in values:  # as `hydra_private.apply_overrides` does it
        OmegaConf.update(config, one.key_or_group, one.value(), merge=True, force_add=one.is_force_add())
    return resolved(config)


def _compose(engine: Engine, parsed: Sequence[Any], written: Sequence[str], *, logs: bool) -> Given:
    """Hydra's composition; its errors are turned into the user's."""
    from omegaconf import OmegaConf

    def read() -> Given:
        picks, values = _parted(engine, parsed)
        cfg = with_values(engine, picks, values)
        job_logging: Any = OmegaConf.to_container(cfg.hydra.job_logging, resolve=True) if logs else None
        choices: Any = OmegaConf.to_container(cfg.hydra.runtime.choices)
        return Given(resolved(cfg), [one.input_line for one in parsed], choices, job_logging)

    return diagnosed(engine, read, written)


def _parted(engine: Engine, parsed: Sequence[Any]) -> tuple[list[str], list[Any]]:
    """Overrides that choose files, as text, and those that set values."""
    groups = chosen(engine, parsed)
    return [one.input_line for one in groups], [one for one in parsed if one not in groups]


def _typed(engine: Engine, given: Given, written: Sequence[str]) -> Composed[Any]:
    from reel.config import parse

    root = engine.root
    data = unmarked(given.data, engine.shape.texts)
    origins = Origins(root, list(written), given.choices, data)
    check_packages(engine, origins)
    if (key := still_open(data)) is not None:
        typed = "" if re.search(r"\.\d+(\.|$)", key) else f"{key}=VALUE, or "
        told = UserError(f"{key}: to be given before anything runs", fix=f"{typed}write it in the place of {OPEN}")
        raise placed(told, origins)
    try:
        config = parse(root.cls, data)
    except UserError as error:
        raise cause(engine, origins, error) or placed(error, origins) from None
    return Composed(config, data, given.overrides, origins, given.choices, given.job_logging or {})


def still_open(data: Mapping[str, Any]) -> str | None:
    """The first key of plain data at which `reel.values.OPEN` stands; None where there is none."""
    found: list[str] = []

    def look(path: tuple[str, ...], value: Any) -> Any:
        if value == OPEN and isinstance(value, str):
            found.append(".".join(path))
        return value

    mapped(data, look)
    return found[0] if found else None


def diagnosed(engine: Engine, action: Callable[[], T], written: Sequence[str]) -> T:
    """What a composition gives; its errors are turned into the user's.

    Args:
        written: the overrides as a person wrote them.
    """
    try:
        return action()
    except Exception as error:
        if not is_composition(error):
            raise
        pairs = (text.lstrip("+").partition("=") for text in written)
        picked = {group: choice for group, _, choice in pairs if group in engine.options}
        raise placed(diagnose(engine, error, picked), Origins(engine.root, list(written), picked)) from error


def part(cfg: Any, name: str) -> dict[str, Any]:
    """A top-level part of a composed config as plain data; empty where it has none."""
    from omegaconf import OmegaConf

    node = cfg.get(name)
    data: Any = OmegaConf.to_container(node, resolve=True) if node is not None else {}
    return data or {}


def raw_texts(node: Any) -> list[str]:
    """Strings of a list node as they are, their escaped ``${`` not taken for interpolations."""
    from omegaconf import OmegaConf

    data: Any = OmegaConf.to_container(node, resolve=False)
    return [str(item) for item in data]


def plain(cfg: Any, root: Root[Any]) -> dict[str, Any]:
    """A composed config as plain data: without Hydra's own and the sweep's part, resolved, literal texts unmarked."""
    data: dict[str, Any] = unmarked(resolved(cfg), root.keys)
    return data
