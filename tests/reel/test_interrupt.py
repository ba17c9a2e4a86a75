"""An interruption that Python lost is raised again where progress is told."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from reel import interrupt
from reel.progress import progress


@pytest.fixture(autouse=True)
def clean() -> Iterator[None]:
    interrupt.forget()
    yield
    interrupt.forget()


def test_a_lost_interruption_is_raised_at_the_next_step():
    with progress(3, "work") as bar:
        bar.update()
        with pytest.raises(KeyboardInterrupt, match="why"):  # as a finaliser would swallow it
            interrupt.stop("why")
        with pytest.raises(KeyboardInterrupt, match="why"):
            bar.update()


def test_nothing_is_raised_without_a_wish():
    with progress(2, "work") as bar:
        bar.update()
        bar.update()
    interrupt.check()
