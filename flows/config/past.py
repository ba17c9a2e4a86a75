"""Settings of a past render as overrides: what differs from what the same choices of files give today.

So a past render is taken up by the way that every command goes: what is said beside it wins, a group that is chosen
anew brings the values of its file, sweeps have it as their ground, and each setting is checked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from flows.config.compose import plain_data
from flows.config.diagnose import chosen, read_overrides
from flows.config.quoting import hydra_quoted, typed
from flows.config.setting_places import package_of
from flows.config.shape import ANYTHING
from reel.canonical import canonical
from reel.config import counts, place
from reel.files import here
from reel.nested import at, flat
from reel.values import shortened

if TYPE_CHECKING:
    from flows.config.engine import Engine


@dataclass(frozen=True)
class Past:
    """Settings of a past render.

    Attributes:
        where: what they were taken from, for messages.
        settings: plain data as `reel.history.record.RenderRecord.config` has it, all or a part.
        flow: whose settings they are; empty: that is not known.
        folder: what relative paths in them start from; empty: where one stands.
    """

    where: str
    settings: Mapping[str, Any]
    flow: str = ""
    folder: str = ""


class Taken(NamedTuple):
    """What `overrides` gives.

    Attributes:
        overrides: as they are typed.
        lost: settings of then that there are no more, as ``key=value``.
    """

    overrides: list[str]
    lost: list[str]


def overrides(engine: Engine, past: Past, beside: Sequence[str]) -> Taken:
    """A past render's settings, to be put before what is typed beside them, inside `flows.config.engine.hydra_ready`.

    Raises:
        UserError: what was typed chooses a file that there is not.
    """
    keys = {text.partition("=")[0].lstrip("+~") for text in beside}
    anew = [text for text in beside if text.partition("=")[0].lstrip("+~") in engine.defaults]
    picks, lost = _picks(engine, past.settings), []
    like_then = plain_data(engine, list(picks.values())).data  # what follows from a model there is no setting of then
    found = [text for group, text in picks.items() if group not in keys]
    now = plain_data(engine, [*found, *_single_choices(engine, anew)]).data if anew else like_then
    away = _replaced(engine, keys, now)
    for key, value in flat(past.settings):
        if value == {} or key in keys or key.startswith(away) or not _is_taken(engine, key):
            continue
        if not _exists(engine, key, now):
            lost.append(f"{key}={shortened(str(value))}")
        elif not _same(_today(engine, key, like_then), value):
            sign = "" if _has(now, key) else "++"
            found.append(f"{sign}{written(engine, key, _from(past.folder, engine, key, value))}")
    return Taken(found, lost)


def _is_taken(engine: Engine, key: str) -> bool:
    """Folders, tracking, the device and the title stay today's; how a flow reads its settings (``snap``) is of then."""
    return counts(engine.root.cls, key) or ("." not in key and key != "name")


def _picks(engine: Engine, settings: Mapping[str, Any]) -> dict[str, str]:
    """Overrides by group that choose the files of then, where others are chosen today.

    A record holds values. A list of files (``control=[pose,lineart]``) shows in the names of what they set, and one
    file of several in the name that it gives itself (``model.name``), or that those give it which it chooses
    (``stylize.renderer``). Values of a file that is no more are set singly.
    """
    found = {}
    for group, today in engine.defaults.items():
        names = _names(engine, group, settings, listed=isinstance(today, list))
        if names is None:
            continue
        known = [name for name in names if name in engine.options.get(group, ())]
        if isinstance(today, list) and sorted(known) != sorted(today):
            found[group] = f"{group}=[{','.join(known)}]"
        elif known and not isinstance(today, list) and known != [today]:
            found[group] = f"{group}={known[0]}"
    return found


def _names(engine: Engine, group: str, settings: Mapping[str, Any], *, listed: bool) -> list[str] | None:
    """Names of the files of then; None where the settings do not show them."""
    packages = {_package(engine, group, name) for name in engine.options.get(group, ())}
    if not listed:
        part = settings.get(group)
        name = part.get("name") if isinstance(part, Mapping) else None
        if name is None and packages == {""}:  # its files choose others, which say whose they are: stylize.renderer
            name = next((one[group] for one in settings.values() if isinstance(one, Mapping) and group in one), None)
        return [name] if isinstance(name, str) else None
    parts = [at(settings, parent) for parent in {one.rpartition(".")[0] for one in packages} - {""}]
    if not any(isinstance(part, Mapping) for part in parts):
        return None
    return [name for part in parts if isinstance(part, Mapping) for name in part]


def _single_choices(engine: Engine, picks: Sequence[str]) -> list[str]:
    """Those of the overrides that choose files, and no axis of a sweep."""
    parsed = read_overrides(engine, picks)
    return [one.input_line for one in chosen(engine, parsed) if not one.is_sweep_override()]


def _replaced(engine: Engine, keys: set[str], base: Mapping[str, Any]) -> tuple[str, ...]:
    """What the keys begin with whose values come from files that are chosen anew, or are not chosen any more."""
    found = []
    for group, today in engine.defaults.items():
        if group not in keys:
            continue
        packages = {_package(engine, group, name) for name in engine.options.get(group, ())} - {""}
        found += [f"{one}." for one in packages if not isinstance(today, list) or at(base, one) is None]
    return tuple(found)


def _package(engine: Engine, group: str, name: str) -> str:
    return package_of(engine.root.folder / group / f"{name}.yaml", group)


def _exists(engine: Engine, key: str, base: Mapping[str, Any]) -> bool:
    """Whether there is such a setting; what stands under a name with settings of its own has those that its file
    sets."""
    if not engine.shape.has(key):
        return False
    parts = key.split(".")
    free = any(
        leaf[-1] == ANYTHING and len(leaf) <= len(parts) + 1 and _matches(parts, leaf[:-1])
        for leaf in engine.shape.leaves
    )
    return not free or _has(base, key)


def _matches(parts: Sequence[str], leaf: Sequence[str]) -> bool:
    return all(mine in ("*", part) for part, mine in zip(parts, leaf, strict=False))


def _has(data: Mapping[str, Any], key: str) -> bool:
    parent, _, last = key.rpartition(".")
    place = at(data, parent) if parent else data
    return isinstance(place, Mapping) and last in place


def _today(engine: Engine, key: str, base: Mapping[str, Any]) -> Any:
    """What a setting is without being set: as the files have it, or else by its class."""
    if _has(base, key):
        return at(base, key)
    found = place(engine.root.cls, key.split("."))
    if found is None or found.field.is_required():
        return ...
    return found.field.get_default(call_default_factory=True)


def _same(today: Any, then: Any) -> bool:
    if today is ... or isinstance(today, bool) or isinstance(then, bool) or None in (today, then):
        return today is then
    if isinstance(today, str | Path) or isinstance(then, str):
        return str(today) == str(then)  # a rate of 8 is recorded as '8'
    try:
        return bool(canonical(today) == canonical(then))
    except ValueError:
        return False


def _from(folder: str, engine: Engine, key: str, value: Any) -> Any:
    """A path of then as it is found from here."""
    is_path = any(one.is_path and one.matches(key) for one in engine.shape.texts)
    if is_path and isinstance(value, str) and folder and folder != here() and not value.startswith("~"):
        return str(Path(folder) / value)
    return value


def written(engine: Engine, key: str, value: Any) -> str:
    """An override that sets a value, as a person would type it."""
    text = next((one for one in engine.shape.texts if one.matches(key)), None)
    if text is None:
        return f"{key}={hydra_value(value)}"
    if value is None:
        return f"{key}=" if text.is_path else f"{key}=null"
    return f"{key}={typed(str(value))}"


def hydra_value(value: Any) -> str:
    """Plain data in Hydra's grammar for overrides."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{name}:{hydra_value(item)}" for name, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ",".join(map(hydra_value, value)) + "]"
    return hydra_quoted(value) if isinstance(value, str) else str(value)
