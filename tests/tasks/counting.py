"""A tiny real op for tests of caching, and a script that runs it in a process of its own."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from reel.config import Config
from reel.errors import UserError
from reel.op import Context, get, op
from reel.store import Store


class Counting(Config):
    value: int = 1
    seconds: float = 0.0
    fail: bool = False


@op("test", "counting", version=1, config=Counting, inputs=("source",), distributions=("numpy",))
def counting(cfg: Counting, inputs: Mapping[str, str], ctx: Context) -> str:
    """Stores its value; every call leaves a line in ``<store>/calls``."""
    with (ctx.store.root / "calls").open("a") as file:
        file.write(f"{os.getpid()} {cfg.value}\n")
    time.sleep(cfg.seconds)
    if cfg.fail:
        raise UserError("asked to fail", fix="do not ask")
    ctx.note(weather="fine")
    with ctx.store.draft("number") as draft:
        draft.add("value", f"{cfg.value} {inputs['source']}".encode())
        return draft.commit(value=cfg.value)


def calls(store: Store) -> int:
    path = store.root / "calls"
    return len(path.read_text().splitlines()) if path.exists() else 0


def run(store: Store, cfg: Counting, source: str = "s"):
    from prefect import flow

    from tasks.cached import call

    @flow(name="test")
    def body():
        return call(get("test", "counting"), cfg, {"source": source}, Context(store))

    return body()


if __name__ == "__main__":
    stage = run(Store(Path(sys.argv[1])), Counting(value=int(sys.argv[2]), seconds=float(sys.argv[3])))
    print(stage.digest, stage.reused)
