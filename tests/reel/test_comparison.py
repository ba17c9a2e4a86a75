"""Comparisons as data: axes from what differs, points of a sweep, places in a grid, and what is told of bad input."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from reel.errors import UserError
from reel.history.comparison import ABSENT, Axis, Point, compare, of_runs, places, settings
from reel.history.record import RenderRecord

START = datetime(2026, 1, 1, tzinfo=UTC)


def id_of(name: str) -> str:
    """A run's id that ends in a short name of hexadecimal digits."""
    return f"20260101-000000-{name:0>6}"


def run(name: str, config: dict[str, Any], status: str = "done", **metrics: float) -> RenderRecord:
    return RenderRecord.model_validate(
        {"run": id_of(name), "flow": "dance", "status": status, "started": START, "config": config, "metrics": metrics}
    )


def weights(pose: float, **others: Any) -> dict[str, Any]:
    return {"controls": {"pose": {"weight": pose, "preprocess": "blazepose"}}, "prompt": "a dancer", **others}


def keys(axes: tuple[Axis, ...]) -> list[str]:
    return [axis.key for axis in axes]


def test_axes_are_the_settings_that_differ_and_numbers_ascend():
    found = compare("x", of_runs([run("a", weights(1.0)), run("b", weights(0.4)), run("c", weights(0.6))]))
    assert keys(found.axes) == ["controls.pose.weight"]
    assert found.axes[0].values == ("0.4", "0.6", "1.0")
    assert [point.values["controls.pose.weight"] for point in found.points] == ["1.0", "0.4", "0.6"]
    assert found.reference == id_of("a")


def test_settings_that_change_together_are_one_axis_named_by_the_most_telling():
    one = {"model": {"name": "sprite"}, "stylize": {"sampler": "lcm"}, "seed": 1}
    other = {"model": {"name": "sd15"}, "stylize": {"sampler": "ddim"}, "seed": 1}
    found = compare("x", of_runs([run("a", one), run("b", other), run("c", {**other, "seed": 2})]))
    assert sorted(keys(found.axes)) == ["model.name", "seed"]
    by_key = {axis.key: axis for axis in found.axes}
    assert by_key["model.name"].linked == ("stylize.sampler",)


def test_only_what_the_result_is_made_of_is_an_axis_and_what_is_missing_is_a_value():
    one = run("a", weights(1.0, paths={"store": "/a"}, tracking={"uri": "http://me:pw@x"}))
    other = run("b", weights(1.0, paths={"store": "/b"}, tracking={"uri": "y"}, seed=3))
    one = one.model_copy(update={"result": weights(1.0)})
    other = other.model_copy(update={"result": weights(1.0, seed=3)})
    found = compare("x", of_runs([one, other]))
    assert keys(found.axes) == ["seed"]
    assert found.axes[0].values == (ABSENT, "3")
    assert not any("pw" in str(value) for value in settings(one).values())


def test_a_record_that_does_not_say_what_it_is_made_of_shows_no_folder_and_no_address():
    old = run("a", weights(1.0, paths={"store": "/a"}, tracking={"uri": "http://me:pw@x"}, compute={"device": "cpu"}))
    assert old.result is None
    assert settings(old) == {"controls.pose.weight": 1.0, "controls.pose.preprocess": "blazepose", "prompt": "a dancer"}


def test_what_a_model_is_made_of_stands_after_all_other_settings():
    found = settings(run("a", {"model": {"name": "sprite", "base": {"id": "x"}}, "seed": 0}))
    assert list(found) == ["model.name", "seed", "model.base.id"]


def test_places_span_the_first_axis_across_and_the_others_down():
    runs = [run(f"{p}{s}", weights(p / 10, seed=s)) for p in (4, 8) for s in (1, 2, 3)]
    found = compare("x", of_runs(runs), first=["seed"])
    where = places(found)
    assert where.is_grid
    assert where.columns == ("1", "2", "3")
    assert where.rows == (("0.4",), ("0.8",))
    assert where.at[0] == (0, 0)
    assert where.at[5] == (1, 2)


def test_points_that_span_no_grid_are_strung_together():
    runs = [run(str(n), {"seed": n, "prompt": f"p{n}", "strength": n / 10, "steps": n * n % 5}) for n in range(6)]
    where = places(compare("x", of_runs(runs)))
    assert not where.is_grid
    assert len(set(where.at.values())) == 6


def test_undeclared_metrics_are_shown_and_cost_comes_last():
    a = run("a", weights(1.0), **{"my_number": 3.0, "flicker.mean": 2.0})
    a = a.model_copy(update={"ended": START.replace(second=9), "peak_memory_mib": 5.0})
    found = compare("x", of_runs([a, run("b", weights(0.5), **{"flicker.mean": float("nan")})]))
    assert [metric.key for metric in found.metrics] == ["flicker.mean", "my_number", "seconds", "peak_memory_mib"]
    flicker, own, seconds, _ = found.metrics
    assert flicker.better == "lower"
    assert flicker.about
    assert (own.better, own.about) == (None, "")
    assert seconds.better == "lower"
    assert "flicker.mean" not in found.points[1].metrics


def test_a_wrong_axis_or_reference_is_named_with_what_there_is():
    points = of_runs([run("a", weights(1.0)), run("b", weights(0.4))])
    with pytest.raises(UserError, match=r"pose.wieght.*nearest: controls.pose.weight"):
        compare("x", points, first=["controls.pose.wieght"])
    with pytest.raises(UserError, match="not among those"):
        compare("x", points, reference="c")


def test_a_pending_point_has_no_numbers_and_is_never_the_reference():
    axes = [Axis("seed", ("1", "2"))]
    points = [Point("point 0", "pending", {"seed": "1"}), Point("r", "done", {"seed": "2"}, run("c", {"seed": 2}))]
    found = compare("x", points, axes, sweep="dance-1")
    assert found.reference == "r"
    assert found.points[0].metrics == {}
    assert found.swept
