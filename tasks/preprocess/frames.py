"""Work frame by frame, in order and in constant memory: what all preprocessors share."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from os import cpu_count
from threading import local
from typing import TYPE_CHECKING

from reel import keys, op
from reel.clip import Clip, ClipWriter, decode_png, encode_png
from reel.config import Config
from reel.op import Context
from reel.store import FrameCache

if TYPE_CHECKING:
    import numpy as np

Worker = Callable[["np.ndarray"], bytes]
"""From a frame `(H, W, 3)` uint8 RGB to its stored result."""


def frame_cache(name: str, cfg: Config, ctx: Context) -> FrameCache:
    """The per-frame results of one detector with these settings, this code, these libraries and these weights."""
    from tasks.weights import fetch as weights

    detector = op.get("preprocess", name)
    models = {source.label: weights.content_id(source) for source in detector.models(cfg)}
    key = keys.make_key(detector, cfg, {}, models)
    return ctx.store.per_frame(f"{name}-{key.digest[:16]}")


def cached_results(
    clip: Clip, cache: FrameCache, make: Callable[[], Worker], ctx: Context, desc: str, workers: int | None = None
) -> Iterator[bytes]:
    """The result of every frame in order; frames that the cache knows are neither decoded nor computed.

    A frame's result depends on that frame alone, so neither the number of workers nor `compute.batch` (how many
    frames are in flight) can change it.

    Args:
        make: builds a worker, once a thread and only when some frame is not in the cache; it loads the model.
        workers: threads at most; None: as many as the machine has cores, 1 for models that bring their own threads.
    """
    made = local()

    def compute(index: int, digest: str) -> bytes:
        if not hasattr(made, "worker"):
            made.worker = make()
        result = made.worker(clip.frame(index))
        cache.put(digest, result)
        return result

    threads = min(workers or cores(ctx), ctx.compute.batch)
    fresh = 0
    waiting: deque[bytes | Future[bytes]] = deque()
    with ThreadPoolExecutor(threads) as pool, ctx.progress(total=clip.count, desc=desc) as bar:
        try:
            for index, digest in enumerate(clip.frame_digests):
                known = cache.get(digest)
                fresh += known is None
                waiting.append(pool.submit(compute, index, digest) if known is None else known)
                if len(waiting) >= ctx.compute.batch:
                    yield _value(waiting.popleft())
                    bar.update()
            while waiting:
                yield _value(waiting.popleft())
                bar.update()
        finally:  # an error or Ctrl-C must not wait for frames that nobody will read
            pool.shutdown(cancel_futures=True)
    ctx.note(frames=clip.count, frames_computed=fresh, work_share=fresh / clip.count)


def cores(ctx: Context) -> int:
    return ctx.compute.threads or cpu_count() or 1


def _value(item: bytes | Future[bytes]) -> bytes:
    return item if isinstance(item, bytes) else item.result()


def map_frames(frames: str, ctx: Context, draw: Callable[[np.ndarray], np.ndarray], desc: str) -> str:
    """A map clip from a cheap function of one frame; no per-frame cache, since it costs less than reading one.

    Args:
        frames: digest of a clip.
        draw: from `(H, W, 3)` uint8 RGB to a map of the same shape.

    Returns:
        the digest of the map clip.
    """
    clip = Clip.open(ctx.store, frames)
    with ClipWriter(ctx.store, kind="map", like=clip) as writer, ctx.progress(total=clip.count, desc=desc) as bar:
        for frame in clip.frames():
            writer.add(draw(frame))
            bar.update()
    return writer.digest


def map_frames_cached(
    frames: str,
    ctx: Context,
    cache: FrameCache,
    make: Callable[[], Callable[[np.ndarray], np.ndarray]],
    desc: str,
) -> str:
    """Like `map_frames` for a costly network: each frame's map is kept in the per-frame cache.

    Args:
        make: loads the network and returns the function that draws a frame's map.
    """
    clip = Clip.open(ctx.store, frames)

    def worker() -> Worker:
        draw = make()
        return lambda frame: encode_png(draw(frame))

    with ClipWriter(ctx.store, kind="map", like=clip) as writer:
        for png in cached_results(clip, cache, worker, ctx, desc, workers=1):
            writer.add(decode_png(png))
    return writer.digest
