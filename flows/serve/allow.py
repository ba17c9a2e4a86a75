"""What a deployment may set. Whoever reaches the Prefect server may start runs with parameters of their own; here is
what keeps them from more than renders: no key that is not listed, no file outside the allowed folders, no address.

The same rules twice: as a JSON schema, by which the Prefect server refuses a run before it exists, and in full when
the run begins.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, get_args, get_origin

from flows.config.quoting import text_keys
from flows.flow import Drop, Flow
from flows.serve.settings import Deployment, Serve
from reel.config import Config, suggest
from reel.errors import UserError
from reel.models.source import ModelSource
from reel.values import arms

NEVER = ("hydra", "paths", "experiment", "local")
"""Keys and groups that no list can allow: where things lie is `serve`'s, and the experiment has a field of its own."""

_KEY = re.compile(r"[A-Za-z_]\w*(\.\w+)*")
_TROUBLE = {
    "${": "an interpolation",
    "://": "an address",
    "\\": "a backslash",
    "..": "a path upwards",
    "{": "a group of keys",
}
"""What no value may hold, except in prompts, which are taken literally."""


def check(
    settings: Serve, deployment: Deployment, flow: Flow[Any], overrides: Sequence[str], dropped: str | None
) -> list[str]:
    """Overrides that are allowed, with paths made absolute; that of the dropped file is the last of them.

    Args:
        dropped: a file for the setting that the flow's files are named by.

    Raises:
        UserError: the first override that is not allowed, and what would be.
    """
    rules = Rules(settings, deployment, flow.settings)
    return [
        rules.check(override)
        for override in [*overrides, *([f"{flow.drop.key}={dropped}"] if dropped and flow.drop else [])]
    ]


def allowed_roots(settings: Serve, deployment: Deployment) -> list[Path]:
    """Folders that files may be named from."""
    watched = [deployment.watch.folder] if deployment.watch else []
    return list(dict.fromkeys(settings.absolute(folder) for folder in [*settings.roots, *watched]))


def check_named(settings: Serve, deployment: Deployment, drop: Drop, file: Path) -> None:
    """Hold the files that a file of an allowed folder names against the same folders: whoever put it there chose them.

    Raises:
        UserError: one lies elsewhere, or the file cannot be read.
    """
    roots = allowed_roots(settings, deployment)
    if not file.is_file() or not any(settings.absolute(file).is_relative_to(root) for root in roots):
        return  # of conf/, whose files may name any
    for place, path in drop.names(file):
        if not any(settings.absolute(path).is_relative_to(root) for root in roots):
            raise UserError(
                f"{place}: {path} is outside the allowed folders",
                fix=f"put it beside {file.name}; allowed: {', '.join(map(str, roots))} (conf/serve.yaml: roots)",
            )


def check_roots(settings: Serve, deployment: Deployment) -> None:
    """Folders that runs may name files from hold files for that and nothing else.

    Raises:
        UserError: one is, or holds, the home folder, the checkout or the store, or lies in the store.
    """
    watched = settings.absolute(deployment.watch.folder) if deployment.watch else None
    store = settings.absolute(settings.paths.store)
    kept = {"your home folder": Path.home().resolve(), "the checkout": settings.absolute(Path()), "the store": store}
    for root in allowed_roots(settings, deployment):
        key = "watch.folder" if root == watched else "conf/serve.yaml: roots"
        held = [what for what, folder in kept.items() if folder.is_relative_to(root)]
        if held or root.is_relative_to(store):
            told = f"holds {' and '.join(held)}" if held else "lies in the store"
            raise UserError(
                f"{key}: {root} {told}, and a run may name any file of an allowed folder",
                fix="give runs a folder of their own, such as data/inbox",
            )


class Rules:
    """What one deployment may set."""

    def __init__(self, settings: Serve, deployment: Deployment, cls: type[Config]) -> None:
        self.settings = settings
        self.roots = allowed_roots(settings, deployment)
        self.literal = text_keys(cls)
        self.models = list(model_keys(cls))
        self.allowed = [one for one in settings.allow.get(deployment.flow, []) if permitted(one, [one])]

    def check(self, override: str) -> str:
        """One override, a path in it made absolute."""
        key, equals, value = override.partition("=")
        if key[:1] in ("+", "~"):
            raise UserError(f"override {override!r}: {key[0]} is not allowed in a deployment", fix="write key=value")
        if not equals or not _KEY.fullmatch(key):
            raise UserError(f"override {override!r}: not of the form key=value", fix="write seed=3, prompt=..., ...")
        if key == "experiment":
            raise UserError(f"override {override!r}: the experiment has a field of its own", fix="experiment: NAME")
        if not permitted(key, self.allowed):
            raise UserError(
                f"override {override!r}: {key} may not be set by a deployment{suggest(key, self.allowed)}",
                fix=f"allowed: {', '.join(self.allowed)} (conf/serve.yaml: allow); the rest belongs into an experiment",
            )
        if any(fnmatch.fnmatchcase(f"{key}.", f"{one}.*") for one in self.models):
            raise UserError(
                f"override {override!r}: a model's files may not be named by a deployment",
                fix="choose a family with model=NAME, or name the files in an experiment or in conf/model/",
            )
        text = next((one for one in self.literal if one.matches(key)), None)
        if text is None:
            _harmless(override, value)
        elif text.is_path:
            return f"{key}={self._inside(override, value)}" if value else override
        elif value.startswith("@"):
            return f"{key}=@{self._inside(override, value[1:])}"
        return override

    def _inside(self, override: str, value: str) -> str:
        """The absolute path of a file in an allowed folder."""
        if re.match(r"[A-Za-z][A-Za-z0-9+.-]+:/", value):
            raise UserError(f"override {override!r}: an address; only local files are read", fix="download it first")
        if "\0" in value or "\n" in value:
            raise UserError(f"override {override!r}: not the name of a file", fix="give the path of a file")
        path = self.settings.absolute(Path(value))
        if not any(path.is_relative_to(root) for root in self.roots):
            raise UserError(
                f"override {override!r}: {path} is outside the allowed folders",
                fix=f"allowed: {', '.join(map(str, self.roots)) or 'none'} (conf/serve.yaml: roots)",
            )
        return str(path)


def permitted(key: str, allowed: Sequence[str]) -> bool:
    """Whether a list of patterns allows a key."""
    if key.partition(".")[0] in NEVER:
        return False
    return any(fnmatch.fnmatchcase(key, pattern) for pattern in allowed)


def _harmless(override: str, value: str) -> None:
    for mark, what in _TROUBLE.items():
        if mark in value:
            raise UserError(f"override {override!r}: {what} ({mark}) is not allowed here", fix="write the value itself")
    if value.lstrip("'\"[ ").startswith(("/", "~")):
        raise UserError(f"override {override!r}: a path is not allowed here", fix="name a file of conf/ instead")


def model_keys(annotation: Any, prefix: str = "") -> Iterator[str]:
    """Keys of a settings class under which a model's files are named; ``*`` stands for any name.

    A list that holds such files somewhere in its items is one of them as a whole.
    """
    for inner in arms(annotation):
        origin = get_origin(inner)
        if isinstance(origin, type) and issubclass(origin, Mapping):
            yield from model_keys(get_args(inner)[1], f"{prefix}.*".lstrip("."))
        elif isinstance(origin, type) and issubclass(origin, Sequence):
            if any(True for _ in model_keys(get_args(inner)[0])):
                yield prefix
        elif isinstance(inner, type) and issubclass(inner, ModelSource):
            yield prefix
        elif isinstance(inner, type) and issubclass(inner, Config):
            for name, field in inner.model_fields.items():
                yield from model_keys(field.annotation, f"{prefix}.{name}".lstrip("."))


def schema(settings: Serve, deployment: Deployment, flow: Flow[Any], experiments: Sequence[str]) -> dict[str, Any]:
    """JSON schema of a run's parameters, which the Prefect server holds every run against and draws its form from."""
    rules = Rules(settings, deployment, flow.settings)
    texts = [".".join(key.path) for key in rules.literal]
    literal = "|".join(_pattern(text) for text in texts if permitted(text, rules.allowed)) or "(?!)"
    listed = "|".join(_pattern(pattern) for pattern in rules.allowed) or "(?!)"
    models = "|".join(_pattern(key) for key in rules.models) or "(?!)"
    refused = "|".join(re.escape(mark) for mark in _TROUBLE)
    free, bound = rf"(?:{literal})=[\s\S]*", rf"[^=]+=(?!['\"\[ ]*[/~])(?:(?!{refused})[\s\S])*"
    rule = rf"^(?=(?:{listed})=)(?!(?:{models})[.=])(?:{free}|{bound})$"
    properties: dict[str, Any] = {
        "experiment": {
            "title": "experiment",
            "description": "A named set of settings (conf/experiment/).",
            "position": 0,
            "anyOf": [{"type": "string", "enum": list(experiments)}, {"type": "null"}],
            "default": deployment.experiment,
        },
        "overrides": {
            "title": "overrides",
            "description": f"As on the command line: key=value. Keys: {', '.join(rules.allowed)}",
            "position": 1,
            "type": "array",
            "items": {"type": "string", "pattern": rule},
            "default": list(deployment.overrides),
        },
    }
    if flow.drop and permitted(flow.drop.key, rules.allowed):
        roots = ", ".join(map(str, rules.roots))
        properties[flow.drop.key] = {
            "title": flow.drop.key,
            "description": f"A file to render instead, in one of: {roots}",
            "position": 2,
            "anyOf": [{"type": "string", "pattern": r"^(?![A-Za-z][A-Za-z0-9+.-]+:/)[^\n]+$"}, {"type": "null"}],
            "default": None,
        }
    return {"title": "Parameters", "type": "object", "properties": properties, "additionalProperties": False}


def _pattern(pattern: str) -> str:
    return "".join(r"[\w.]*" if char == "*" else re.escape(char) for char in pattern)
