"""What a process pays once is told from an op's own work: imports and loading, by a clock that the test turns."""

from __future__ import annotations

import builtins
import importlib
import sys
import threading
from pathlib import Path

import pytest

from reel import startup
from reel.startup import loading, watched


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def perf_counter(self) -> float:
        return self.now

    def passes(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Clock:
    """A clock that the modules ``slow_outer`` (2 s, and imports) and ``slow_inner`` (1 s) turn when imported."""
    clock = Clock()
    monkeypatch.setattr(startup, "time", clock)
    monkeypatch.setattr(builtins, "test_clock", clock, raising=False)
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "slow_inner.py").write_text("test_clock.passes(1)\n")
    (tmp_path / "slow_outer.py").write_text("test_clock.passes(2)\nimport slow_inner\n")
    for name in ("slow_inner", "slow_outer"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    return clock


def test_imports_are_told_from_work_nested_ones_counted_once(clock: Clock):
    with watched() as watch:
        clock.passes(10)
        import slow_outer  # noqa: F401
        import slow_outer as again  # noqa: F401

        clock.passes(10)
    assert (watch.importing, watch.loading) == (3, 0)


def test_lazy_imports_count_too(clock: Clock):
    with watched() as watch:
        importlib.import_module("slow_inner")
    assert watch.importing == 1


def test_an_import_within_a_loading_is_no_loading(clock: Clock):
    with watched() as watch, loading():
        clock.passes(4)
        import slow_inner  # noqa: F401

        with loading():
            clock.passes(5)
    assert (watch.importing, watch.loading) == (1, 9)


def test_other_threads_and_times_are_not_watched(clock: Clock):
    with watched() as watch:
        thread = threading.Thread(target=lambda: importlib.import_module("slow_inner"))
        thread.start()
        thread.join()
    import slow_outer  # noqa: F401

    with loading():
        clock.passes(1)
    assert (watch.importing, watch.loading) == (0, 0)


def test_python_has_its_import_back_afterwards_whatever_happens(clock: Clock):
    before = builtins.__import__, importlib.import_module
    with pytest.raises(ModuleNotFoundError), watched() as watch:
        import there_is_no_such_module  # noqa: F401
    assert (builtins.__import__, importlib.import_module) == before
    with watched(), watched():
        assert builtins.__import__ is not before[0]
    assert (builtins.__import__, importlib.import_module) == before
    assert watch.importing == 0
