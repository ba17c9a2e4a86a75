"""The fit of seconds against work: in proportion for one run, exact where runs are, never less for more, robust."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.optimize import nnls

from reel.fit import fit

quick = settings(max_examples=60, deadline=None)
AMOUNT = st.just(0.0) | st.floats(1e-3, 50)
AMOUNTS = st.fixed_dictionaries({"unet": AMOUNT, "controls": AMOUNT, "runs": AMOUNT})
RUN = st.tuples(AMOUNTS, st.floats(0.01, 1000))
SPREAD = [{"unet": u, "controls": c, "runs": r} for u, c, r in [(1, 0, 1), (4, 1, 1), (2, 2, 3), (8, 0, 4), (3, 6, 2)]]


@quick
@given(RUN, st.floats(0.1, 20))
def test_one_run_is_scaled_in_proportion(run, factor):
    amounts, seconds = run
    assume(sum(amounts.values()) > 0)
    more = {term: amount * factor for term, amount in amounts.items()}
    assert fit([run]).seconds(more) == pytest.approx(seconds * factor, rel=1e-6)


@quick
@given(st.lists(RUN, min_size=1, max_size=6), AMOUNTS, AMOUNTS)
def test_seconds_are_never_negative_and_never_less_for_more_work(runs, amounts, further):
    fitted = fit(runs)
    more = {term: amounts[term] + further[term] for term in amounts}
    assert 0 <= fitted.seconds(amounts) <= fitted.seconds(more)
    assert fitted.error(amounts) > 0


@quick
@given(st.floats(0.01, 100), st.lists(st.sampled_from(SPREAD), min_size=2, max_size=6))
def test_runs_in_proportion_are_met_exactly(cost, work):
    fitted = fit([(amounts, cost * sum(amounts.values())) for amounts in work])
    for amounts in SPREAD:
        assert fitted.seconds(amounts) == pytest.approx(cost * sum(amounts.values()), rel=1e-6)


@pytest.mark.parametrize("cost", [(2.0, 0.5, 1.0), (1.0, 3.0, 0.2), (1.0, 0.0, 0.5)])
@pytest.mark.parametrize("call", [0.0, 2.0])
def test_exact_runs_tell_what_each_term_and_a_call_cost(cost, call):
    def truth(amounts):
        return call + sum(part * amount for part, amount in zip(cost, amounts.values(), strict=True))

    fitted = fit([(amounts, truth(amounts)) for amounts in SPREAD * 3])
    for amounts in [*SPREAD, {"unet": 16, "controls": 8, "runs": 8}]:
        assert fitted.seconds(amounts) == pytest.approx(truth(amounts), rel=0.02)


def test_a_call_that_costs_itself_is_told_by_two_runs():
    few, many = fit([({"frames": 10}, 11.0)]), fit([({"frames": 10}, 11.0), ({"frames": 1}, 2.0)])
    assert few.seconds({"frames": 1}) == pytest.approx(1.1)
    assert many.seconds({"frames": 1}) == pytest.approx(2.0, rel=0.1)
    assert many.seconds({"frames": 20}) == pytest.approx(21.0, rel=0.1)


@pytest.mark.parametrize("place", range(5))
def test_a_run_on_a_busy_machine_counts_little(place):
    runs = [(amounts, 2.0 * sum(amounts.values())) for amounts in SPREAD]
    runs[place] = (runs[place][0], runs[place][1] * 5)
    fitted = fit(runs)
    for amounts in SPREAD:
        assert fitted.seconds(amounts) == pytest.approx(2.0 * sum(amounts.values()), rel=0.15)


def test_the_range_is_wide_where_little_is_known():
    one, several = fit([(SPREAD[0], 3.0)]), fit([(amounts, sum(amounts.values())) for amounts in SPREAD])
    assert one.error(SPREAD[0]) < one.error({"unet": 1, "controls": 9, "runs": 1})  # controls: in no run
    assert several.error(SPREAD[1]) < one.error(SPREAD[1])
    noisy = fit([(amounts, sum(amounts.values()) * (1.6 if n % 2 else 1.0)) for n, amounts in enumerate(SPREAD)])
    assert noisy.error(SPREAD[1]) > several.error(SPREAD[1])


def test_calls_with_nothing_to_count_take_what_they_took():
    assert 2.0 < fit([({}, 2.0), ({}, 4.0), ({}, 3.0)]).seconds({}) < 4.0
    assert fit([({"frames": 0.0}, 2.0)]).seconds({"frames": 0.0}) == pytest.approx(2.0)


def test_an_amount_that_no_run_had_costs_like_the_others():
    assert fit([({"unet": 2.0}, 6.0)]).seconds({"unet": 2.0, "pictures": 1.0}) == pytest.approx(9.0)


def test_three_noisy_runs_forecast_better_than_proportion_or_least_squares_alone():
    """On simulated histories of a denoising: costs that differ between machines, eight percent of noise."""
    rng = np.random.default_rng(0)

    def work() -> np.ndarray:
        frames, steps, controls = rng.choice([4, 8, 12, 16]), rng.integers(2, 17), rng.integers(0, 4)
        pixels = frames * rng.choice([64, 96, 128, 160]) ** 2 / 1e6
        return np.array([0.1 * steps * (1 + controls), 2 * steps * pixels, 0.8 * steps * pixels * controls])

    off: dict[str, list[float]] = {"fit": [], "proportion": [], "least squares": []}
    for _ in range(150):
        cost = np.exp(rng.normal(0, 1)) * np.exp(rng.normal(0, [0.7, 0.1, 0.4]))
        past, call = np.array([work() for _ in range(3)]), rng.choice([0.0, 0.3]) * cost[1]
        seconds = (past @ cost + call) * np.exp(rng.normal(0, 0.08, 3))
        fitted = fit(
            [(dict(zip("abc", amounts, strict=True)), took) for amounts, took in zip(past, seconds, strict=True)]
        )
        plain = nnls(np.c_[past, np.ones(3)] / seconds[:, None], np.ones(3))[0]
        for amounts in (work() for _ in range(5)):
            truth = amounts @ cost + call
            told = {
                "fit": fitted.seconds(dict(zip("abc", amounts, strict=True))),
                "proportion": float(np.median(seconds / past.sum(axis=1)) * amounts.sum()),
                "least squares": float(np.append(amounts, 1) @ plain),
            }
            for how, guess in told.items():
                off[how].append(abs(np.log(max(guess, 1e-9) / truth)))
    good = {how: float(np.mean(np.array(errors) < np.log(1.5))) for how, errors in off.items()}
    assert good["fit"] > 0.93
    assert good["fit"] > max(good["proportion"], good["least squares"])
