"""From a deployment to a flow's typed settings, on the command line's own way, so that messages are the same."""

from __future__ import annotations

import importlib
import typing
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from flows.config.compose import Composed, Root, hydra_ready, single
from flows.config.quoting import literal_overrides
from flows.serve import allow
from flows.serve.settings import Deployment, Serve
from reel.config import Config, suggest
from reel.errors import UserError


@dataclass(frozen=True)
class Target:
    """A flow: its root config with the class of its settings, and what runs on them."""

    root: Root[Any]
    run: Callable[[Any], Any]


def target(settings: Serve, flow: str) -> Target:
    """The flow of that name.

    Raises:
        UserError: there is none, or conf/serve.yaml does not list it.
    """
    from flows.cli import COMMANDS, available

    known = available()
    if flow not in settings.allow:
        raise UserError(
            f"flow: {flow!r} is not one that may be deployed{suggest(flow, settings.allow)}",
            fix=f"conf/serve.yaml allows: {', '.join(settings.allow)}",
        )
    if flow not in known or flow in COMMANDS:
        raise UserError(f"flow: there is no flow {flow!r}", fix="rotoscope --help lists them")
    module = importlib.import_module(known[flow])
    parameter = next(iter(typing.get_type_hints(module.run).values()))  # run(cfg: Dance)
    assert issubclass(parameter, Config)
    return Target(Root(known[flow].rpartition(".")[2], parameter), module.run)


def composed(
    settings: Serve,
    deployment: Deployment,
    chosen: Target,
    *,
    experiment: str | None,
    overrides: Sequence[str],
    clip: str | None = None,
    own: Sequence[str] = (),
) -> Composed[Any]:
    """Check what a run is asked for, then compose it.

    Args:
        experiment, overrides, clip: as asked for by whoever started the run.
        own: overrides of `serve` itself, which may be anything.

    Raises:
        UserError: not allowed, or what the command line says of the same overrides.
    """
    wanted = allow.check(settings, deployment, chosen.root.cls, overrides, clip)
    with hydra_ready(chosen.root) as engine:
        if experiment is not None:
            known = experiments(engine, chosen)
            if experiment not in known:
                raise UserError(
                    f"experiment: no such choice {experiment!r}{suggest(experiment, known)}",
                    fix=f"choices: {', '.join(known) or f'none in conf/experiment/{chosen.root.name}'}",
                )
            wanted = [f"experiment={experiment}", *wanted]
        return single(chosen.root, engine, literal_overrides([*wanted, *own], chosen.root.keys, multirun=False))


def experiments(engine: Any, chosen: Target) -> list[str]:
    """The flow's experiments, ``dance/traced`` for conf/experiment/dance/traced.yaml."""
    from flows.config.diagnose import all_options

    return [name for name in all_options(engine, "experiment") if name.startswith(f"{chosen.root.name}/")]


def schema(settings: Serve, deployment: Deployment, chosen: Target) -> dict[str, Any]:
    """What the Prefect server holds every run's parameters against."""
    with hydra_ready(chosen.root) as engine:
        return allow.schema(settings, deployment, chosen.root.cls, experiments(engine, chosen))
