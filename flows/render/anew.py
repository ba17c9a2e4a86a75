"""A past render made again by its lock, in an empty store of its own, and held against what it was."""

from __future__ import annotations

import contextlib
import math
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from flows.config.compose import single
from flows.config.engine import Engine, hydra_ready
from flows.config.past import Past, overrides
from flows.config.quoting import literal_overrides
from flows.config.root import Root
from flows.edge.exits import keep_wish_to_stop, keeping
from flows.edge.job import Job, call
from flows.flow import Flow, RenderPlan
from flows.prefect_server import servers
from flows.prefect_server.run import as_flow
from flows.render import locks
from flows.render.render import announced, dry, publish, say_line
from flows.render.settings import Rendering
from reel.config import counts
from reel.errors import DamagedObject, MissingObject, UserError
from reel.files import canonical_json, sha256_bytes
from reel.history import lock
from reel.history.lock import RenderLock
from reel.history.recorder import Recorder, begin
from reel.op import Context
from reel.store import Store

NEAR = 50.0
"""dB from which two renders look the same: what other kernels, threads or cards change in the last bits."""

Grade = Literal["bit-identical", "near", "different"]


@dataclass(frozen=True)
class Verdict:
    """How a render that was made again stands to the one of then.

    Attributes:
        psnr: dB of the worst frame or sound; infinite: not a bit differs; None: they cannot be compared.
        shown: what was found, by the name of what was compared.
        made_with: versions, device, code that differ, as ``where: then -> now``.
        since: op of the first stage that gave something else; None: all gave the same.
        files: whether each exported file has the same bytes.
    """

    psnr: float | None
    shown: Mapping[str, str]
    made_with: Sequence[str]
    since: str | None
    files: Mapping[str, bool]

    @property
    def grade(self) -> Grade:
        if self.psnr is None or self.psnr < NEAR:
            return "different"
        return "bit-identical" if self.psnr == math.inf else "near"


def verify(then: RenderLock, beside: Sequence[str], home: Store) -> Verdict:
    """Render anew what a lock says, and compare.

    Args:
        beside: overrides that say where sources lie and how to compute; none may change what is made.
        home: the store that may have the frames of then; what is made anew lies in a folder of its own there,
            which goes with the verdict and stays where the work is broken off, for the same command to go on.

    Raises:
        UserError: settings that are no more valid, a source that is another file, a model that cannot be had.
    """
    flow = locks.renderer(then.flow, then.run)
    _check_beside(flow, beside)
    servers.prepare(home.root)  # a server that runs there is used
    with _own_folder(then, beside, home) as folder:
        with hydra_ready(Root(flow.name, flow.settings)) as engine:
            point, lost = _composed(engine, then, beside, folder)
        job = Job(flow.name, point.overrides, dict(point.choices), point.origins)
        now, own = call(lambda cfg: _rendered(flow, cfg, then, home), point.config, job)
        return held(then, now, home, own, lost)


def _check_beside(flow: Flow[Any], beside: Sequence[str]) -> None:
    """Raises: UserError: a setting that makes another render of it."""
    paths = [one for one in Root(flow.name, flow.settings).keys if one.is_path]
    for text in beside:
        key = text.partition("=")[0]
        if "=" not in text or (counts(flow.settings, key) and not any(one.matches(key) for one in paths)):
            raise UserError(
                f"{text}: what is rendered stands in the lock, and cannot be changed",
                fix="only where files lie (clip=there.mp4) and how to compute (compute.threads=4) is said beside it",
            )
        if key.startswith("paths."):
            raise UserError(f"{text}: it is rendered in a folder of its own", fix="--store says in which store")


@contextlib.contextmanager
def _own_folder(then: RenderLock, beside: Sequence[str], home: Store) -> Iterator[Path]:
    """The folder of the empty store; it stays behind only where the work is interrupted."""
    if not home.writable:
        raise UserError(f"the store {home.root} is read-only, and the render is made anew in it", fix="--store another")
    name = sha256_bytes(canonical_json([then.model_dump(mode="json"), sorted(beside)]))[:16]
    folder = home.root / "verify" / name
    with home.lock(f"verify-{name}", wait=False) as free:
        if not free:
            raise UserError(f"another process verifies {then.run} just now", fix="wait until it has ended")
        try:
            yield folder
        except KeyboardInterrupt:
            raise
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        shutil.rmtree(folder, ignore_errors=True)


def _composed(engine: Engine, then: RenderLock, beside: Sequence[str], folder: Path) -> tuple[Any, list[str]]:
    """Checked settings of then, and what of them there is no more, for today's program."""
    threads = then.environment.get("threads", "")
    own = [f"paths.store={folder}", "measure=none", "tracking=none", "live.every=0"]
    if threads.isdecimal() and not any(text.startswith("compute.threads=") for text in beside):
        own.append(f"compute.threads={threads}")
    taken = overrides(engine, Past(then.run, then.settings, then.flow, then.folder), [*own, *beside])
    given = [*taken.overrides, *own, *beside]
    return single(engine, literal_overrides(given, engine.shape.texts, multirun=False), given), taken.lost


def _rendered(flow: Flow[Any], cfg: Rendering, then: RenderLock, home: Store) -> tuple[RenderLock, Store]:
    """The lock of the render made anew, and the store that it was made in."""
    assert flow.plan is not None
    store = Store(cfg.paths.store)
    todo = flow.plan(cfg, store)
    _check_sources(todo, then)
    recorder = begin(store, flow.name, cfg.model_dump(mode="json"), output=store.root / "files")
    ctx = Context(store, cfg.compute, run=recorder.run, told=recorder.stage, say=say_line)
    found = dry(todo, ctx)
    with keeping(lambda: f"{len(recorder.record.stages)} finished stages"), announced(flow.name, found, home):
        as_flow(lambda: _drawn(todo, recorder, ctx), "verify", recorder.run)
    return locks.of_record(store, recorder.finish("done"), flow.settings), store


def _drawn(todo: RenderPlan, recorder: Recorder, ctx: Context) -> None:
    """All stages but the metrics."""
    keep_wish_to_stop()
    made = todo.draw(ctx)
    recorder.pictures(**made.pictures)
    publish(ctx.store, todo.assemble(made, ctx), Path(recorder.record.output or ""), recorder)


def _check_sources(todo: RenderPlan, then: RenderLock) -> None:
    """Raises: UserError: a file that is not the one of then, or that there was none of."""
    if then.sources and (other := sorted(then.sources.keys() ^ todo.sources.keys())):
        raise UserError(
            f"{other[0]}: it was made from {', '.join(then.sources)}, now from {', '.join(todo.sources) or 'none'}",
            fix="beside the lock name no file that there was not",
        )
    for name, source in todo.sources.items():
        if then.sources.get(name, source.digest) != source.digest:
            raise UserError(
                f"{name}: {source.path} is not the file of then (sha256 {source.digest[:12]}, the lock says "
                f"{then.sources[name][:12]})",
                fix=f"say where that one lies: {name}=FILE",
            )


def held(then: RenderLock, now: RenderLock, home: Store, own: Store, lost: Sequence[str] = ()) -> Verdict:
    """Hold a render that was made again against what it was.

    Args:
        home, own: stores with the frames of then and of now.
        lost: settings of then that there are no more.
    """
    worst: float | None = math.inf
    shown = {}
    for name, digest in then.shown.items():
        found, shown[name] = _likeness(digest, now.shown.get(name), home, own)
        worst = None if worst is None or found is None else min(worst, found)
    if not then.shown or then.shown.keys() != now.shown.keys():
        worst = None
    made_with = [*lock.environments(then, now), *(f"settings: there is no {one} any more" for one in lost)]
    files = {name: now.files.get(name) == digest for name, digest in then.files.items() if name in now.files}
    return Verdict(worst, shown, made_with, lock.first_other(then, now), files)


def _likeness(then: str, now: str | None, home: Store, own: Store) -> tuple[float | None, str]:
    """dB and words of one of the clips and sounds that are shown."""
    from tasks.compare.likeness import alike

    if now is None:
        return None, "was not made this time"
    if then == now:
        return math.inf, "the same, to the last bit"
    try:
        found = alike(home.get(then), own.get(now))
    except (MissingObject, DamagedObject) as error:
        return None, f"other bytes; how near cannot be told, since what it was is gone ({error.message})"
    return found.psnr, found.told


def say(verdict: Verdict, then: RenderLock) -> None:
    """Tell the verdict: the grade and the numbers on stdout, why on the lines below."""
    words = {
        "bit-identical": "bit-identical",
        "near": f">= {NEAR:g} dB: the worst frame has {verdict.psnr or 0:.1f} dB",
        "different": "different" + ("" if verdict.psnr is None else f": the worst frame has {verdict.psnr:.1f} dB"),
    }
    print(f"{then.flow} {then.run}: {words[verdict.grade]}")
    for name, told in verdict.shown.items():
        print(f"  {name:<8} {told}")
    if verdict.since is not None:
        print(f"  {'since':<8} {verdict.since} is the first stage that gave something else")
    other = [name for name, same in verdict.files.items() if not same]
    if verdict.files:
        print(f"  {'files':<8} {'other bytes: ' + ', '.join(other) if other else 'the same bytes'}")
    for line in verdict.made_with:
        print(f"  {'differs':<8} {line}")
    if verdict.grade != "bit-identical" and not verdict.made_with:
        print(f"  {'differs':<8} nothing that the lock holds; a driver, say")
