"""Deployments on the tests' Prefect server, and what asks that server."""

from __future__ import annotations

import asyncio
import datetime
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

from flows.serve.settings import Serve
from tests.flows.test_serve import settings

Result = TypeVar("Result")
SAMPLE = Path(__file__).parents[2] / "data/source/sample.mp4"
WORKER = os.environ.get("PYTEST_XDIST_WORKER", "alone")
"""Ends the names of deployments: the workers of a run share one server, and may share the tests of a file."""


def deployments(folder: Path, end: str) -> tuple[Serve, dict[str, Any]]:
    """Settings, and deployments as the server knows them: ticking ones of either policy, and an inbox.

    Args:
        end: of their names; they are given without it.
    """
    from flows.serve import register

    files = folder / "deployment"
    files.mkdir()
    for policy in ("skip", "once"):
        text = f"flow: dance\nmissed: {policy}\nschedules: [{{interval: 3600}}]\n"
        (files / f"tick_{policy}_{end}.yaml").write_text(text)
    (files / f"box_{end}.yaml").write_text(f"flow: dance\nwatch: {{folder: {folder}/inbox, stable_seconds: 0.5}}\n")
    cfg = settings(f"folder={files}", f"paths.store={folder}/store")

    async def known() -> dict[str, register.Registered]:
        plans = register.check(cfg)
        made = [await register.deployment(cfg, plan) for plan in plans]
        return {
            plan.name.removesuffix(f"_{end}"): register.registered(cfg, plan, one, await one.aapply())
            for plan, one in zip(plans, made, strict=True)
        }

    return cfg, asyncio.run(known())


def with_client(action: Callable[[Any], Awaitable[Result]]) -> Result:
    """Run an async function that takes a client of the server."""
    from prefect.client.orchestration import get_client

    async def run() -> Result:
        async with get_client() as client:
            return await action(client)

    return asyncio.run(run())


def now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)
