"""A past render by whatever names it: its id, its folder, the settings that lie in it, or its film."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from flows.config.past import Past
from reel.canonical import canonical
from reel.config import OPERATIONAL, Config, places
from reel.errors import UserError
from reel.files import here, sha256_file, write_atomic
from reel.history.record import RenderRecord, find_record, latest_with
from reel.reading import read_small
from reel.store import Store
from reel.values import local_path, shortened

SETTINGS = "settings.yaml"
"""Name of the file with a render's settings, beside its film."""
_LARGEST = 1_000_000
"""Bytes of a file of settings."""
_HEADER = (
    "# Settings of the render beside this file. Again, with what you change: rotoscope {flow} --from {name} seed=3\n"
)


def find(name: str, store: Path, flow: str) -> Past:
    """The settings of a past render.

    Args:
        name: a run's id or its beginning, ``latest`` or ``last``; a film, a render's folder, or its settings.yaml.
        flow: whose latest render ``latest`` is.
        store: folder of the store that has the records; it need not be there.

    Raises:
        UserError: nothing fits the name, or several; the file holds no settings.
    """
    path = local_path(name) if name else Path()
    if name and path.is_dir():
        path = _in_folder(path)
    if name and path.is_file():
        return _of_yaml(path) if path.suffix in (".yaml", ".yml", ".lock") else _of_film(path, store)
    if "/" in name or path.suffix:
        raise UserError(
            f"--from: there is no file {name}", fix="a run's id (rotoscope runs), a film, or a settings.yaml"
        )
    if not (store / "records").is_dir():
        raise UserError(
            f"--from: no renders in the store {store}", fix="give a film or a render's folder, or its store"
        )
    if name in ("latest", "last"):
        if (record := latest_with(store, flow, lambda record: record.flow == flow)) is None:
            raise UserError(f"--from: there is no render of {flow} in the store {store}", fix="rotoscope runs")
        return of_record(record)
    return of_record(find_record(Store(store), name))


def of_record(record: RenderRecord) -> Past:
    return Past(record.run, record.config, record.flow, record.cwd)


def _in_folder(folder: Path) -> Path:
    films = [path for path in sorted(folder.glob("movie.*")) if path.is_file()]
    settings = folder / SETTINGS
    if settings.is_file() or not films:
        return settings
    return films[0]


def _of_yaml(path: Path) -> Past:
    import yaml

    try:
        data = yaml.safe_load(read_small(path, _LARGEST).decode("utf-8-sig"))
    except (ValueError, yaml.YAMLError, RecursionError) as error:
        raise UserError(f"--from: {path} cannot be read ({shortened(str(error))})") from None
    flow, settings, folder = map(data.get, ("flow", "settings", "folder")) if isinstance(data, dict) else (None,) * 3
    if not (isinstance(flow, str) and isinstance(settings, dict) and isinstance(folder, str | None)):
        raise UserError(
            f"--from: {path} does not hold a flow and its settings, as the {SETTINGS} of a render does",
            fix="a file of conf/experiment/ is chosen with experiment=FLOW/NAME",
        )
    return Past(str(path), settings, flow, folder or "")


def _of_film(path: Path, store: Path) -> Past:
    """By the record of the render whose key stands in the film; else what the film itself says."""
    facts = film_facts(path)
    if not facts:
        raise UserError(
            f"--from: {path} does not say what it was made of",
            fix=f"give the run's id (rotoscope runs), or the {SETTINGS} that lay beside it",
        )
    known = of_key(store, facts["render"]) if "render" in facts else None
    if known is not None:
        return of_record(known)
    settings: dict[str, Any] = {key: facts[key] for key in ("prompt", "seed") if key in facts}
    if "seed" in settings:
        settings["seed"] = int(settings["seed"]) if settings["seed"].isdecimal() else 0
    if "model" in facts:
        settings["model"] = {"name": facts["model"]}
    told = (
        f"{path} (its record is not in this store: {', '.join(settings)} are taken from the film, all else is as today)"
    )
    return Past(told, settings)


def film_facts(path: Path) -> dict[str, str]:
    """Facts that `tasks.assemble` wrote into a film: render, prompt, seed, model; none where it holds none."""
    import av

    from tasks.media.streams import opened

    try:
        with path.open("rb") as file, opened(file) as film:
            said = {key.lower(): value for key, value in film.metadata.items()}.get("comment", "")
        data = json.loads(said)
    except (OSError, ValueError, RecursionError, av.error.FFmpegError):
        return {}
    return {key: value for key, value in data.items() if isinstance(value, str)} if isinstance(data, dict) else {}


def of_key(store: Path, key: str) -> RenderRecord | None:
    """The latest render with a stage of that key; None: the store has none."""
    return latest_with(store, key, lambda record: any(stage.key == key for stage in record.stages))


def of_files(store: Path, digest: str, renders: Path) -> RenderRecord | None:
    """The latest finished render that exported that object below a folder, where every file is still what it was."""

    def there(record: RenderRecord) -> bool:
        folder = Path(record.output or "")
        made = record.status == "done" and any(stage.digest == digest for stage in record.stages)
        return (
            made
            and bool(record.outputs)
            and folder.is_relative_to(renders.absolute())
            and all((folder / one.name).is_file() for one in record.outputs)
            and all(sha256_file(folder / one.name) == one.sha256 for one in record.outputs)
        )

    return latest_with(store, digest, there)


def write_settings(folder: Path, flow: str, cfg: Config) -> Path:
    """Lay a render's settings beside its film, for ``--from``: all that can change a result or its files."""
    import yaml

    path = folder / SETTINGS
    data = {"flow": flow, "folder": here(), "settings": resulting(type(cfg), canonical(cfg.model_dump(mode="json")))}
    text = yaml.safe_dump(data, sort_keys=False, allow_unicode=True, width=1000)
    write_atomic(path, (_HEADER.format(flow=flow.replace("_", "-"), name=SETTINGS) + text).encode())
    return path


def resulting(cls: type[Config], data: Mapping[str, Any]) -> dict[str, Any]:
    """Settings, plain data, without those that change no result: folders, tracking, the device."""
    marked = [place for place in places(cls) if OPERATIONAL in place.markers]

    def kept(data: Mapping[str, Any], path: tuple[str, ...]) -> dict[str, Any]:
        found = {}
        for name, value in data.items():
            if not any(place.matches((*path, name)) for place in marked):
                found[name] = kept(value, (*path, name)) if isinstance(value, Mapping) else value
        return found

    return kept(data, ())
