"""The GPU slot: a concurrency limit on the Prefect server. Where it does not exist Prefect waits for nothing and says
nothing, so it is made first and asked for strictly."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping

LEASE = 60.0
"""Seconds after which the slot of a process that was killed is free again; a living one renews it."""


async def make(slots: Mapping[str, int]) -> None:
    """Make the limits, or set them to what the settings say."""
    from prefect.client.orchestration import get_client

    async with get_client() as client:
        for name, limit in slots.items():
            await client.upsert_global_concurrency_limit_by_name(name, limit)


@contextlib.contextmanager
def held(name: str | None, limit: int) -> Iterator[None]:
    """Hold one slot; waits until one is free.

    Args:
        limit: how many there are, should the server not know the limit yet (another server, a new database).
    """
    if name is None:
        yield
        return
    from prefect.client.orchestration import get_client
    from prefect.concurrency.sync import concurrency
    from prefect.exceptions import ObjectNotFound

    with get_client(sync_client=True) as client:
        try:
            client.read_global_concurrency_limit_by_name(name)
        except ObjectNotFound:
            client.upsert_global_concurrency_limit_by_name(name, limit)
    # A render of hours is not ended because the server was away for a minute when the slot was to be renewed.
    with concurrency(name, occupy=1, strict=True, lease_duration=LEASE, raise_on_lease_renewal_failure=False):
        yield
