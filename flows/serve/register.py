"""Deployments as the Prefect server keeps them."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

from flows.config.compose import Composed
from flows.flow import Flow
from flows.serve import allow, request
from flows.serve.settings import ANCHOR, Deployment, Serve, file_of, names, read
from reel.config import suggest
from reel.errors import UserError

TAG = "rotoscope"


@dataclass(frozen=True)
class Plan:
    """A deployment that was checked.

    Attributes:
        point: what its own experiment and overrides compose to.
    """

    name: str
    file: Path
    deployment: Deployment
    target: Flow[Any]
    point: Composed[Any]


@dataclass(frozen=True)
class Registered:
    """A deployment that the server knows.

    Attributes:
        record: what the server's record of it must say, as far as it decides what is run (`flows.serve.guard`).
    """

    plan: Plan
    id: UUID
    record: Mapping[str, Any]

    def unknown(self, parameters: Iterable[str]) -> list[str]:
        """Parameters of a run that the deployment's flow does not have, so that no process could ever begin it."""
        drop = self.plan.target.drop
        return sorted(set(parameters) - {"experiment", "overrides", *([drop.key] if drop else [])})


def check(settings: Serve) -> list[Plan]:
    """Read and check the deployments that are to be served.

    Raises:
        UserError: the first thing that is wrong; the message begins with the file.
    """
    wanted = settings.deployments or names(settings)
    if not wanted:
        raise UserError(f"no deployments in {settings.folder}", fix="write one there: docs/deployments/ shows how")
    return [_checked(settings, name) for name in dict.fromkeys(wanted)]


def _checked(settings: Serve, name: str) -> Plan:
    file = file_of(settings, name)
    deployment = read(settings, name)
    try:
        target = request.target(settings, deployment.flow)
        if deployment.slot is not None and deployment.slot not in settings.slots:
            raise UserError(
                f"slot: there is no slot {deployment.slot!r}{suggest(deployment.slot, settings.slots)}",
                fix=f"conf/serve.yaml has: {', '.join(settings.slots)}; or slot: null for none",
            )
        if deployment.watch and target.drop is None:
            raise UserError(f"watch: {deployment.flow} takes no file", fix="watch a folder for a flow that does")
        allow.check_roots(settings, deployment)
        _check_runnable(deployment)
        point = request.composed(
            settings, deployment, target, experiment=deployment.experiment, overrides=deployment.overrides
        )
    except UserError as error:
        raise UserError(f"{file}: {error.message}", fix=error.fix) from error.__cause__
    return Plan(name, file, deployment, target, point)


def _check_runnable(deployment: Deployment) -> None:
    """Whether what a deployment calls is on this machine.

    Raises:
        UserError: there is no such program.
    """
    if deployment.on_failure and shutil.which(program := deployment.on_failure[0]) is None:
        if Path(program).exists():
            raise UserError(
                f"on_failure: {program!r} may not be started as a program",
                fix="name a program, or make a script of your own executable",
            )
        raise UserError(
            f"on_failure: there is no program {program!r} on this machine", fix="its whole path, or a name in PATH"
        )


async def deployment(settings: Serve, plan: Plan) -> Any:
    """A plan as Prefect's `RunnerDeployment`: its flow is found by name, in a process of its own."""
    from prefect.client.schemas.objects import ConcurrencyLimitConfig, ConcurrencyLimitStrategy
    from prefect.schedules import Schedule
    from prefect.utilities.callables import ParameterSchema

    from flows.serve import served  # imports Prefect, which reads its address when it is imported

    wanted = plan.deployment
    limit = wanted.concurrency_limit and ConcurrencyLimitConfig(
        limit=wanted.concurrency_limit, collision_strategy=ConcurrencyLimitStrategy(wanted.collision_strategy)
    )
    made = await served.flow_of(settings, plan.name).ato_deployment(
        name=plan.name,
        schedules=[
            Schedule(cron=one.cron, interval=one.interval, rrule=one.rrule, timezone=one.timezone, anchor_date=ANCHOR)
            for one in wanted.schedules
        ],
        paused=wanted.paused,
        concurrency_limit=limit,
        parameters={
            **{"experiment": wanted.experiment, "overrides": list(wanted.overrides)},
            **({plan.target.drop.key: None} if plan.target.drop else {}),
        },
        description=wanted.description or f"{plan.file.name}: {wanted.flow} {wanted.experiment or ''}".strip(),
        tags=[TAG, *wanted.tags],
        job_variables=settings.job_variables or None,
    )
    if not wanted.schedules:
        made.schedules = []  # said outright: otherwise those of an earlier version of the file would stay
    made.entrypoint = f"{served.__name__}.{plan.name}"
    made.work_pool_name = settings.work_pool  # said outright, too: None takes it back from a pool
    made._parameter_openapi_schema = ParameterSchema(**request.schema(settings, wanted, plan.target))
    return made


def registered(settings: Serve, plan: Plan, made: Any, id: UUID) -> Registered:
    """A deployment that the server was told of.

    Args:
        made: from `deployment`.
    """
    record = {
        "entrypoint": made.entrypoint,
        "path": made._path,
        "pull_steps": [],
        "storage_document_id": None,
        "infrastructure_document_id": None,
        "work_pool_name": settings.work_pool,
        "job_variables": dict(settings.job_variables),
        "parameters": dict(made.parameters),
        "enforce_parameter_schema": True,
        "parameter_openapi_schema": made._parameter_openapi_schema.model_dump(exclude_unset=True),
    }
    return Registered(plan, id, record)
