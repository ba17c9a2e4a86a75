"""What is wrong with overrides, in words: the key, what is allowed, and the nearest thing that exists."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, get_args, get_origin

from reel.config import Config, arms, suggest
from reel.errors import UserError

if TYPE_CHECKING:
    from flows.config.compose import Root


def parse_overrides(engine: Any, overrides: Sequence[str]) -> list[Any]:
    """Hydra's own reading of the overrides.

    Raises:
        UserError: naming the override and the place in it where the reading stopped.
    """
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    parser = OverridesParser.create(config_loader=engine.config_loader)
    parsed = []
    for text in overrides:
        if text.startswith("="):
            raise _unreadable(text, ValueError())
        try:
            parsed += parser.parse_overrides([text])
        except HydraException as error:
            raise _unreadable(text, error) from error
    return parsed


def checked(root: Root[Any], engine: Any, overrides: Sequence[str], *, multirun: bool) -> list[Any]:
    """Overrides as Hydra reads them, after the checks that need no composition.

    Raises:
        UserError: unreadable, a choice that does not exist, or several values in a single run.
    """
    try:
        parsed = parse_overrides(engine, overrides)
    except UserError:
        _check_unreadable(root, engine, overrides)
        raise
    for one in chosen(root, engine, parsed):
        _check_choice(one, engine)
        _check_group(root, one)
    for one in parsed:
        if one.is_sweep_override() and not multirun:
            admitted(root, engine, parsed)  # a mistyped key is what to tell first
            raise UserError(
                f"{one.key_or_group}: {one.input_line.partition('=')[2]!r} names several values, and this is one run",
                fix="add -m to run one point for each of them",
            )
    return parsed


def chosen(root: Root[Any], engine: Any, parsed: Sequence[Any]) -> list[Any]:
    """Those of the overrides that choose a file of a group."""
    from flows.config.compose import defaults

    groups = defaults(root)  # `local` may have no folder yet, `experiment` has files in sub-folders only
    return [
        one for one in parsed if one.key_or_group in groups or engine.config_loader.get_group_options(one.key_or_group)
    ]


def admitted(root: Root[Any], engine: Any, parsed: Sequence[Any]) -> list[str]:
    """The overrides, after a check of every key in them, inside `flows.config.compose.hydra_ready`.

    A key that the settings class knows and no YAML file sets is put in as ``++key``, which Hydra wants for it; so is
    what goes into a mapping that is empty so far (``regions.wall.prompt``), whose names are the user's.

    Raises:
        UserError: an unknown key, or one of a choice that is not chosen.
    """
    from flows.config.compose import is_hydras

    groups = chosen(root, engine, parsed)
    changes = [one for one in parsed if one not in groups and one.type.name in ("CHANGE", "DEL") and not is_hydras(one)]
    known = _known_keys(root, groups) if changes else []
    empty = tuple(f"{key}." for key in _empty_maps(root.cls, known)) if changes else ()
    absent = [one for one in changes if one.key_or_group not in known or f"{one.key_or_group}." in empty]
    for one in absent:
        parent = one.key_or_group.rpartition(".")[0]
        placed = not parent or parent in known or one.key_or_group.startswith(empty)
        if one.type.name != "CHANGE" or not placed or not in_class(root.cls, one.key_or_group):
            raise _unknown_key(root, engine, one.key_or_group, known)
    return [f"++{one.input_line}" if one in absent else one.input_line for one in parsed]


def _empty_maps(cls: type[Config], known: Sequence[str]) -> list[str]:
    """Those of the composed keys that are mappings with names of the user's own, and hold none yet."""
    branches = {key.rpartition(".")[0] for key in known}
    return [key for key in known if key not in branches and in_class(cls, f"{key}.any-name")]


def _check_unreadable(root: Root[Any], engine: Any, overrides: Sequence[str]) -> None:
    """A text under a mistyped key is not quoted, and so cannot be read: the key is what to tell."""
    known = _known_keys(root, [])
    for text in overrides:
        key, equals, _ = text.partition("=")
        name = key.lstrip("+~")
        if equals and name not in known and not in_class(root.cls, name) and re.fullmatch(r"[\w.]+", name):
            raise _unknown_key(root, engine, name, known)


def diagnose(root: Root[Any], engine: Any, overrides: Sequence[str], error: Exception) -> UserError:
    """The error to show when admitted overrides did not compose all the same."""
    missing = getattr(error, "missing_cfg_file", None)
    if missing:
        group, _, choice = str(missing).rpartition("/")
        if not group:
            return UserError(f"no root config named {choice!r}")
        return _no_choice(engine, group, choice)
    text = re.split(r"\n\s+(?:full_key|object_type)|\nSet the environment", str(error))[0]
    key = re.search(r"full_key: (\S+)", str(error))
    return UserError(f"{key[1]}: {text.strip()}" if key else text.strip())


def in_class(annotation: Any, key: str) -> bool:
    """Whether a dotted key is a field of a settings class, through nested classes and mappings."""
    if not key:
        return True
    name, _, rest = key.partition(".")
    for arm in arms(annotation):
        if isinstance(arm, type) and issubclass(arm, Config):
            if name in arm.model_fields and in_class(arm.model_fields[name].annotation, rest):
                return True
        elif isinstance(get_origin(arm), type) and issubclass(get_origin(arm), Mapping):
            if in_class(get_args(arm)[1], rest):
                return True
        elif arm is Any:
            return True
    return False


def flat(data: Any, prefix: str = "") -> Iterator[str]:
    """Dotted keys of nested mappings, the branches included."""
    if isinstance(data, Mapping):
        for name, item in data.items():
            yield f"{prefix}{name}"
            yield from flat(item, f"{prefix}{name}.")


def _check_choice(one: Any, engine: Any) -> None:
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
            if name.removesuffix(".yaml") not in engine.config_loader.get_group_options(folder):
                raise _no_choice(engine, one.key_or_group, str(choice))


def _check_group(root: Root[Any], one: Any) -> None:
    """``experiment/<flow>=x``: a folder within a group chooses nothing by itself."""
    from flows.config.compose import defaults

    group, _, folder = one.key_or_group.rpartition("/")
    if one.type.name == "CHANGE" and group in defaults(root) and one.key_or_group not in defaults(root):
        raise UserError(
            f"{one.input_line}: {folder} is a folder of the group {group}, and no group of its own",
            fix=f"{group}={folder}/{one.input_line.partition('=')[2]}",
        )


def _no_choice(engine: Any, group: str, choice: str) -> UserError:
    options = all_options(engine, group)
    fix = (
        f"choices of {group}: {', '.join(options)}" if options else f"there is no folder conf/{group} with files in it"
    )
    return UserError(f"{group}={choice}: no such choice{suggest(choice, options)}", fix=fix)


def all_options(engine: Any, group: str) -> list[str]:
    """Choices of a group, those in sub-folders as ``folder/name``."""
    from hydra.core.object_type import ObjectType

    loader = engine.config_loader
    inner = [name for name in loader.list_groups(group) if not name.startswith("__")]
    options = list(loader.get_group_options(group, ObjectType.CONFIG))
    for folder in inner:
        options += [f"{folder}/{name}" for name in loader.get_group_options(f"{group}/{folder}", ObjectType.CONFIG)]
    return options


def _known_keys(root: Root[Any], chosen: Sequence[Any]) -> list[str]:
    """Keys of the composed config under the chosen groups; under a sweep, those of all choices together."""
    from hydra.errors import HydraException
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    from flows.config.compose import with_values

    fixed = [one.input_line for one in chosen if not one.is_sweep_override()]
    tries = [fixed]
    for one in chosen:
        if one.is_discrete_sweep():
            tries += [[*fixed, f"{one.get_key_element()}={value}"] for value in one.sweep_string_iterator()]
    known: dict[str, None] = {}
    for overrides in tries:
        try:
            cfg = with_values(root, overrides, [])
        except (HydraException, OmegaConfBaseException):
            continue  # told by the composition of the whole, which follows
        keys = flat(OmegaConf.to_container(cfg, resolve=False))
        known |= dict.fromkeys(key for key in keys if key.partition(".")[0] != "hydra")
    return list(known)


def _unknown_key(root: Root[Any], engine: Any, key: str, known: Sequence[str]) -> UserError:
    from flows.config.compose import defaults

    groups = defaults(root)
    for group, choice in groups.items():  # controls.lineart.weight while control=[pose]
        options = engine.config_loader.get_group_options(group)
        taken = choice if isinstance(choice, list) else [choice]
        part = next((part for part in key.split(".")[:-1] if part in options and part not in taken), None)
        if part and not any(one.startswith(f"{key.partition(f'.{part}.')[0]}.{part}.") for one in known):
            return UserError(
                f"'{key}' is not in use: {part!r} is a choice of {group}, and it is not chosen",
                fix=f"choose it, too: {group}=[...,{part}]"
                if isinstance(choice, list)
                else f"choose it: {group}={part}",
            )
    tails = [one for one in known if one.endswith(f".{key}")]
    leaves = [one for one in known if not any(other.startswith(f"{one}.") for other in known)]
    near = f"; nearest: {', '.join(tails[:3])}" if tails else suggest(key, dict.fromkeys([*leaves, *groups]))
    return UserError(f"unknown key '{key}'{near}", fix="--help lists all keys")


def _unreadable(text: str, error: Exception) -> UserError:
    key, equals, value = text.partition("=")
    if not key or (not equals and not text.startswith("~")):
        return UserError(f"not of the form key=value: {text!r}", fix="write clip=my.mp4; --help lists the keys")
    if re.search(r"\s", key):
        return UserError(f"{key!r}: a key has no spaces", fix=re.sub(r"\s+", "_", f"{key}=..."))
    reason = re.split(r" expecting \{|\nSee https", str(error))[0].strip()
    return UserError(
        f"{key}: cannot read the value {value!r} ({reason})",
        fix=f"quote it twice, once for the shell and once for the value: '{key}=\"...\"'",
    )
