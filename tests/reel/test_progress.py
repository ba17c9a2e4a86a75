"""Progress bars cost nothing that stays: a sweep of thousands of them has one watching thread."""

import threading

from reel.progress import progress


def watchers() -> int:
    return sum(thread.name == "tqdm_monitor" for thread in threading.enumerate())


def test_steps_of_an_earlier_run_are_done_but_say_nothing_about_the_speed():
    with progress(40, "resumed", done=30) as bar:
        bar.update(1)
        assert bar.n == 31
        assert bar.format_dict["initial"] == 30


def test_many_bars_have_one_watching_thread():
    before = watchers()  # other libraries have bars of their own
    for number in range(20):
        with progress(3, f"bar {number}") as bar:
            bar.update(1)
        assert watchers() <= before + 1
