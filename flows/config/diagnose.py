"""What is wrong with overrides, in words: the key, what is allowed, and the nearest thing that exists."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flows.config import hydra_private
from flows.config.causes import without_package
from flows.config.companions import made_for_another
from flows.config.meant import nearest, written
from flows.config.overrides import MOST_DIGITS, Override, read
from flows.config.root import entries, group_of
from reel.errors import UserError, suggest
from reel.nested import keys
from reel.values import shortened

if TYPE_CHECKING:
    from flows.config.engine import Engine


def parse_overrides(engine: Engine, overrides: Sequence[str]) -> list[Any]:
    """Hydra's own reading of the overrides.

    Raises:
        UserError: naming the override and the place in it where the reading stopped.
    """
    from hydra.errors import HydraException

    parser = hydra_private.parser(engine.loader)
    parsed = []
    for text in overrides:
        if text.startswith("="):
            raise _unreadable(text, ValueError())
        try:
            parsed += parser.parse_overrides([text])
        except (HydraException, ValueError, RecursionError) as error:  # a number of 5,000 digits, 1,000 brackets
            raise _unreadable(text, error) from error
    return parsed


def read_overrides(engine: Engine, overrides: Sequence[str]) -> list[Any]:
    """As `parse_overrides`, with Hydra's parser for those alone that need it."""
    found = [read(text) for text in overrides]
    return [one or parse_overrides(engine, [text])[0] for one, text in zip(found, overrides, strict=True)]


def checked(engine: Engine, overrides: Sequence[str], *, multirun: bool) -> list[Any]:
    """Overrides as Hydra reads them, after the checks that need no composition.

    Raises:
        UserError: unreadable, a choice that does not exist, or several values in a single run.
    """
    try:
        parsed = parse_overrides(engine, overrides) if multirun else read_overrides(engine, overrides)
    except UserError:
        _check_unreadable(engine, overrides)
        raise
    for one in chosen(engine, parsed):
        _check_choice(engine, one)
        _check_group(engine, one)
    for one in parsed:
        if one.is_sweep_override() and not multirun:
            admitted(engine, parsed)  # a mistyped key is what to tell first
            raise UserError(
                f"{one.key_or_group}: {one.input_line.partition('=')[2]!r} names several values, and this is one run",
                fix="add -m to run one point for each of them",
            )
    return parsed


def chosen(engine: Engine, parsed: Sequence[Any]) -> list[Any]:
    """Those of the overrides that choose a file of a group: another flow's group may be called as a setting of this."""
    groups = engine.defaults  # `local` may have no folder yet, `experiment` has files in sub-folders only

    def chooses(key: str) -> bool:
        if key in groups or not engine.options.get(key):
            return key in groups
        return engine.root.classless or not engine.shape.has(key)

    return [one for one in parsed if chooses(one.key_or_group)]


def admitted(engine: Engine, parsed: Sequence[Any]) -> list[Any]:
    """The overrides, after a check of every key in them.

    A key that the settings class knows and no YAML file sets is put in as ``++key``, which Hydra needs for it; so is
    what goes into a mapping that is empty so far (``regions.wall.prompt``), whose names are the user's.

    Raises:
        UserError: an unknown key, or one of a choice that is not chosen.
    """
    groups = chosen(engine, parsed)
    changes = [one for one in parsed if one not in groups and one.type.name in ("CHANGE", "DEL") and not is_hydras(one)]
    known = _known_keys(engine, groups) if changes else []
    empty = tuple(f"{key}." for key in _empty_maps(engine, known)) if changes else ()
    absent = [one for one in changes if one.key_or_group not in known or f"{one.key_or_group}." in empty]
    for one in absent:
        parent = one.key_or_group.rpartition(".")[0]
        placed = not parent or parent in known or one.key_or_group.startswith(empty)
        if one.type.name != "CHANGE" or not placed or not engine.shape.has(one.key_or_group):
            raise _unknown_key(engine, one.key_or_group, known, one.input_line.partition("=")[2])
    growing = [one for one in changes if _names_are_free(engine, one)]
    return [_forced(engine, one) if one in absent or one in growing else one for one in parsed]


def _names_are_free(engine: Engine, one: Any) -> bool:
    """Whether a mapping is set whose names are the user's own, so that it may have more of them than the files do."""
    return (
        one.type.name == "CHANGE"
        and not one.is_sweep_override()
        and isinstance(one.value(), dict)
        and engine.shape.has(f"{one.key_or_group}.any-name")
    )


def _forced(engine: Engine, one: Any) -> Any:
    return one.forced() if isinstance(one, Override) else parse_overrides(engine, [f"++{one.input_line}"])[0]


def is_hydras(one: Any) -> bool:
    """Whether a parsed override sets Hydra's own part (``hydra.sweep.dir``, ``hydra/launcher``)."""
    return one.key_or_group == "hydra" or one.key_or_group.startswith(("hydra.", "hydra/"))


def _empty_maps(engine: Engine, known: Sequence[str]) -> list[str]:
    """Those of the composed keys that are mappings with names of the user's own, and hold none yet."""
    branches = {key.rpartition(".")[0] for key in known}
    return [key for key in known if key not in branches and engine.shape.has(f"{key}.any-name")]


def _check_unreadable(engine: Engine, overrides: Sequence[str]) -> None:
    """A text under a mistyped key is not quoted, and so cannot be read: the key is what to tell."""
    known = _known_keys(engine, [])
    for text in overrides:
        key, equals, _ = text.partition("=")
        name = key.lstrip("+~")
        if equals and name not in known and not engine.shape.has(name) and re.fullmatch(r"[\w.]+", name):
            raise _unknown_key(engine, name, known)


def diagnose(engine: Engine, error: Exception, picked: Mapping[str, str]) -> UserError:
    """The error to show when overrides did not compose.

    Args:
        picked: choices by group, as they were typed.
    """
    said_in = re.search(r"In '([^']+)': (.*)", str(error))
    file = f"{engine.root.folder / said_in[1]}.yaml: " if said_in else ""
    missing = getattr(error, "missing_cfg_file", None)
    if missing:
        group, _, choice = str(missing).rpartition("/")
        if not group:
            return UserError(f"{file}there is no file {choice}.yaml beside it", fix="put its defaults list right")
        told = _no_choice(engine, group, choice)
        file = next((f"{path}: " for path in _choosing(engine, group, choice)), file)
        return UserError(f"{file}{told.message}", fix=told.fix)
    if said_in and (unknown := re.search(r"override '([^'@]+)(@[^']*)?'. No match", said_in[2])):
        if unknown[2]:
            return without_package(file.removesuffix(": "), unknown[2].strip("@").partition(".")[0])
        near = suggest(unknown[1], engine.defaults)
        return UserError(f"{file}override {unknown[1]}: the root config chooses no group of that name{near}",
                         fix=f"groups: {', '.join(engine.defaults)}")  # fmt: skip
    if scalar := re.search(r"node `([\w.]+)` is not a container", str(error)):
        return UserError(f"{scalar[1]}: must be a group of keys, each with its value", fix=f"{scalar[1]}.KEY=VALUE")
    if merged := re.match(r"Error merging override ([^=\s]+)=", str(error)):
        reason = str(error.__cause__ or "it has another type").splitlines()[0]
        return UserError(f"{merged[1]}: takes no such value ({shortened(reason)})", fix="--cfg hydra shows what it has")
    if open_key := re.search(r"Missing mandatory value: .*?full_key: (\S+)", str(error), re.DOTALL):
        typed = "" if "[" in open_key[1] else f"{open_key[1]}=VALUE, or "
        return UserError(f"{open_key[1]}: not given yet, ??? stands in its place",
                         fix=f"{typed}write it into the file in the place of ???")  # fmt: skip
    if open_group := re.match(r"You must specify '([\w/]+)'", str(error)):
        more = "; rotoscope models says what each is for" if open_group[1] == "model" else ""
        return UserError(f"{open_group[1]}: none is chosen yet, ??? stands in its place",
                         fix=f"{open_group[1]}=NAME{more}")  # fmt: skip
    lacking = re.search(r"Interpolation key '(\w+)\.([\w.]+)' not found\s+full_key: (\S+)", str(error))
    if lacking and lacking[1] in engine.defaults:
        group, rest, key = lacking.groups()
        return made_for_another(engine, group, rest, key, picked)
    text = re.split(r"\n\s+(?:full_key|object_type)|\nSet the environment", str(error))[0]
    full = re.search(r"full_key: (\S+)", str(error))
    return UserError(f"{full[1]}: {text.strip()}" if full else text.strip())


def _choosing(engine: Engine, group: str, choice: str) -> Iterator[Path]:
    """Files whose defaults lists make a choice; Hydra names the root config, where an experiment changed its choice."""
    for path in sorted(engine.root.folder.rglob("*.yaml")):
        for entry in entries(path):
            if isinstance(entry, Mapping) and group_of(entry) == group:
                chosen = next(iter(entry.values()))
                if choice in (chosen if isinstance(chosen, list) else [chosen]):
                    yield path


def _check_choice(engine: Engine, one: Any) -> None:
    """A group override must name files that exist: an ``optional`` group would pass over a typo in silence."""
    if one.is_delete():  # ~local: none of the group
        return
    if one.is_sweep_override():
        values = list(one.sweep_iterator()) if one.is_discrete_sweep() else []
    else:
        values = [one.value()]
    for value in values:
        for choice in value if isinstance(value, list) else [value]:
            if choice is None or choice == "":
                raise UserError(
                    f"{one.input_line}: names no file of conf/{one.key_or_group}",
                    fix=f"leave it out for what the root config chooses, or ~{one.key_or_group} for none; "
                    f"choices: {', '.join(all_options(engine, one.key_or_group)) or 'none yet'}",
                )
            folder, _, name = f"{one.key_or_group}/{choice}".rpartition("/")
            if name.removesuffix(".yaml") not in engine.options.get(folder, ()):
                raise _no_choice(engine, one.key_or_group, str(choice))


def _check_group(engine: Engine, one: Any) -> None:
    """``experiment/<flow>=x``: a folder within a group chooses nothing by itself."""
    group, _, folder = one.key_or_group.rpartition("/")
    if one.type.name == "CHANGE" and group in engine.defaults and one.key_or_group not in engine.defaults:
        raise UserError(
            f"{one.input_line}: {folder} is a folder of the group {group}, and no group of its own",
            fix=f"{group}={folder}/{one.input_line.partition('=')[2]}",
        )
    if one.type.name == "CHANGE" and one.key_or_group not in engine.defaults and not is_hydras(one):
        raise UserError(
            f"{one.input_line}: {engine.root.name} chooses nothing of conf/{one.key_or_group}",
            fix=f"its groups: {', '.join(engine.defaults)}",
        )


def _no_choice(engine: Engine, group: str, choice: str) -> UserError:
    options = all_options(engine, group)
    fix = (
        f"choices of {group}: {', '.join(options)}" if options else f"there is no folder conf/{group} with files in it"
    )
    return UserError(f"{group}={choice}: no such choice{suggest(choice, options)}", fix=fix)


def all_options(engine: Engine, group: str) -> list[str]:
    """Choices of a group, those in sub-folders as ``folder/name``."""
    folders = [one for one in engine.options if one.startswith(f"{group}/") and "/" not in one[len(group) + 1 :]]
    inner = [f"{folder[len(group) + 1 :]}/{name}" for folder in folders for name in engine.options[folder]]
    return [*engine.options.get(group, ()), *inner]


def _known_keys(engine: Engine, chosen: Sequence[Any]) -> list[str]:
    """Keys of the composed config under the chosen groups; under a sweep, those of all choices together."""
    fixed = [one.input_line for one in chosen if not one.is_sweep_override()]
    tries = [fixed]
    for one in chosen:
        if one.is_discrete_sweep():
            tries += [[*fixed, f"{one.get_key_element()}={value}"] for value in one.sweep_string_iterator()]
    return list(dict.fromkeys(key for picks in tries for key in keys_under(engine, picks)))


def keys_under(engine: Engine, picks: Sequence[str]) -> list[str]:
    """Keys of the config that some choices of files compose to; none where they do not compose."""
    try:
        return list(keys(engine.base(picks).data))
    except Exception as error:
        if not is_composition(error):
            raise
        return []  # told by the composition of the whole, which follows


def is_composition(error: BaseException) -> bool:
    """Whether Hydra or OmegaConf raised an error: they are imported then, and not for asking this."""
    return any(cls.__name__ in ("HydraException", "OmegaConfBaseException") for cls in type(error).__mro__)


def _unknown_key(engine: Engine, key: str, known: Sequence[str], value: str = "") -> UserError:
    groups = engine.defaults
    for group, choice in groups.items():  # controls.lineart.weight while control=[pose]
        options = engine.options.get(group, ())
        taken = choice if isinstance(choice, list) else [choice]
        part = next((part for part in key.split(".")[:-1] if part in options and part not in taken), None)
        if part and not any(one.startswith(f"{key.partition(f'.{part}.')[0]}.{part}.") for one in known):
            return UserError(
                f"'{key}' is not in use: {part!r} is a choice of {group}, and it is not chosen",
                fix=f"choose it, too: {group}=[...,{part}]"
                if isinstance(choice, list)
                else f"choose it: {group}={part}",
            )
    near = nearest(key, list(dict.fromkeys([*known, *groups])))
    told = f"; nearest: {', '.join(near)}" if near else ""
    fix = f"{written(near[0], value)}; " if near and value else ""
    return UserError(f"unknown key '{key}'{told}", fix=f"{fix}--help lists all keys")


def not_chosen(engine: Engine, parsed: Sequence[Any]) -> UserError | None:
    """The error for a key of a choice that these overrides do not choose: one point of a sweep over the choices.

    Returns: None where no such key is among them.
    """
    picks = chosen(engine, parsed)
    known = set(keys_under(engine, [one.input_line for one in picks]))
    taken = {**engine.defaults, **{one.key_or_group: one.value() for one in picks if not one.is_delete()}}
    for one in parsed:
        key = one.key_or_group
        if one in picks or is_hydras(one) or key in known or one.is_add() or one.is_force_add():
            continue
        for group, choice in taken.items():
            names = choice if isinstance(choice, list) else [choice]
            part = next((part for part in key.split(".")[:-1] if part in engine.options.get(group, ())), None)
            if part is not None and part not in names:
                shown = f"[{','.join(map(str, names))}]" if isinstance(choice, list) else choice
                return UserError(
                    f"{key}: {part!r} is not in use with {group}={shown}",
                    fix=f"leave {key} out, or choose {part} at every point and sweep its values, 0 for none: "
                    f"{key}=0,{one.input_line.partition('=')[2]}",
                )
    return None


def _unreadable(text: str, error: Exception) -> UserError:
    key, equals, value = text.partition("=")
    if not key or (not equals and not text.startswith("~")):
        return UserError(f"not of the form key=value: {text!r}", fix="write seed=3; --help lists the keys")
    if re.search(r"\s", key):
        return UserError(f"{key!r}: a key has no spaces", fix=re.sub(r"\s+", "_", f"{key}=..."))
    if len(value) > MOST_DIGITS and value.lstrip("+-").isdecimal():
        return UserError(f"{key}: a number of {len(value)} digits is too large", fix="a number that a person can mean")
    reason = re.split(r" expecting \{|\nSee https|; use sys", str(error))[0].strip()
    if (found := re.search(r"while evaluating '(.*?)': (.*)", reason, re.DOTALL)) is not None:
        return UserError(
            f"{key}: {found[1]}: {' '.join(found[2].split())}",
            fix=f"{key}=range(start,stop,step), {key}=choice(a,b), or quote a text that is meant as it is",
        )
    return UserError(
        f"{key}: cannot read the value {shortened(repr(value))} ({shortened(reason)})",
        fix=f"quote it twice, once for the shell and once for the value: '{key}=\"...\"'",
    )
