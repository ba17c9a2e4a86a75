"""Which renders a comparison is about: a sweep's, those that were named, or what a filter finds in MLflow."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from reel.config import suggest
from reel.errors import UserError
from reel.history.comparison import Comparison, compare, of_runs, of_sweep
from reel.history.record import RenderRecord, list_records
from reel.history.recorder import reconcile
from reel.history.sweep import Manifest
from reel.store import Store
from tasks.tracking.settings import Tracking


def gather(
    store: Store,
    tracking: Tracking,
    *,
    sweep: str | None = None,
    runs: Sequence[str] = (),
    query: str | None = None,
    axes: Sequence[str] = (),
    reference: str | None = None,
) -> Comparison:
    """The renders that were asked for, in one of three ways.

    Args:
        sweep, runs: ids or parts of ids.
        query: a filter in MLflow's language.
        axes: settings that come first.
        reference: the run that the others are held against, or a part of its id.

    Raises:
        UserError: an unknown sweep, run or axis (with the nearest), or a filter that finds nothing.
    """
    reconcile(store)
    records = {record.run: record for record in list_records(store)[0]}
    if sweep:
        manifest = Manifest.load(store, sweep)
        points, swept = of_sweep(manifest, records)
        chosen = reference and find_run(reference, [point.name for point in points], "reference")
        return compare(f"Sweep {manifest.id}", points, swept, first=axes, reference=chosen or None, sweep=manifest.id)
    if query:
        names, title = _search(store, tracking, query, records), f"Renders where {query}"
    else:
        names = list(dict.fromkeys(find_run(name, records, "runs") for name in runs))
        title = f"{len(names)} renders"
    for name in names:
        if records[name].flow == "compare":
            raise UserError(f"runs: {name} is itself a comparison", fix="name the renders that it compared")
    chosen = reference and find_run(reference, names, "reference")
    return compare(title, of_runs([records[name] for name in names]), first=axes, reference=chosen or None)


def find_run(name: str, known: Iterable[str], key: str) -> str:
    """A run's whole id: the name itself, or the only one that begins or ends with it.

    Args:
        key: the setting that named it, for messages.

    Raises:
        UserError: none or several fit; the nearest are named.
    """
    runs = sorted(known)
    if name == "latest" and runs:
        return runs[-1]
    fits = [name] if name in runs else [run for run in runs if name and (run.startswith(name) or run.endswith(name))]
    if len(fits) == 1:
        return fits[0]
    if fits:
        raise UserError(f"{key}: {len(fits)} runs fit {name!r}: {', '.join(fits[:5])}", fix="write more of the id")
    near = suggest(name, [*runs, *(run.rpartition("-")[2] for run in runs)])
    newest = f"the newest: {', '.join(runs[-3:])}; " if runs else ""
    raise UserError(f"{key}: no run fits {name!r}{near}", fix=f"{newest}all of them: rotoscope runs")


def _search(store: Store, tracking: Tracking, query: str, records: Mapping[str, RenderRecord]) -> list[str]:
    from tasks.tracking.search import search

    found = search(store, tracking, query)
    here = [run for run in found if run in records and records[run].flow != "compare"]
    if not here:
        elsewhere = f" ({len(found)} runs fit, but their records are not in the store {store.root})" if found else ""
        raise UserError(
            f"filter: no render fits {query!r}{elsewhere}",
            fix="try it in MLflow's search field; parameters are texts: params.seed = '7'",
        )
    return here
