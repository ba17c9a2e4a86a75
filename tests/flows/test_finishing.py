"""`finish=[...]`: which ops end a render, in which order, and that none changes nothing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from flows import flow
from flows.config.compose import settings
from flows.config.root import Root
from flows.render import finishing
from flows.render.settings import Rendering
from reel.errors import UserError
from reel.op import Context
from reel.store import Store
from tasks.cached import dry_run


def composed(name: str, *overrides: str) -> Rendering:
    found = flow.get(name)
    config = settings(Root(name, found.settings), ["tracking=none", *overrides]).config
    assert isinstance(config, Rendering)
    return config


def test_the_order_is_the_one_that_was_named():
    for order in (["interpolate", "upscale"], ["upscale", "interpolate"]):
        cfg = composed("dance", f"finish=[{','.join(order)}]", "finish.upscale.factor=3")
        plan = finishing.plan(cfg.finish)
        assert [op.name for op, _ in plan.ops] == order
        assert [name for name, _ in cfg.result_part()["finish"]] == order
        assert dict(cfg.result_part()["finish"])["upscale"]["factor"] == 3


def test_none_is_no_part_of_a_result():
    assert "finish" not in composed("dance").result_part()
    assert finishing.plan({}).inputs("0" * 64, Context(Store.__new__(Store))) == {}


def test_unknown_ones_are_refused_with_those_there_are():
    with pytest.raises(UserError, match=r"no finish named 'interpolat'; nearest: interpolate"):
        finishing.plan({"interpolat": {}})
    with pytest.raises(UserError, match=r"unknown key 'finish.grain.amont'; nearest: amount"):
        finishing.plan({"grain": {"amont": 3}})


def test_a_render_ends_with_them_and_its_frames_keep_their_keys(tmp_path: Path):
    clip = tmp_path / "clip"
    clip.mkdir()
    for number in range(4):
        Image.fromarray(np.full((64, 64, 3), 60 * number, np.uint8)).save(clip / f"{number}.png")
    store = Store(tmp_path / "store")
    found = {}
    for name, more in (("plain", []), ("finished", ["finish=[grain,interpolate]"])):
        small = ["extract.short_side=64", "extract.fps=12", "stylize.num_inference_steps=2", "measure=none"]
        cfg = composed("dance", f"clip={clip}", *small, *more)
        plan = flow.get("dance").plan
        assert plan is not None
        todo, ctx = plan(cfg, store), Context(store, cfg.compute)
        with dry_run() as coming:
            todo.assemble(todo.draw(ctx), ctx)
        found[name] = {one.stage.op: one.stage.key for one in coming}
        assert [op.id for op, _ in todo.ops if op.kind == "finish"] == [op for op in found[name] if "finish" in op]
    plain, finished = found["plain"], found["finished"]
    assert list(finished)[-3:] == ["finish.grain", "finish.interpolate", "assemble"]
    assert {op for op, key in plain.items() if finished[op] != key} == {"assemble"}
