"""From op to Prefect task: the only place that makes one.

Prefect looks the key up and orders, retries and shows the work; the store keeps the bytes. Three things are added here:
single flight across processes (an OS flock, which the kernel frees even after ``kill -9``), healing (a hit whose bytes
are gone or damaged is computed anew), and a note of what every key was made of.
"""

from __future__ import annotations

import dataclasses
import resource
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from reel.config import Config
from reel.errors import DamagedObject, MissingObject
from reel.keys import Key, executed, make_key, recall, remember
from reel.op import Context, Op
from reel.store import Store
from tasks.weights import content_id


@dataclass(frozen=True)
class Stage:
    """What one op gave in a run.

    Attributes:
        key: its cache key.
        digest: the stored output.
        reused: whether it came from the cache.
        seconds: wall seconds of this call, look-up included.
        facts: provenance noted when the output was computed.
    """

    op: str
    key: str
    digest: str
    reused: bool
    seconds: float
    facts: Mapping[str, Any]


def call(op: Op, cfg: Config, inputs: Mapping[str, str], ctx: Context) -> Stage:
    """Run an op inside the current Prefect flow, or take its output from the cache.

    Args:
        cfg: the op's whole settings; what runs is their canonical form, exactly what the key says.
        inputs: digests by input name.
        ctx: store, compute settings and paths of external inputs.

    Raises:
        UserError: from the op itself, or for a model that can be had nowhere.
    """
    started = time.perf_counter()
    cfg = executed(cfg)
    key = make_key(op, cfg, inputs, {source.label: content_id(source) for source in op.models(cfg)})
    with ctx.store.lock(f"op-{key.digest}"):
        digest, reused = _through_prefect(op, cfg, inputs, ctx, key, refresh=False)
        if reused and not sound(ctx.store, digest):
            digest, reused = _through_prefect(op, cfg, inputs, ctx, key, refresh=True)
    facts = (recall(ctx.store, key.digest) or {}).get("facts", {})
    return Stage(op.id, key.digest, digest, reused, time.perf_counter() - started, facts)


def sound(store: Store, digest: str) -> bool:
    """Whether an object is whole, every byte read; a damaged one is taken out of the way."""
    try:
        store.verify(digest)
    except MissingObject:
        return False
    except DamagedObject:
        store.discard(digest)
        return False
    return True


def _through_prefect(
    op: Op, cfg: Config, inputs: Mapping[str, str], ctx: Context, key: Key, *, refresh: bool
) -> tuple[str, bool]:
    from prefect import task
    from prefect.cache_policies import CacheKeyFnPolicy

    ran = False

    def compute(key: str) -> str:
        nonlocal ran
        ran = True
        return _compute(op, cfg, inputs, ctx, this)

    this = key
    prefect_task = task(
        compute,
        name=op.id,
        task_run_name=op.id,
        cache_policy=CacheKeyFnPolicy(cache_key_fn=lambda _, parameters: parameters["key"]),
        persist_result=True,
        result_storage=ctx.store.root / "results",  # pointers live beside the objects: two checkouts never mix
        result_serializer="json",
        refresh_cache=refresh,
    )
    return prefect_task(key=key.digest), not ran


def _compute(op: Op, cfg: Config, inputs: Mapping[str, str], ctx: Context, key: Key) -> str:
    own = dataclasses.replace(ctx, facts={})
    started = time.perf_counter()
    digest = op.fn(cfg, inputs, own)
    own.note(peak_memory_mib=round(peak_memory() / 2**20))
    remember(ctx.store, key, digest, own.facts, time.perf_counter() - started)
    return digest


def peak_memory() -> int:
    """The process's peak resident memory so far, bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
