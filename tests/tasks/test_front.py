"""The plot of a search's trade-off: every point of the front is named once, and no name lies upon another."""

import itertools

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from reel.search.goals import Goal
from tasks.search.optuna_study import Trial
from tasks.search.pareto_plot import plot

GOALS = [Goal("error", False), Goal("probability", True)]


def test_numbers_of_crowded_front_points_do_not_cover_one_another(monkeypatch):
    monkeypatch.setattr("adjustText.timer", itertools.count(step=10).__next__)  # as on a busy machine
    figures: list[Figure] = []
    saved = Figure.savefig
    monkeypatch.setattr(Figure, "savefig", lambda self, *a, **k: (figures.append(self), saved(self, *a, **k))[1])
    crowd = [Trial(i, {"controls.pose.weight": i / 8}, {"error": 5 + i / 50, "probability": 0.9 + i / 900})
             for i in range(8)]  # fmt: skip
    far = Trial(8, {"controls.pose.weight": 1.0}, {"error": 40.0, "probability": 0.2})
    png = plot({"proxy": [far], "full": [*crowd, far]}, GOALS, range(8), knee=3)
    assert png.startswith(b"\x89PNG")
    (figure,) = figures
    (axes,) = figure.axes
    renderer = FigureCanvasAgg(figure).get_renderer()
    boxes = {text.get_text(): text.get_window_extent(renderer) for text in axes.texts}
    assert sorted(boxes) == [str(i) for i in range(8)]
    names = sorted(boxes)
    over = [(a, b) for i, a in enumerate(names) for b in names[i + 1 :] if boxes[a].overlaps(boxes[b])]
    assert over == []
    assert figure.legends[0].get_title().get_text() == "front: pose"
    covered = axes.get_legend().get_window_extent(renderer)
    assert not any(covered.contains(*axes.transData.transform((t.values["error"], t.values["probability"])))
                   for t in (*crowd, far))  # fmt: skip


@pytest.mark.parametrize("count", [1, 2])
def test_a_short_front_is_drawn(count):
    trials = [Trial(i, {"seed": i}, {"error": 5.0 + i, "probability": 0.5 + i / 10}) for i in range(count)]
    assert plot({"full": trials}, GOALS, range(count), knee=0).startswith(b"\x89PNG")
