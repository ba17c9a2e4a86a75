"""Check the machine: device, memory, ffmpeg, hub, models, servers, disk, versions; and what to do about each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from flows import flow
from flows.commands.common import SHARED, Parser, settings, store_path
from flows.commands.machine import Finding, device, disk, ffmpeg, hub, memory, packages, python
from flows.edge.text import size
from flows.prefect_server import servers
from reel.errors import UserError
from reel.models.source import ModelSource


def main(argv: Sequence[str]) -> int:
    """``rotoscope doctor``: exit code 1 when anything fails; warnings do not count."""
    options = Parser("doctor", __doc__ or "").parse_args(list(argv))
    worst = 0
    for finding in findings(options.store):
        print(finding, flush=True)
        worst |= finding.level == "fail"
    return worst


def findings(store: Path | None) -> Iterator[Finding]:
    """All checks; one that breaks is itself a failure, and the others still run."""
    yield from _tried("python", python)
    yield from _tried("packages", packages)
    yield from _tried("device", device)
    yield from _tried("memory", memory)
    yield from _tried("ffmpeg", ffmpeg)
    yield from _tried("hub", hub)
    chosen: dict[str, Any] = {}

    def config() -> Iterator[Finding]:
        chosen.update(settings(), store=store_path(store))
        yield Finding("ok", "config", "conf/ composes")

    yield from _tried("config", config)
    if not chosen:  # which models, and where the store is, cannot be known
        return
    root: Path = chosen["store"]
    yield from _tried("models", models)
    yield from _tried("disk", lambda: disk(root))
    yield from _tried("store", lambda: store_size(root))
    yield from _tried("servers", lambda: up(root))
    yield from _tried("tracking", lambda: tracking(root))


def _tried(what: str, check: Callable[[], Iterator[Finding]]) -> Iterator[Finding]:
    try:
        yield from check()
    except UserError as error:
        yield Finding("fail", what, error.message, error.fix or "")
    except Exception as error:
        yield Finding("fail", what, f"{type(error).__name__}: {error}", "rotoscope doctor --debug")


def models() -> Iterator[Finding]:
    """The families that flows take by default must be here; the others are only counted."""
    from flows.commands.models import family, missing, names

    flows = [composed for name in flow.names() if "model" in (composed := _rendering(name))]
    defaults = {composed["model"]["name"] for composed in flows}
    for chosen in sorted(defaults):
        yield from _family(chosen, missing(family(chosen)))
    others = [name for name in names() if name not in defaults]
    here = [name for name in others if not missing(family(name))]
    yield Finding("ok", "models", f"{len(here)} of {len(others)} other families are on this machine (rotoscope models)")
    yield from _detectors(flows)


def _rendering(name: str) -> Mapping[str, Any]:
    """Settings of a flow that renders by itself; none of another one."""
    from flows.config.root import Root, roots
    from reel.config import Config

    return settings(name) if roots(Root(name, Config))[-2:] == [SHARED, name] else {}


def _family(chosen: str, absent: Sequence[ModelSource]) -> Iterator[Finding]:
    if absent:
        listed = ", ".join(source.label for source in absent[:4])
        kinds = {source.kind for source in absent}
        fix = "git checkout -- data/models" if kinds == {"embedded"} else "fetched at the first render"
        yield Finding("fail" if "embedded" in kinds else "warn", "models", f"{chosen} lacks {listed}", fix)
    else:
        yield Finding("ok", "models", f"{chosen} is on this machine, complete")


def _detectors(flows: Sequence[Mapping[str, Any]]) -> Iterator[Finding]:
    """Weights of the map makers that flows use by default.

    Args:
        flows: settings of those that render.
    """
    from reel.op import get
    from tasks.weights.fetch import present

    makers = {
        control["preprocess"]: one["preprocess"].get(control["preprocess"], {})
        for one in flows
        for control in one.get("controls", {}).values()
    }
    for name, chosen in sorted(makers.items()):
        op = get("preprocess", name)
        config = op.config.model_validate(chosen)
        absent = [source for source in op.models(config) if not present(source)]
        if absent:
            text = f"{name} lacks {', '.join(source.label for source in absent)}"
            yield Finding(
                "warn", "models", text, "fetched at the first render; needs the package index or the hub once"
            )
        else:
            yield Finding("ok", "models", f"{name} has its weights")


def store_size(store: Path) -> Iterator[Finding]:
    """Size of the store, and whether it lies on one local file system (atomic rename and flock need that)."""
    import psutil

    if not store.exists():
        yield Finding("ok", "store", f"{store} is not made yet")
        return
    total = sum(path.stat().st_size for path in store.rglob("*") if path.is_file())
    objects = sum(1 for _ in (store / "objects").glob("*/*/manifest.json"))
    mounts = sorted(psutil.disk_partitions(all=True), key=lambda one: len(one.mountpoint))
    kind = next((one.fstype for one in reversed(mounts) if store.absolute().is_relative_to(one.mountpoint)), "")
    if kind in ("nfs", "nfs4", "cifs", "smbfs", "9p", "fuse.sshfs", "fuse.s3fs", "fuse.gcsfuse"):
        yield Finding(
            "warn", "store", f"{store} is on {kind}", "keep it on a local disk: locks and renames must be sound"
        )
    yield Finding("ok", "store", f"{objects} objects, {size(total)}")


def up(store: Path) -> Iterator[Finding]:
    for name in servers.NAMES:
        server = servers.running(store, name)
        if server and name == "prefect" and not servers.guarded(server):
            told = f"prefect on {server.url} lets anybody in: an older version started it"
            yield Finding("fail", "servers", told, "rotoscope down; rotoscope up")
        elif server and servers.healthy(server):
            yield Finding("ok", "servers", f"{name} answers on {server.url}")
        elif server:
            yield Finding(
                "warn",
                "servers",
                f"{name} runs (process {server.pid}) and does not answer",
                "rotoscope down; rotoscope up",
            )
        else:
            cost = "a run takes 10-16 s longer" if name == "prefect" else "runs are logged all the same"
            yield Finding("warn", "servers", f"{name} is down: {cost}", "rotoscope up")


def tracking(store: Path) -> Iterator[Finding]:
    """Renders that MLflow has not heard of yet."""
    from reel.store import Store
    from tasks.tracking.links import pending

    if not (store / "objects").is_dir():
        return
    waiting = pending(Store(store))
    if waiting:
        yield Finding(
            "warn", "tracking", f"{len(waiting)} runs are not logged to MLflow yet", "the next render logs them, too"
        )
    else:
        yield Finding("ok", "tracking", "every render is logged")
