"""Keys: one spelling for one meaning, and another key for every other meaning."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from pydantic import Field

from reel.canonical import canonical
from reel.code_hash import closure, closure_hash, code_hash
from reel.config import Config, Finite, parse
from reel.errors import UserError
from reel.keys import differences, executed, make_key
from reel.op import Context, Op


class Inner(Config):
    weight: Finite = Field(default=0.5, ge=0)


class Settings(Config):
    steps: int = Field(default=8, ge=1)
    strength: float = 0.6
    name: str = "x"
    inner: Inner = Inner()


def run(cfg: Settings, inputs: Mapping[str, str], ctx: Context) -> str:
    return "0" * 64


def an_op(**changes: object) -> Op:
    values = {
        "kind": "k",
        "name": "n",
        "version": 1,
        "config": Settings,
        "inputs": ("frames", "map_*"),
        "distributions": ("numpy",),
        "models": lambda cfg: (),
        "gives": "map",
        "module": "reel.keys",
        "fn": run,
    }
    return Op(**{**values, **changes})


def key(
    op: Op | None = None, cfg: Settings | None = None, inputs: dict | None = None, models: dict | None = None
) -> str:
    return make_key(
        op or an_op(), cfg or Settings(), {"frames": "a"} if inputs is None else inputs, models or {}
    ).digest


@pytest.mark.parametrize(
    ("a", "b"), [(0.6000000000000001, 0.6), (-0.0, 0.0), ((1, 2), [1, 2]), ({"b": 1, "a": 2}, {"a": 2, "b": 1})]
)
def test_one_spelling(a: object, b: object):
    assert canonical(a) == canonical(b)
    assert str(canonical(-0.0)) == "0.0"


def test_the_executed_settings_are_the_keyed_ones():
    assert executed(Settings(strength=0.2 + 0.4)).strength == 0.6


@pytest.mark.parametrize("value", [float("nan"), float("inf"), object()])
def test_no_canonical_form(value: object):
    with pytest.raises(ValueError, match="cache key"):
        canonical(value)


def test_every_field_counts():
    keys = {
        "plain": key(),
        "setting": key(cfg=Settings(steps=9)),
        "nested": key(cfg=Settings(inner=Inner(weight=0.7))),
        "text": key(cfg=Settings(name="y")),
        "input": key(inputs={"frames": "b"}),
        "input name": key(inputs={"map_frames": "a"}),
        "model": key(models={"unet": "sha256:1"}),
        "other model": key(models={"unet": "sha256:2"}),
        "op version": key(an_op(version=2)),
        "library": key(an_op(distributions=("numpy", "pillow"))),
        "op": key(an_op(name="m")),
    }
    assert len(set(keys.values())) == len(keys)
    assert key() == keys["plain"]


def test_library_version_counts(monkeypatch: pytest.MonkeyPatch):
    before = key()
    monkeypatch.setattr("reel.keys.library_version", lambda name: "0.0.1")
    assert key() != before


def test_an_input_the_op_does_not_take_is_a_mistake():
    with pytest.raises(ValueError, match="takes frames"):
        key(inputs={"frame": "a"})


def test_differences_name_the_field():
    a = make_key(an_op(), Settings(), {"frames": "a"}, {})
    b = make_key(an_op(), Settings(inner=Inner(weight=0.8)), {"frames": "a"}, {})
    assert differences(b.fields, a.fields) == ["config.inner.weight: 0.5 -> 0.8"]


def test_closure_follows_imports():
    assert {"reel.keys", "reel.config", "reel.errors"} <= set(closure("reel.keys"))
    assert "reel.keys" not in closure("reel.store")
    assert closure_hash("reel.keys") != closure_hash("reel.store")


def test_what_was_read_of_the_code_is_kept_for_the_next_process_and_void_for_other_code(tmp_path, monkeypatch):
    from reel import code_hash as reading

    def hashed() -> str:
        for cached in (reading.closure, reading.closure_hash, reading._read, reading._remembered):
            cached.cache_clear()
        return reading.closure_hash("reel.keys")

    fresh = hashed()
    monkeypatch.setattr(reading, "_memory", lambda: tmp_path / "memory.json")
    assert hashed() == fresh
    monkeypatch.setattr(reading, "_parse", lambda source: pytest.fail("a known file was parsed again"))
    assert hashed() == fresh
    monkeypatch.undo()
    monkeypatch.setattr(reading, "_memory", lambda: tmp_path / "memory.json")
    monkeypatch.setattr(reading, "_file", other_text(tmp_path, reading._file))
    assert hashed() != fresh
    monkeypatch.undo()
    assert hashed() == fresh


def other_text(folder: Path, find: Callable[[str], Path | None]) -> Callable[[str], Path | None]:
    """Finds module files as `find` does, but for an edited copy of reel/errors.py."""
    edited = folder / "errors.py"
    edited.write_text("class UserError(Exception): pass\n")
    return lambda name: edited if name == "reel.errors" else find(name)


CODE = 'def f(x: int) -> int:\n    """Doc."""\n    return x + 1  # why\n'


@pytest.mark.parametrize(
    ("other", "same"),
    [
        (CODE.replace("# why", "# because"), True),
        (CODE.replace("Doc", "Other"), True),
        (CODE.replace("    return", "\n    return"), True),
        (CODE.replace("+ 1", "+ 2"), False),
        (CODE.replace("x: int", "x: float"), False),
    ],
)
def test_code_hash_sees_code_and_not_words(other: str, same: bool):
    assert (code_hash(ast.parse(other)) == code_hash(ast.parse(CODE))) is same


def test_messages_name_key_value_and_what_is_allowed():
    with pytest.raises(UserError, match=r"controls.pose.inner.weight: must be greater than or equal to 0 \(got -1\)"):
        parse(Settings, {"inner": {"weight": -1}}, "controls.pose")
    with pytest.raises(UserError, match=r"unknown key 'inner.wieght'; nearest: weight"):
        parse(Settings, {"inner": {"wieght": 1}})
    with pytest.raises(UserError, match=r"unknown key 'inner.qqq'; known: weight"):
        parse(Settings, {"inner": {"qqq": 1}})
    with pytest.raises(UserError, match=r"^inner: must be a group of keys, each with its value \(got 'x'\)$"):
        parse(Settings, {"inner": "x"})
    with pytest.raises(UserError, match=r"inner.weight: must be a finite number"):
        parse(Settings, {"inner": {"weight": float("inf")}})
    with pytest.raises(UserError, match=r"steps: .*integer.* \(got 'abc'\)"):
        parse(Settings, {"steps": "abc"})
