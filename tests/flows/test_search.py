"""search as a whole: real trials of the embedded family at a small size; its mistakes, before anything is rendered."""

from __future__ import annotations

import contextlib
import csv
import dataclasses
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from benchmarks.runs import ROOT
from flows import cli
from flows.search.definition import Definition, find
from flows.search.flow import BASE, FLOW
from flows.search.plan import levels
from flows.search.run import WITHOUT_RECORD, Runner
from flows.search.settings import Searched
from reel.errors import NoRoom, UserError
from reel.history.record import RenderRecord, list_records, record_path
from reel.search.goals import Goal, Rung
from reel.search.search_axes import Axis
from reel.store import Store
from tasks.search.optuna_study import Study, Trial, without_each

SMALL = [
    *("extract.max_frames=4", "extract.short_side=64", "stylize.num_inference_steps=2", "tracking=none"),
    *("search.proxy.frames=2", "search.proxy.passages=1", "search.proxy.steps=1", "search.trials=4"),
    "search.budget=null",
    *("assemble.side_by_side=false", "assemble.contact_sheet=2", "compute.dtype=float32"),
]


def at(folder: Path) -> list[str]:
    return [*SMALL, f"paths.store={folder / 'store'}", f"paths.output={folder / 'out'}"]


def trials(store: Store) -> list[RenderRecord]:
    return [record for record in list_records(store)[0] if record.flow == "trial"]


def denoised(records: list[RenderRecord]) -> int:
    """How many denoisings were computed."""
    return sum(stage.op == "stylize.denoise" and not stage.reused for record in records for stage in record.stages)


@pytest.mark.slow
@pytest.mark.usefixtures("prefect_server")
def test_a_killed_search_goes_on_where_it_was(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """kill -9 after two trials; started again: they are not rendered again; the rest, files, and a trial in full."""
    store = Store(tmp_path / "store")
    process = subprocess.Popen(
        [sys.executable, "-m", "flows.cli", "search", *at(tmp_path)], cwd=ROOT, stdout=subprocess.DEVNULL
    )
    while process.poll() is None and sum(record.status == "done" for record in trials(store)) < 2:
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    before = [record for record in trials(store) if record.status == "done"]
    assert 2 <= len(before) < 9

    assert cli.main(["search", *at(tmp_path)]) == 0
    said = capsys.readouterr().out
    done = [record for record in trials(store) if record.status == "done"]
    points = {(record.config["trial"]["number"], record.config["trial"]["rung"]) for record in done}
    assert len(points) == 4 + 3 + 2
    rendered = [(r.config["trial"]["number"], r.config["trial"]["rung"]) for r in done if denoised([r])]
    assert len(rendered) == len(set(rendered)), (
        "killed before its answer was kept, a trial is asked again, not rendered"
    )
    assert {number for number, rung in points if rung == "proxy"} == {0, 1, 2, 3}
    parent = next(record for record in list_records(store)[0] if record.flow == "search" and record.status == "done")
    assert {record.parent for record in done if record not in before} == {parent.run}
    assert parent.metrics["search.trials"] == 4
    assert "knee" in said

    rows = list(csv.DictReader((tmp_path / "out" / "trials.csv").open()))
    assert [row["rung"] for row in rows].count("full") == 2
    roles = {output.name: output.role for output in parent.outputs}
    assert roles == {"trials.csv": "table", "front.png": "plot", "front_sheet.png": "sheet"}

    computed = denoised(trials(store))
    assert cli.main(["search", *at(tmp_path)]) == 0
    assert denoised(trials(store)) == computed, "a finished search asks for nothing"

    lost = next(record for record in done if record.config["trial"]["rung"] == "full")
    record_path(store, lost.run).write_bytes(b"{")
    assert cli.main(["search", *at(tmp_path)]) == 0
    told = capsys.readouterr().err
    assert f"{lost.run}.json: damaged record" in told
    assert WITHOUT_RECORD in told

    assert cli.main(["search", *at(tmp_path), "promote=77"]) == 2
    assert "has no trial 77" in capsys.readouterr().err
    assert cli.main(["search", *at(tmp_path), "promote=0"]) == 0
    dance = list_records(store)[0][-1]
    assert dance.flow == "dance"
    assert denoised([dance]) == 0, "the whole clip in all steps: the finalist's frames are the render's"
    assert (tmp_path / "out" / "movie.mp4").stat().st_size > 0


BAD = [
    (["control=[]"], "there is no control whose weight could be searched for"),
    (["search.space={controls.pose.weigth:[0,1]}"], "nearest: controls.pose.weight"),
    (["search.space={controls.pose.weight:[0,20]}"], "controls.pose.weight: must be less than or equal to 10"),
    (["search.objectives=[flicker.maen,ssim.mean]"], "no metric gives 'flicker.maen'; nearest: flicker.mean"),
    (["search.objectives=[motion.amount,ssim.mean]"], "neither more nor less of motion.amount is better"),
    (["search.objectives=[pose.oks,ssim.mean]"], "pose says nothing about these renders"),
    (["search.budget=0.5"], "pay for no trial"),
    (["search.trials=null"], "trials and budget are both empty"),
    (["promote=1"], "no searches fit"),
    (["promote=1", "search.name=nowhere"], "no searches fit 'nowhere'"),
]


@pytest.mark.parametrize(("overrides", "says"), BAD, ids=[" ".join(bad[0]) for bad in BAD])
def test_bad_input_is_refused_before_anything_runs(
    overrides: list[str], says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    assert cli.main(["search", *at(tmp_path), *overrides]) == 2
    said = capsys.readouterr().err
    assert says in said
    assert "Traceback" not in said
    assert not Store(tmp_path / "store").digests()


def test_only_what_changes_a_trial_makes_another_search(tmp_path: Path):
    from flows.config.compose import single
    from flows.config.engine import hydra_ready
    from flows.config.root import Root
    from flows.search import definition, plan

    def id(*overrides: str) -> str:
        root = Root("search", FLOW.settings)
        with hydra_ready(root) as engine:
            cfg = single(engine, [*at(tmp_path), *overrides]).config
        return definition.new("", plan.prepare(BASE, cfg, Store(cfg.paths.store)).about(), {}).id

    same = id("measure=none", "assemble.crf=30", "search.trials=9", "promote=3", "embed_facts=false")
    assert same == id()
    assert id("controls.lineart.control_guidance_end=0.7") != same


AXES = (Axis("controls.pose.weight", 0.0, 1.2, 0.4), Axis("seed", 0, 2, 1, integer=True))
GOALS = (Goal("error", higher=False), Goal("likeness", higher=True))


def study(folder: Path, seed: int = 3) -> Study:
    return Study(folder, ["proxy", "full"], AXES, GOALS, "tpe", seed)


def answer(trial: Trial) -> Trial:
    from dataclasses import replace

    pose, seed = trial.point.values()
    values = {"error": (1.2 - pose) ** 2, "likeness": -pose - 0.1 * seed}
    return replace(trial, values=values, violation=max(0.0, pose - 0.9), run=f"run{trial.number}", cost=0.25)


def played(folder: Path, count: int, *, reopen: bool = False) -> list[Trial]:
    """The first trials of a search whose answers are known."""
    known = study(folder)
    while len(known.trials("proxy")) < count and (trial := known.ask({"controls.pose.weight": 0.8, "seed": 1})):
        known.close("proxy", answer(trial))
        known = study(folder) if reopen else known
    return known.trials("proxy")


def test_a_study_asks_for_the_given_point_first_and_for_none_twice(tmp_path: Path):
    found = played(tmp_path, 12)
    assert found[0].point == {"controls.pose.weight": 0.8, "seed": 1}
    assert len({tuple(trial.point.values()) for trial in found}) == 12, "all of the 4 x 3 points"
    assert study(tmp_path).ask({"controls.pose.weight": 0.8, "seed": 1}) is None
    assert all(trial.values["error"] == (1.2 - trial.point["controls.pose.weight"]) ** 2 for trial in found)
    assert {trial.violation > 0 for trial in found} == {True, False}


def test_a_search_begins_with_each_control_left_out_and_then_goes_on_evenly(tmp_path: Path):
    axes = [Axis(f"controls.{name}.weight", 0.0, 1.2, 0.01) for name in ("pose", "lineart")]
    given = {axes[0].key: 1.0, axes[1].key: 0.5}

    def asked(kind: str, point: dict[str, float], folder: str) -> list[dict[str, float]]:
        known, points = Study(tmp_path / folder, ["proxy"], axes, GOALS, kind, 3), []
        for _ in range(4):
            trial = known.ask(point)
            assert trial is not None
            points.append(dict(trial.point))
            known.close("proxy", answer(trial))
        return points

    first, second, third, fourth = asked("tpe", given, "given")
    assert first == given
    assert (second, third) == ({**given, axes[0].key: 0.0}, {**given, axes[1].key: 0.0})
    plain = asked("tpe", {axis.key: 0.0 for axis in axes}, "none")  # no control that could be left out
    assert fourth == plain[3], "the sequence goes on where it would have been"
    assert {**given, axes[0].key: 0.0} not in asked("random", given, "random")


def test_what_each_control_is_worth():
    """Points that are spread evenly hardly touch the edge where a control is left out."""
    pose, lines = (Axis(f"controls.{name}.weight", 0.0, 1.2, 0.05) for name in ("pose", "lineart"))
    given = {pose.key: 1.0, lines.key: 0.5}
    assert without_each([pose, lines], given) == [{**given, pose.key: 0.0}, {**given, lines.key: 0.0}]
    assert without_each([pose, dataclasses.replace(lines, low=0.2)], given) == [{**given, pose.key: 0.0}]
    assert without_each([pose, lines], {**given, lines.key: 0.0}) == []  # none would count
    assert without_each([pose, Axis("seed", 0, 9, 1, integer=True)], {pose.key: 1.0, "seed": 3}) == []


def test_a_study_read_from_disk_before_every_question_asks_the_same(tmp_path: Path):
    points = [[trial.point for trial in played(tmp_path / name, 9, reopen=name == "b")] for name in "ab"]
    assert points[0] == points[1]


def test_a_question_without_an_answer_is_asked_again_and_a_torn_line_is_dropped(tmp_path: Path):
    before = played(tmp_path, 3)
    asked = study(tmp_path).ask({})
    with (tmp_path / "study.log").open("ab") as file:
        file.write(b'{"op_code": 5, "worker_id": "x')
    (tmp_path / "study.log.lock").symlink_to("study.log")
    again = study(tmp_path)
    assert again.ask({}) == asked
    again.close("proxy", answer(asked))
    assert study(tmp_path).trials("proxy") == [*before, answer(asked)]


@pytest.mark.parametrize("answered", [0, 2, 8])  # the given point, one that is spread evenly, one of the sampler's own
def test_killed_after_any_line_of_a_question_the_search_asks_the_same_question(tmp_path: Path, answered: int):
    given = {"controls.pose.weight": 0.8, "seed": 1}
    played(tmp_path / "whole", answered)
    log = tmp_path / "whole" / "study.log"
    study(tmp_path / "whole")
    begin = len(log.read_bytes().splitlines())
    asked = study(tmp_path / "whole").ask(given)
    lines = log.read_bytes().splitlines(keepends=True)
    assert len(lines) > begin + 2, "a trial is made, and its two values are kept, line by line"
    for end in range(begin, len(lines) + 1):
        (tmp_path / str(end)).mkdir()
        (tmp_path / str(end) / "study.log").write_bytes(b"".join(lines[:end]))
        assert study(tmp_path / str(end)).ask(given) == asked


@pytest.mark.parametrize(("error", "open_again"), [(NoRoom("no room left"), True), (UserError("too large"), False)])
def test_a_trial_that_found_no_room_on_the_disk_is_asked_for_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: UserError, open_again: bool
):
    played(tmp_path, 1)
    asked = study(tmp_path)
    trial = asked.ask({})
    assert trial is not None
    runner = Runner.__new__(Runner)  # what is under test needs neither a job nor a clip
    runner.study, runner.failures, runner.paces = asked, 0, []

    def measured(*_: object) -> Trial:
        raise error

    monkeypatch.setattr(runner, "_measured", measured)
    monkeypatch.setattr(runner, "_tell", lambda *_: None)
    with pytest.raises(NoRoom) if open_again else contextlib.nullcontext():
        runner.attempt(Rung("proxy", ((0,),), 1, 1.0), trial)
    assert (study(tmp_path).ask({}) == trial) is open_again


@pytest.mark.parametrize("damage", ["another number", "cut", "a folder", "no UTF-8"])
def test_a_damaged_journal_is_moved_aside_and_its_trials_are_asked_for_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, damage: str
):
    """A digit that decayed is a sound journal of other numbers, but for the checksum beside it."""
    before, journal = played(tmp_path, 4), tmp_path / "study.log"
    data = journal.read_bytes()
    journal.unlink()
    if damage == "a folder":
        journal.mkdir()
    else:
        journal.write_bytes(
            {"another number": data.replace(b"0.25", b"0.35"), "cut": data[:200], "no UTF-8": b"\xff" + data}[damage]
        )
    assert study(tmp_path).trials("proxy") == []
    assert "is damaged and was moved to" in caplog.text
    assert len(list(tmp_path.glob("study.log.*.damaged"))) == 1
    assert played(tmp_path, 4) == before


def test_a_second_process_on_a_search_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    from flows.search import definition

    held: list[str] = []
    with contextlib.ExitStack() as stack, pytest.MonkeyPatch.context() as patch:
        real = definition.lock

        def taken(store: Store, id: str) -> contextlib.AbstractContextManager[bool]:
            held.append(id)
            stack.enter_context(real(store, id))  # as another process holds it
            return real(store, id)

        patch.setattr(definition, "lock", taken)
        assert cli.main(["search", *at(tmp_path)]) == 2
    assert f"another process works on search {held[0]}" in capsys.readouterr().err
    assert list_records(Store(tmp_path / "store")) == ([], [])


@pytest.mark.parametrize(("steps", "few"), [(30, 15), (16, 8), (10, 8), (4, 4), (1, 1)])
def test_a_proxy_has_half_the_steps_but_not_too_few_for_a_distilled_model(steps: int, few: int):
    assert levels([None] * 48, Searched(), steps)[0].steps == few


def test_failed_trials_and_other_rungs_are_kept(tmp_path: Path):
    from dataclasses import replace

    known = study(tmp_path)
    trial = known.ask({"controls.pose.weight": 0.4, "seed": 0})
    known.close("proxy", answer(trial))
    second = known.ask({})
    known.close("proxy", replace(second, failed="nobody to be seen"))
    known.close("full", answer(trial))
    kept = study(tmp_path)
    assert [one.failed for one in kept.trials("proxy")] == ["", "nobody to be seen"]
    assert kept.trials("full") == [answer(trial)]


def test_a_name_belongs_to_its_settings(tmp_path: Path):
    from flows.search import definition

    store = Store(tmp_path)

    def about(seed: int) -> Definition:
        return definition.new("mine", {"seed": seed, "settings": {"steps": 2}}, {})

    assert definition.opened(store, about(1)).about == definition.opened(store, about(1)).about
    with pytest.raises(UserError, match=r"search mine is one of other settings \(seed: 1 -> 2\)"):
        definition.opened(store, about(2))
    assert find(store, "mi").id == "mine"
    with pytest.raises(UserError, match="'a/b' is not a valid name"):
        definition.new("a/b", {}, {})
    with pytest.raises(UserError, match="no searches fit 'your'"):
        find(store, "your")
    path = tmp_path / "searches" / "mine" / "search.json"
    whole = path.read_text()
    for text in (whole.replace('"steps": 2', '"steps": 3'), "{", "[]"):
        path.write_text(text)
        with pytest.raises(UserError, match="damaged"):
            find(store, "mine")
        with pytest.raises(UserError, match="damaged"):  # what it was of is unknown
            definition.opened(store, about(1))
    unnamed = definition.new("", {"seed": 1}, {})
    definition.opened(store, unnamed)
    (tmp_path / "searches" / unnamed.id / "search.json").write_text("{")
    assert definition.opened(store, unnamed) == unnamed, "its id says what it is of"
    assert find(store, unnamed.id) == unnamed


def test_lists_per_frame_are_picked_from(tmp_path: Path):
    from benchmarks.renderer import stages
    from tasks.stylize.settings.split import at_frames

    model = {
        "name": "m",
        "architecture": "sd15",
        "motion": {"kind": "embedded", "id": "sprite", "subfolder": "motion_adapter"},
        "motion_window": 16,
        "base": {"kind": "embedded", "id": "sprite"},
        "controlnets": {"openpose": {"kind": "file", "id": "/c"}},
    }
    controls = {"pose": {"kind": "openpose", "weight_schedule": [0.0, 0.1, 0.2, 0.3]}, "still": {"kind": "openpose"}}
    whole = stages(model, prompt="a dancer", controls=controls, guidance_schedule=[1.0, 0.9, 0.8, 0.7])
    picked = at_frames(whole, [1, 3]).denoise
    assert picked.controls["pose"].weight_schedule == [0.1, 0.3]
    assert picked.controls["still"].weight_schedule is None
    assert picked.guidance_schedule == [0.9, 0.7]
    assert picked.strength_schedule is None
