"""What past calls say about one to come: which of them count, on what basis, and what a process pays once."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from reel.estimate import Estimate, Guess, line
from reel.forecast import History, needs
from reel.history.record import RenderRecord, StageRecord, save
from reel.keys import Key, remember
from reel.startup import Watch
from reel.store import Store
from reel.work import Extent, Work

CARD = {"hardware": "a card", "dtype": "float16"}


@dataclass(frozen=True)
class Call:
    """A call to come, or a past one."""

    op: str = "stylize.denoise"
    amounts: dict[str, float] = field(default_factory=lambda: {"unet": 4.0, "runs": 2.0})
    pace: dict[str, Any] = field(default_factory=lambda: CARD)
    models: Sequence[str] = ("unet", "control a")
    libraries: Sequence[str] = ("torch", "diffusers")
    seed: int = 0
    stored: bool = False

    @property
    def work(self) -> Work | None:
        return None if self.stored else Work(self.amounts, self.pace, Extent(8, 64, 64))

    @property
    def fields(self) -> dict[str, Any]:
        models = {f"label of {name}": name for name in self.models}
        libraries = dict.fromkeys(self.libraries, "1.0")
        return {
            "op": self.op,
            "config": {"seed": self.seed},
            "inputs": {"frames": "d"},
            "models": models,
            "libraries": libraries,
        }

    def times(self, factor: float) -> Call:
        return Call(self.op, {k: v * factor for k, v in self.amounts.items()}, self.pace, self.models, self.libraries)


class Past:
    """A store that past calls are put into."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.count = 0

    def call(self, call: Call, seconds: float, importing: float = 0.0, loading: float = 0.0, share: float = 1.0) -> str:
        watch = Watch()
        watch.importing, watch.loading = importing, loading
        assert call.work is not None
        return self.older(call, seconds, call.work.noted(share, watch))

    def older(self, call: Call, seconds: float, work: dict[str, Any] | None = None) -> str:
        self.count += 1
        with self.store.draft("latents") as draft:
            draft.add("data", bytes(1000) + str(self.count).encode())
            output = draft.commit()
        key = Key(f"{self.count:064}", call.fields)
        remember(self.store, key, output, {"peak_memory_mib": 100 * self.count}, seconds, work)
        if work is None:  # as an older version wrote it
            path = self.store.root / "keys" / f"{key.digest}.json"
            entry = json.loads(path.read_text())
            path.write_text(
                json.dumps({name: value for name, value in entry.items() if name not in ("work", "sha256")})
            )
        return key.digest

    @property
    def history(self) -> History:
        return History(self.store)


@pytest.fixture
def past(store: Store) -> Past:
    return Past(store)


def test_nothing_is_known_without_past_calls(past: Past):
    guess = past.history.guess(Call())
    assert (guess.basis, guess.own, guess.seconds, guess.runs) == ("unknown", None, 0.0, 0)


def test_half_the_frames_in_an_eighth_of_the_steps_take_a_sixteenth(past: Past):
    past.call(Call(), 32.0)
    guess = past.history.guess(Call().times(1 / 16), used=needs(Call()))
    assert (guess.basis, guess.runs) == ("scaled", 1)
    assert guess.seconds == pytest.approx(2.0)
    assert guess.low < 2.0 < guess.high


def test_as_much_to_do_as_in_past_calls_is_observed(past: Past):
    for seconds in (9.0, 10.0, 14.0):
        past.call(Call(seed=past.count), seconds)
    past.call(Call().times(2), 25.0)
    guess = past.history.guess(Call(seed=9), used=needs(Call()))
    assert (guess.basis, guess.runs, guess.own) == ("observed", 3, 10.0)
    assert guess.low <= 9.0
    assert guess.high >= 14.0


@pytest.mark.parametrize(
    "other",
    [
        Call(pace={**CARD, "hardware": "another card"}),
        Call(pace={**CARD, "dtype": "float32"}),
        Call(models=["unet of another family"]),
        Call(models=[]),
        Call(op="stylize.decode"),
    ],
    ids=["hardware", "dtype", "models", "no model", "op"],
)
def test_what_runs_otherwise_says_nothing(past: Past, other: Call):
    past.call(other, 5.0)
    assert past.history.guess(Call()).basis == "unknown"


def test_a_further_control_is_still_the_same_family(past: Past):
    past.call(Call(), 5.0)
    assert past.history.guess(Call(models=["unet", "control b", "control c"])).basis != "unknown"


def test_the_share_that_was_left_to_do_is_what_counts(past: Past):
    past.call(Call(), 1.0, share=0.1)  # nine of ten steps were found in a journal
    assert past.history.guess(Call(), used=needs(Call())).seconds == pytest.approx(10.0)


def test_imports_and_loading_are_paid_once_in_a_process(past: Past):
    past.call(Call(), 17.0, importing=6.0, loading=3.0)
    past.call(Call().times(2), 16.0)
    history = past.history
    first, second = history.estimate("dance", [Call(), Call(seed=1)]).calls
    assert (first.own, first.once, second.own, second.once) == (8.0, 9.0, 8.0, 0.0)
    assert history.guess(Call(), used=["torch", "diffusers"]).once == 3.0
    assert history.guess(Call(models=["unet", "control b"]), used=needs(Call())).once == 1.5  # one of two models


def test_whichever_op_comes_first_imports_the_libraries(past: Past):
    past.call(Call("stylize.encode", models=["vae"]), 8.0, importing=7.0)
    past.call(Call(), 2.0, importing=0.1)
    assert past.history.guess(Call(), used=["unet", "control a"]).once == 7.0


def test_an_amount_that_nobody_can_tell_is_not_taken_for_none(past: Past):
    past.call(Call(), 10.0)
    past.call(Call().times(3), 30.0)
    guess = past.history.guess(Call(amounts={}), used=needs(Call()))
    assert (guess.basis, guess.seconds) == ("scaled", 20.0)
    assert guess.low <= 10.0
    assert guess.high >= 30.0


def test_older_entries_speak_for_the_very_same_call_alone(past: Past):
    past.older(Call(), 12.0)
    same, other = past.history.guess(Call()), past.history.guess(Call(seed=1))
    assert (same.basis, same.seconds, same.runs) == ("observed", 12.0, 1)
    assert same.high - same.low >= 12.0
    assert other.basis == "unknown"
    past.call(Call(seed=1), 3.0)
    assert past.history.guess(Call(), used=needs(Call())).seconds == 3.0


def test_the_newest_calls_count(past: Past):
    for n in range(60):
        past.call(Call(seed=n), 50.0 if n < 10 else 5.0)
    assert past.history.guess(Call(seed=99)).runs == 50
    assert past.history.guess(Call(seed=99)).high < 50


def test_size_follows_the_extent_and_memory_the_nearest_call(past: Past):
    past.call(Call(), 1.0)
    past.call(Call().times(10), 10.0)
    guess = past.history.guess(Call().times(9))
    assert guess.size is not None
    assert guess.size == pytest.approx(1000, rel=0.5)
    assert guess.memory_mib == 200


def test_what_is_stored_takes_nothing(past: Past):
    past.call(Call(), 1.0)
    assert past.history.estimate("dance", [Call(stored=True)]).calls == []


def record(
    past: Past, seconds: float, process: int, key: str, stage: float, *, flow: str = "dance", server: bool | None = None
) -> None:
    started = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(hours=past.count)
    stages = (StageRecord(op="stylize.denoise", key=key, digest="0" * 64, reused=False, seconds=stage),)
    run = f"20260101-{past.count:06}-abcdef"
    ended = started + timedelta(seconds=seconds)
    rendered = RenderRecord(
        run=run,
        flow=flow,
        status="done",
        started=started,
        ended=ended,
        config={},
        stages=stages,
        pid=process,
        server=server,
    )
    save(past.store, rendered)


def test_beside_its_calls_a_first_render_takes_more_than_later_ones(past: Past):
    record(past, 15.0, 1, past.call(Call(), 10.0), stage=10.25)
    assert past.history.beside("dance", first=True) == 5.0
    assert past.history.beside("dance", first=False) == 0.25  # none was seen: what looking up its stages took
    record(past, 8.5, 1, past.call(Call(seed=1), 8.0), stage=8.25)
    assert past.history.beside("dance", first=False) == 0.5
    assert past.history.beside("storyboard", first=True) == 5.0  # as in other flows, where none was seen of its own
    assert past.history.beside("storyboard", first=False) == 0.5
    assert past.history.estimate("dance", [Call(seed=2)]).beside == 5.0
    assert past.history.estimate("dance", [Call(seed=2)], used=["torch"]).beside == 0.5
    assert past.history.estimate("dance", [Call(stored=True)]).beside == 0.5


def test_without_a_past_nothing_is_known_beside_the_calls(past: Past):
    assert (past.history.beside("dance", first=True), past.history.beside("dance", first=False)) == (0.0, 0.0)


def test_a_render_that_finds_a_server_is_not_told_the_start_of_one(past: Past):
    """Starting one takes longer than many a render: those that began like it are looked at."""
    record(past, 26.0, 1, past.call(Call(), 10.0), stage=10.0, server=False)
    record(past, 27.0, 2, past.call(Call(), 10.0), stage=10.0, server=False)
    assert past.history.beside("dance", first=True, server=True) == 16.5  # nothing better is known
    record(past, 12.0, 3, past.call(Call(), 10.0), stage=10.0, server=True)
    assert past.history.beside("dance", first=True, server=True) == 2.0
    assert past.history.beside("dance", first=True, server=False) == 16.5
    assert past.history.beside("dance", first=True) == 16.0
    record(past, 13.0, 4, past.call(Call(), 10.0), stage=10.0, flow="animate", server=True)
    assert past.history.beside("animate", first=True, server=False) == 16.5  # a dance says it better than an animate
    assert past.history.estimate("dance", [Call(seed=2)], server=True).beside == 2.0


def test_a_render_is_as_sure_as_the_least_sure_of_its_known_calls(past: Past):
    past.call(Call(), 10.0)
    assert past.history.estimate("dance", [Call(seed=1)]).basis == "observed"
    assert past.history.estimate("dance", [Call(seed=1), Call().times(2)]).basis == "scaled"
    estimate = past.history.estimate("dance", [Call(seed=1), Call("stylize.decode")])
    assert (estimate.basis, estimate.unknown) == ("observed", ["stylize.decode"])
    assert past.history.estimate("dance", [Call("stylize.decode")]).basis == "unknown"
    assert estimate.seconds == 10.0
    assert 0 < estimate.low < 10.0 < estimate.high


def test_one_line_tells_it(past: Past):
    def spell(seconds: float) -> str:
        return f"{seconds:.0f} s"

    assert line(past.history.estimate("dance", []), spell) == ""
    told = line(past.history.estimate("dance", [Call()]), spell)
    assert told == "how long it takes is not known yet: nothing like it has run here"
    past.call(Call(), 30.0, importing=4.0, loading=2.0)
    told = line(past.history.estimate("dance", [Call().times(2)]), spell)
    assert told.startswith("about 54 s (")
    assert told.endswith("): denoise 48 s, imports and loading 6 s; scaled from 1 past run")
    told = line(past.history.estimate("dance", [Call(), Call("stylize.decode")]), spell)
    assert told.startswith("about 30 s and more: denoise 24 s, ")  # no range: nobody knows what decode takes
    assert told.endswith("as from 1 past run; and decode, not known from any past run")


@pytest.mark.parametrize(
    ("estimate", "told"),
    [
        (
            Estimate([Guess("a.draw", own=0.1, basis="observed", runs=3)], beside=6.0),
            "about 6 s (3 s to 9 s): beside the stages 6 s; as",
        ),
        (
            Estimate([Guess(f"a.draw{n}", own=1.0, basis="observed", runs=3) for n in range(30)]),
            "draw0 1 s, draw1 1 s, draw2 1 s; as",
        ),
        (Estimate([Guess("a.draw", own=10.0, basis="observed", runs=3)], beside=0.1), "): draw 10 s; as"),
    ],
    ids=["short stages", "many stages", "next to nothing beside"],
)
def test_the_line_names_what_takes_the_time(estimate: Estimate, told: str):
    assert told in line(estimate, "{:.0f} s".format)


def test_a_forecast_writes_nothing(past: Past):
    record(past, 15.0, 1, past.call(Call(), 10.0), stage=10.25)
    before = {path: path.stat().st_mtime_ns for path in past.store.root.rglob("*")}
    past.history.estimate("dance", [Call(), Call().times(3), Call("stylize.decode")])
    assert {path: path.stat().st_mtime_ns for path in past.store.root.rglob("*")} == before
