"""From op to Prefect task: the only place that makes one.

Prefect looks the key up and orders, retries and shows the work; the store keeps the bytes. Three things are added here:
single flight across processes (an OS flock, which the kernel frees even after ``kill -9``), healing (a hit whose bytes
are gone or damaged is computed anew), and a note of what every key was made of.
"""

from __future__ import annotations

import contextlib
import contextvars
import dataclasses
import logging
import resource
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from reel.config import Config
from reel.errors import DamagedObject, MissingObject
from reel.files import sha256_bytes
from reel.keys import Key, executed, kept, make_key, recall, remember
from reel.op import Context, Op
from reel.pointer import drop_odd_pointer
from reel.startup import watched
from reel.store import Store
from reel.whole import whole
from reel.work import Work, extent
from tasks.environment import environment
from tasks.stylize.settings.compute import hardware
from tasks.weights.fetch import content_id

log = logging.getLogger(__name__)


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
        ctx: store, compute settings and paths of external inputs; it is told of the finished stage.

    Raises:
        UserError: from the op itself, or for a model that can be had nowhere.
    """
    started = time.perf_counter()
    asked = (op, cfg, dict(inputs))
    if (dry := _dry.get()) is not None and (known := dry.known(asked)) is not None:
        dry.found.append(known)
        return ctx.tell(known.stage)
    cfg = executed(cfg)
    key = make_key(op, cfg, inputs, {source.label: content_id(source) for source in op.models(cfg)})
    if dry is not None:
        dry.found.append(dataclasses.replace(_foresee(op, cfg, inputs, ctx, key, dry.found), asked=asked))
        return ctx.tell(dry.found[-1].stage)
    with ctx.store.lock(f"op-{key.digest}"):
        there = _there(ctx.store, key, op)
        digest, reused = _through_prefect(op, cfg, inputs, ctx, key, refresh=there is None)
    if there is not None and reused:
        digest = there
    facts = (recall(ctx.store, key.digest) or {}).get("facts", {})
    return ctx.tell(Stage(op.id, key.digest, digest, reused, time.perf_counter() - started, facts))


def _there(store: Store, key: Key, op: Op) -> str | None:
    """A key's output if the store has it, every byte of it. What is damaged is told of, and out of the way."""
    known = kept(store, key.digest)
    if known is not None:
        return str(known["output"]) if sound(store, known["output"]) else None
    entry = recall(store, key.digest) or {}
    if why := drop_odd_pointer(store, key.digest, entry.get("output", "")):
        log.warning("%s: the pointer in results/%s is not used: %s; made again", op.id, key.digest[:12], why)
    return None


@dataclass(frozen=True)
class Foreseen:
    """What a run would do at one op. Where it is to be computed, the stage's digest stands in for the output's.

    Attributes:
        fields: of the cache key.
        work: what there is to do; None: nothing, the output is there.
        asked: op, settings and inputs of the call.
    """

    stage: Stage
    fields: Mapping[str, Any]
    work: Work | None = None
    asked: tuple[Op, Config, Mapping[str, str]] | None = field(default=None, compare=False, repr=False)


@dataclass
class _DryRun:
    """Calls foreseen so far, and those of an earlier dry run."""

    found: list[Foreseen]
    before: Sequence[Foreseen]

    def known(self, asked: tuple[Op, Config, Mapping[str, str]]) -> Foreseen | None:
        """The earlier call of the very same op, settings (the same object) and inputs."""
        same = ((one, one.asked) for one in self.before if one.asked is not None)
        return next((one for one, (op, cfg, given) in same if (op, given) == asked[::2] and cfg is asked[1]), None)


_dry: contextvars.ContextVar[_DryRun | None] = contextvars.ContextVar("dry", default=None)


@contextlib.contextmanager
def dry_run(before: Sequence[Foreseen] = ()) -> Iterator[list[Foreseen]]:
    """`call` computes nothing inside: it tells what it would find in the cache and what it would compute.

    Keys of what comes after an op that is to be computed are made with a stand-in for its output: they are no keys of
    the store, but calls that would share a result share them.

    Args:
        before: what an earlier dry run of the same plan gave; its calls are not looked up again.
    """
    found: list[Foreseen] = []
    token = _dry.set(_DryRun(found, before))
    try:
        yield found
    finally:
        _dry.reset(token)


def _foresee(
    op: Op, cfg: Config, inputs: Mapping[str, str], ctx: Context, key: Key, before: Sequence[Foreseen]
) -> Foreseen:
    known = kept(ctx.store, key.digest)
    if known is not None and (ctx.store.folder(known["output"]) / "manifest.json").is_file():
        return Foreseen(Stage(op.id, key.digest, known["output"], True, 0.0, known["facts"]), key.fields)
    stage = Stage(op.id, key.digest, sha256_bytes(f"foreseen {key.digest}".encode()), False, 0.0, {})
    return Foreseen(stage, key.fields, _work(op, cfg, inputs, ctx, before))


def _work(op: Op, cfg: Config, inputs: Mapping[str, str], ctx: Context, before: Sequence[Foreseen] = ()) -> Work:
    """What a call has to do, and on what.

    Args:
        before: calls of the same dry run, whose outputs are not there yet.
    """
    coming = {one.stage.digest: one.work.extent for one in before if one.work is not None}
    found = {name: coming.get(digest) or extent(ctx.store, digest) for name, digest in inputs.items()}
    work = op.work(cfg, {name: one for name, one in found.items() if one is not None}, ctx)
    torch = "torch" in op.distributions
    place = {"hardware": hardware(ctx.compute, torch=torch), **({"offload": ctx.compute.offload} if torch else {})}
    return dataclasses.replace(work, pace={**work.pace, **place})


def sound(store: Store, digest: str) -> bool:
    """Whether an object is whole, every byte read; a damaged one is told of, and taken out of the way."""
    try:
        store.verify(digest)
    except MissingObject:
        return False
    except DamagedObject as error:
        log.warning("%s; it is made again", error.message)
        if store.writable:
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
    if (render := whole()) is not None:
        render.begin(op.id)
    started, before = time.perf_counter(), _loaded()
    forget_device_peak()
    with watched() as watch:
        digest = op.fn(cfg, inputs, own)
    seconds = time.perf_counter() - started
    own.note(peak_memory_mib=round(peak_memory() / 2**20), environment=environment(op, ctx.compute))
    if (on_device := device_peak()) is not None:
        own.note(peak_device_memory_mib=round(on_device / 2**20))
    if new := sorted(_loaded() - before):
        own.note(loaded=new)
    did = _work(op, cfg, inputs, own).noted(own.facts.get("work_share", 1.0), watch)
    remember(ctx.store, key, digest, own.facts, seconds, did)
    _used.update(key.fields["libraries"], key.fields["models"].values())
    return digest


_used: set[str] = set()


def used() -> frozenset[str]:
    """Names of libraries and contents of models that ops of this process have used, and need not wait for again."""
    return frozenset(_used)


def _loaded() -> set[str]:
    """Short names of the models that this process holds; of none, where no op has loaded one yet."""
    memory = sys.modules.get("tasks.weights.memory")
    keys = memory.LOADED.keys() if memory else []
    return {f"{key.partition(' ')[0]} {sha256_bytes(key.encode())[:8]}" for key in keys}


def peak_memory() -> int:
    """The process's peak resident memory so far, bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def device_peak() -> int | None:
    """The most memory that tensors took on the first card since `forget_device_peak`, bytes; None: none was used."""
    cuda = _cuda()
    return None if cuda is None else int(cuda.max_memory_allocated())


def forget_device_peak() -> None:
    """Begin to count anew."""
    if (cuda := _cuda()) is not None:
        cuda.reset_peak_memory_stats()


def _cuda() -> Any | None:
    """torch's CUDA where this process has used it; nothing is imported to find out."""
    torch = sys.modules.get("torch")
    return torch.cuda if torch is not None and torch.cuda.is_initialized() else None
