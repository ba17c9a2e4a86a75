"""The lock of a render: laid beside its film, and found again by whatever names the render."""

from __future__ import annotations

from pathlib import Path

from flows import flow as flows
from flows.render import past
from reel.config import Config
from reel.errors import UserError
from reel.history import lock
from reel.history.lock import RenderLock
from reel.history.record import RenderRecord, find_record, latest_with
from reel.store import Store
from reel.values import local_path


def write(folder: Path, store: Store, record: RenderRecord, cls: type[Config]) -> Path:
    """Lay a render's lock into its folder; what is only measured later is not in it.

    Args:
        cls: of the flow's settings.
    """
    return lock.write(folder, of_record(store, record, cls))


def of_record(store: Store, record: RenderRecord, cls: type[Config]) -> RenderLock:
    """The lock of a recorded render. Raises: UserError, as `reel.history.lock.of_record`."""
    return lock.of_record(store, record, past.resulting(cls, record.config))


def find(name: str, store: Path) -> RenderLock:
    """The lock of a past render.

    Args:
        name: a run's id or its beginning, ``latest`` or ``last``; a lock, a render's folder, its settings or its film.
        store: folder of the store that has the records; it need not be there.

    Raises:
        UserError: nothing fits the name, or several; the file is no lock, and no record knows of it.
    """
    path = local_path(name) if name else Path()
    if name and path.is_dir():
        path = next(
            (one for one in (path / lock.NAME, *sorted(path.glob("movie.*"))) if one.exists()), path / lock.NAME
        )
    elif name and path.is_file() and path.suffix != ".lock" and (path.parent / lock.NAME).is_file():
        path = path.parent / lock.NAME
    if name and path.is_file():
        return lock.read(path) if path.suffix == ".lock" else _of_film(path, store)
    if "/" in name or path.suffix:
        raise UserError(
            f"there is no file {path}", fix=f"a run's id (rotoscope runs), a render's folder, or its {lock.NAME}"
        )
    if not (store / "records").is_dir():
        raise UserError(f"no renders in the store {store}", fix=f"give a {lock.NAME}, or the render's store: --store")
    return _recorded(Store(store), _named(name, store))


def _named(name: str, store: Path) -> RenderRecord:
    if name not in ("latest", "last"):
        return find_record(Store(store), name)
    rendering = {one for one in flows.names() if flows.get(one).plan is not None}
    found = latest_with(store, "", lambda record: record.flow in rendering and record.status == "done")
    if found is None:
        raise UserError(f"there is no finished render in the store {store}", fix="rotoscope runs")
    return found


def _of_film(path: Path, store: Path) -> RenderLock:
    facts = past.film_facts(path)
    known = past.of_key(store, facts["render"]) if "render" in facts else None
    if known is None:
        raise UserError(
            f"{path}: no {lock.NAME} lies beside it, and the store {store} has no record of its render",
            fix=f"give the {lock.NAME} of its folder, or the render's store: --store",
        )
    return _recorded(Store(store), known)


def _recorded(store: Store, record: RenderRecord) -> RenderLock:
    """The lock that was written when the render was made, or the same made of its record."""
    laid = Path(record.output or "") / lock.NAME
    if record.output is not None and laid.is_file():
        found = lock.read(laid)
        if found.run == record.run:
            return found
    if record.parent is not None:
        raise UserError(
            f"{record.run} is a part of {record.parent} ({record.flow}) and no render of its own",
            fix=f"name a whole render: {record.parent}, or of a search's trial the render that promote=N makes",
        )
    return of_record(store, record, renderer(record.flow, record.run).settings)


def renderer(name: str, what: str) -> flows.Flow[Config]:
    """The flow that made a render.

    Args:
        what: the render, for messages.

    Raises:
        UserError: no such flow, or one that renders nothing.
    """
    flow = flows.get(name)
    if flow.plan is None:
        known = [one for one in flows.names() if flows.get(one).plan]
        raise UserError(f"{what} is of {name}, which renders nothing", fix=f"flows that do: {', '.join(known)}")
    return flow
