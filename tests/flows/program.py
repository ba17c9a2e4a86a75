"""The program called in the tests' own process, and renders for it to find."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from flows import cli
from reel.config import Config
from reel.history.record import RenderRecord
from reel.history.recorder import begin
from reel.keys import make_key, remember
from reel.op import Op
from reel.store import Store


def program(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[int, str, str]]:
    """What calls the program in this process, and gives its exit code and what it wrote to stdout and stderr."""
    monkeypatch.setenv("ROTOSCOPE_DEBUG", "0")  # put back afterwards: --debug sets it

    def call(*argv: object) -> tuple[int, str, str]:
        code = cli.main([str(word) for word in argv])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


class Blur(Config):
    sigma: float = 1.0


class StageDone:
    """What `tasks.cached.Stage` holds, for records made without Prefect."""

    def __init__(self, op: str, key: str, digest: str, reused: bool) -> None:
        self.op, self.key, self.digest, self.reused = op, key, digest, reused
        self.seconds, self.facts = 0.25, {}


def render(store: Store, sigma: float, status: str = "done", seed: int = 0) -> RenderRecord:
    """A render of two stages, really stored, keyed and recorded; its outputs are made of its settings."""
    op = Op("test", "blur", 1, Blur, ("source",), ("numpy",), lambda cfg: (), "map", __name__, lambda *_: "")
    run = f"20260101-{len(list((store.root / 'records').iterdir())):06}-abcdef"  # ids sort by the second only
    recorder = begin(store, "dance", {"sigma": sigma, "seed": seed}, output=store.root / "out", run=run)
    digest = "source"
    for name, cfg in (("first", Blur(sigma=1.0)), ("second", Blur(sigma=sigma))):
        key = make_key(op, cfg, {"source": digest}, {})
        with store.draft("rgb") as draft:
            draft.add("data", f"{name} {cfg.sigma} {seed}".encode() * 1000)
            digest = draft.commit(name=name)
        known = (store.root / "keys" / f"{key.digest}.json").exists()
        if not known:
            remember(store, key, digest, {}, 0.25)
        recorder.stage(StageDone(f"test.{name}", key.digest, digest, known))
    return recorder.finish(status, None if status == "done" else "steps: 0 is too few\nmore lines")
