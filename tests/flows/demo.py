"""A small flow for the tests of the command line: real settings, real Hydra, and a run that writes down what it got.

It has what `dance` has (text, paths, groups, controls by name) and needs no model.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Annotated

from flows.edge import entry
from flows.edge.job import current
from flows.flow import Flow
from flows.paths import Paths
from reel.config import OPERATIONAL, Config, Field, LocalPath, Text
from reel.errors import UserError
from reel.files import explained

EXAMPLES = ('rotoscope demo prompt="a blue dancer"', "rotoscope demo -m controls.pose.weight=0.4,0.8")


class Control(Config):
    weight: float = Field(default=1.0, ge=0, le=2)
    """How strongly the map binds."""
    end: float = Field(default=1.0, ge=0, le=1)
    """Share of the steps after which it lets go."""
    note: Text = ""
    """Anything; in no YAML file."""


class Model(Config):
    name: str
    width: int = Field(ge=8)
    """Frame width (px)."""


class Demo(Config):
    prompt: Text
    """What to draw."""
    negative_prompt: Text = ""
    """What to avoid."""
    clip: LocalPath
    """The clip to start from."""
    steps: int = Field(default=8, ge=1, le=100)
    """Denoising steps."""
    strength: float = Field(default=0.6, gt=0, le=1)
    """How far from the clip."""
    seed: int = Field(default=0, ge=0)
    """Noise."""
    mask: LocalPath | None = None
    """Where to draw; empty: everywhere."""
    fail_at: int | None = None
    """For the tests: the step count at which the run fails."""
    model: Model
    controls: dict[str, Control]
    paths: Annotated[Paths, OPERATIONAL]


def run(cfg: Demo) -> dict:
    """Writes its settings down as a line of JSON in $DEMO_OUT."""
    if cfg.fail_at == cfg.steps:
        raise UserError(f"steps: {cfg.steps} is where it fails", fix="another step count")
    if os.environ.get("DEMO_FULL") == str(cfg.steps):
        with explained(Path("film")):
            Path("/dev/full").write_bytes(b"a film")
    if cfg.fail_at == -cfg.steps:
        raise RuntimeError("a bug")
    if cfg.fail_at == 1000:
        print("waiting", flush=True)
        time.sleep(60)
    _happen(cfg.steps)
    job = current()
    line = cfg.model_dump(mode="json") | {"_num": job.num, "_flow": job.flow, "_overrides": list(job.overrides)}
    with Path(os.environ["DEMO_OUT"]).open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")
    return line


def _happen(steps: int) -> None:
    """What ``$DEMO_HOOK`` wants to happen at a step count: ``5:wait``, ``5:once`` (wait the first time), ``5:die``,
    ``5:memory``, ``*:pause``, ``5:slow``; several with commas between them."""
    for hook in os.environ.get("DEMO_HOOK", "").split(","):
        where, _, what = hook.partition(":")
        if where in ("*", str(steps)):
            _hooked(what)


def _hooked(what: str) -> None:
    seen = Path(f"{os.environ['DEMO_OUT']}.once")
    if what == "wait" or (what == "once" and not seen.exists()):
        seen.touch()
        print("waiting", flush=True)
        time.sleep(60)
    elif what == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    elif what == "memory":
        bytearray(64 << 30)
    elif what == "pause":
        time.sleep(0.3)
    elif what == "slow":
        time.sleep(2)


FLOW = Flow("demo", Demo, run, about=__doc__, examples=EXAMPLES)


def main(argv: list[str] | None = None) -> int:
    return entry.run_flow(FLOW, argv, conf=Path(__file__).parent / "demo_conf")


if __name__ == "__main__":
    sys.exit(main())
