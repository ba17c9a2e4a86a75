"""What `serve` runs, whatever the server's records say.

A deployment's record on the Prefect server names an entry point, steps that fetch code, a work pool; whoever may change
it there could have this machine run anything. So a run's process is started with our own entry point, and never with
the record's; hooks are taken from memory. Beside that a record is compared before each run and now and then: one that
was changed is told and put back, and the run that was due under it is refused.

What a run asks for is held against conf/serve.yaml when it begins (`flows.serve.allow`), wherever it came from.
"""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from prefect.client.orchestration import get_client
from prefect.runner import Runner
from prefect.runner._starter_engine import EngineCommandStarter

from flows.serve import served as entry_points
from flows.serve.recover import REFUSED, Say
from flows.serve.register import Registered


class OwnRunner(Runner):
    """Prefect's runner, which starts our entry points alone.

    Prefect offers no way to say so: `_resolve_starter`, `_state_proposer` and `_deployment_registry` are its own names,
    held by a test.
    """

    def __init__(self, say: Say, **options: Any) -> None:
        super().__init__(**options)
        self.say = say
        self.guarded: dict[UUID, Registered] = {}

    def guard(self, served: Registered, flow: Any) -> None:
        """Run a deployment that was added.

        Args:
            flow: Prefect's flow of it, whose hooks are called.
        """
        self.guarded[served.id] = served
        self._deployment_registry.register_flow(served.id, flow)

    async def __aenter__(self) -> OwnRunner:
        await super().__aenter__()
        self._scheduled_run_poller._resolve_starter = self._own_entry_point
        self._scheduled_run_poller._state_proposer = _Gate(self._state_proposer, self.guarded, self.say)
        return self

    def _own_entry_point(self, flow_run: Any) -> EngineCommandStarter:
        name = self.guarded[flow_run.deployment_id].plan.name
        return EngineCommandStarter(
            tmp_dir=self._tmp_dir,
            entrypoint=f"{entry_points.__name__}.{name}",
            deployment_name=name,
            heartbeat_seconds=self._heartbeat_seconds,
            control_channel=self._control_channel,
        )


class _Gate:
    """Prefect's `StateProposer`, asked before each run; one that is refused here goes no further."""

    def __init__(self, proposer: Any, guarded: Mapping[UUID, Registered], say: Say) -> None:
        self._proposer = proposer
        self._guarded = guarded
        self._say = say

    def __getattr__(self, name: str) -> Any:
        return getattr(self._proposer, name)

    async def propose_pending(self, flow_run: Any) -> bool:
        served = self._guarded[flow_run.deployment_id]
        try:
            async with get_client() as client:
                if why := await _reason(client, served, flow_run, self._say):
                    await refuse(client, served, flow_run, why, self._say)
                    return False
        except Exception as error:  # the server is away, or the deployment is gone: the next look tells
            self._say(f"{served.plan.name}: not compared with the server, so not run now ({type(error).__name__})")
            return False
        return bool(await self._proposer.propose_pending(flow_run))


async def _reason(client: Any, served: Registered, flow_run: Any, say: Say) -> str:
    """Why a run may not be started; empty: it may."""
    if changed := await hold(client, served, say):
        return f"its deployment was changed on the server ({text(changed)})"
    unknown = sorted(set(flow_run.parameters) - set(served.record["parameters"]))
    return f"there is no parameter {text(unknown)}" if unknown else ""


async def hold(client: Any, served: Registered, say: Say) -> list[str]:
    """Compare a deployment's record with what was registered, and put back what differs.

    Returns:
        names of the fields that had been changed.
    """
    from prefect.client.schemas.actions import DeploymentUpdate

    changed = differences(served.record, await client.read_deployment(served.id))
    if changed:
        await client.update_deployment(served.id, DeploymentUpdate(**served.record))
        left = differences(served.record, await client.read_deployment(served.id))
        done = f"it could not be put back ({text(left)}); nothing of it is run" if left else "it is put back"
        say(f"{served.plan.name}: somebody changed this deployment on the Prefect server ({text(changed)}); {done}")
    return changed


def differences(expected: Mapping[str, Any], record: Any) -> list[str]:
    """Names of the fields in which a deployment's record is not as it should be."""
    return [name for name, value in expected.items() if (getattr(record, name) or None) != (value or None)]


async def refuse(client: Any, served: Registered, flow_run: Any, why: str, say: Say) -> None:
    """End a run that was not started, with the reason, as one that has failed."""
    from prefect.states import Failed

    state = Failed(message=f"{REFUSED}{why}; nothing was run")
    await client.set_flow_run_state(flow_run.id, state, force=True)
    say(f"{served.plan.name}: {flow_run.name} is {REFUSED}{why}")
    if served.plan.deployment.on_failure:
        hook = entry_points.failure_hook(served.plan.name, served.plan.deployment)
        try:
            await asyncio.to_thread(hook, None, flow_run, state)
        except (OSError, subprocess.SubprocessError) as error:
            say(f"{served.plan.name}: on_failure: {error}")


def text(names: Sequence[str]) -> str:
    return ", ".join(names)
