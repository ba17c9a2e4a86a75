"""From a deployment to a flow's typed settings, on the command line's own way, so that messages are the same."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from flows import flow
from flows.config.compose import Composed, single
from flows.config.diagnose import all_options
from flows.config.engine import Engine, hydra_ready
from flows.config.quoting import literal_overrides
from flows.config.root import Root
from flows.flow import Flow
from flows.serve import allow
from flows.serve.settings import Deployment, Serve
from reel.config import suggest
from reel.errors import UserError


def target(settings: Serve, name: str) -> Flow[Any]:
    """The flow of that name.

    Raises:
        UserError: there is none, or conf/serve.yaml does not list it.
    """
    if name not in settings.allow:
        raise UserError(
            f"flow: {name!r} is not one that may be deployed{suggest(name, settings.allow)}",
            fix=f"conf/serve.yaml allows: {', '.join(settings.allow)}",
        )
    try:
        return flow.get(name)
    except UserError as error:
        raise UserError(f"flow: {error.message}", fix=error.fix) from None


def composed(
    settings: Serve,
    deployment: Deployment,
    chosen: Flow[Any],
    *,
    experiment: str | None,
    overrides: Sequence[str],
    dropped: str | None = None,
    own: Sequence[str] = (),
) -> Composed[Any]:
    """Check what a run is asked for, then compose it.

    Args:
        experiment, overrides, dropped: as asked for by whoever started the run.
        own: overrides of `serve` itself, which may be anything.

    Raises:
        UserError: not allowed, or what the command line says of the same overrides.
    """
    wanted = allow.check(settings, deployment, chosen, overrides, dropped)
    root = Root(chosen.name, chosen.settings)
    with hydra_ready(root) as engine:
        if experiment is not None:
            known = experiments(engine, chosen)
            if experiment not in known:
                raise UserError(
                    f"experiment: no such choice {experiment!r}{suggest(experiment, known)}",
                    fix=f"choices: {', '.join(known) or f'none in conf/experiment/{chosen.name}'}",
                )
            wanted = [f"experiment={experiment}", *wanted]
        done = single(engine, literal_overrides([*wanted, *own], root.keys, multirun=False))
    if chosen.drop and isinstance(file := getattr(done.config, chosen.drop.key, None), Path):
        allow.check_named(settings, deployment, chosen.drop, file)
    return done


def cut(config: Any) -> list[str]:
    """What of its source a render leaves out, in words: nothing where it takes the whole clip."""
    extract = getattr(config, "extract", None)
    found = {key: getattr(extract, key, None) for key in ("start", "end", "max_frames")}
    told = ", ".join(f"extract.{key}={value}" for key, value in found.items() if value is not None)
    return [f"a part of the clip is rendered: {told}"] if told else []


def experiments(engine: Engine, chosen: Flow[Any]) -> list[str]:
    """The flow's experiments, ``<flow>/<stem>`` for conf/experiment/<flow>/<stem>.yaml."""
    return [name for name in all_options(engine, "experiment") if name.startswith(f"{chosen.name}/")]


def schema(settings: Serve, deployment: Deployment, chosen: Flow[Any]) -> dict[str, Any]:
    """What the Prefect server holds every run's parameters against."""
    with hydra_ready(Root(chosen.name, chosen.settings)) as engine:
        return allow.schema(settings, deployment, chosen, experiments(engine, chosen))
