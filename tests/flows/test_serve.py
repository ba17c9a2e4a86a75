"""Deployments: their files, what they may set, and what is said when something is wrong."""

from __future__ import annotations

import asyncio
import datetime
import itertools
import json
import os
import re
import zoneinfo
from pathlib import Path

import pytest

from flows import cli
from flows.config.compose import single
from flows.config.engine import hydra_ready
from flows.config.root import Root
from flows.serve import allow, register, request
from flows.serve.settings import Deployment, Schedule, Serve, names, read
from flows.serve.state import Entry, State
from reel.errors import UserError

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.usefixtures("prefect_server")  # Prefect reads its address once, when it is imported


def settings(*overrides: str) -> Serve:
    root = Root("serve", Serve)
    with hydra_ready(root) as engine:
        return single(engine, list(overrides)).config


@pytest.fixture(scope="module")
def usual() -> Serve:
    return settings()


def test_the_examples_compose(usual):
    plans = {plan.name: plan for plan in register.check(usual)}
    assert sorted(plans) == sorted(names(usual))
    assert {"nightly", "inbox"} <= set(plans)
    nightly = plans["nightly"]
    assert nightly.point.config.controls["pose"].weight == 0.9
    assert nightly.point.config.clip == ROOT / "data/source/sample.mp4"  # relative to the checkout, wherever one stands
    assert (nightly.deployment.missed, nightly.deployment.collision_strategy) == ("once", "CANCEL_NEW")


WRONG = {
    "no flow": ("overrides: []", ["flow: a value is needed"]),
    "unknown key": ("flow: dance\nschedule: []", ["unknown key 'schedule'", "schedules"]),
    "cron": ('flow: dance\nschedules: [{cron: "61 * * * *"}]', ["schedules.0", "61 * * * *"]),
    "cron without quotes": ("flow: dance\nschedules:\n  - cron: * * * * *", [".yaml:3:", "quotes"]),
    "zone": ('flow: dance\nschedules: [{cron: "0 3 * * *", timezone: Europe/Berln}]', ["Europe/Berln"]),
    "rrule": ("flow: dance\nschedules: [{rrule: FREQ=SOMETIMES}]", ["SOMETIMES"]),
    "rrule zone": ("flow: dance\nschedules: [{rrule: FREQ=DAILY, timezone: Mars}]", ["Mars"]),
    "two rules": ('flow: dance\nschedules: [{cron: "0 3 * * *", interval: 60}]', ["one of cron, interval and rrule"]),
    "interval": ("flow: dance\nschedules: [{interval: 1}]", ["10 s or more"]),
    "31 February": (
        'flow: dance\nschedules: [{cron: "0 3 31 2 *"}]',
        ["schedules.0: cron: '0 3 31 2 *' never falls due"],
    ),
    "seconds": ('flow: dance\nschedules: [{cron: "0 0 3 * * *"}]', ["has 6 fields; it takes 5 (minute hour day"]),
    "a day by the clock": (
        "flow: dance\nschedules: [{interval: 86400, timezone: Europe/Berlin}]",
        ["runs would be due twice after a change", 'cron: "0 3 * * *" with timezone: Europe/Berlin'],
    ),
    "count": (
        "flow: dance\nschedules: [{rrule: FREQ=DAILY;COUNT=3}]",
        ["COUNT without DTSTART", "RRULE:FREQ=DAILY;COUNT=3"],
    ),
    "30 February": ("flow: dance\nschedules: [{rrule: FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30}]", ["never falls due"]),
    "long ago": (
        'flow: dance\nschedules: [{rrule: "DTSTART:19000101T000000Z\\nRRULE:FREQ=YEARLY"}]',
        ["DTSTART in 1900 is too long ago"],
    ),
    "every second": ("flow: dance\nschedules: [{rrule: FREQ=SECONDLY}]", ["more often than every 10 s"]),
    "no step": ("flow: dance\nschedules: [{rrule: FREQ=DAILY;INTERVAL=0}]", ["INTERVAL must be 1 or more, got 0"]),
    "a step back": (
        "flow: dance\nschedules: [{rrule: FREQ=DAILY;INTERVAL=-1}]",
        ["INTERVAL must be 1 or more"],
    ),
    "no such hour": ("flow: dance\nschedules: [{rrule: FREQ=HOURLY;BYHOUR=25}]", ["never falls due"]),
    "every minute since 2020": ("flow: dance\nschedules: [{rrule: FREQ=MINUTELY}]", ["take an interval or a cron"]),
    "all are left out": (
        'flow: dance\nschedules: [{rrule: "RRULE:FREQ=DAILY\\nEXRULE:FREQ=DAILY"}]',
        ["EXRULE is no part of RFC 5545"],
    ),
    "one of two never comes": (
        'flow: dance\nschedules: [{rrule: "RRULE:FREQ=DAILY\\nRRULE:FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30"}]',
        ["never falls due"],
    ),
    "longer than the calendar": (
        "flow: dance\nschedules: [{interval: 1000000000000}]",
        ["interval: at most 3650 days"],
    ),
    "unknown flow": ("flow: danse", ["no 'danse'|'danse' is not one", "nearest: dance"]),
    "serve itself": ("flow: serve", ["'serve' is not one that may be deployed"]),
    "unknown experiment": ("flow: dance\nexperiment: dance/new_charakter", ["nearest: dance/new_character"]),
    "another flow's experiment": ("flow: dance\nexperiment: ../paths/default", ["no such choice '../paths/default'"]),
    "override as a map": ("flow: dance\noverrides: [{seed: 3}]", ["write - seed=3"]),
    "unknown override": ("flow: dance\noverrides: [extract.fsp=3]", ["unknown key 'extract.fsp'", "extract.fps"]),
    "out of range": ("flow: dance\noverrides: [stylize.strength=2]", ["stylize.strength", "less than or equal to 1"]),
    "forbidden": ("flow: dance\noverrides: [paths.store=/x]", ["paths.store may not be set"]),
    "slot": ("flow: dance\nslot: rotoscope-gpo", ["no slot 'rotoscope-gpo'", "rotoscope-gpu"]),
    "collision": ("flow: dance\ncollision_strategy: WAIT", ["ENQUEUE", "CANCEL_NEW"]),
    "missed": ("flow: dance\nmissed: all", ["skip", "once"]),
    "watches the whole disk": ("flow: dance\nwatch: {folder: /}", ["watch.folder: / holds your home folder"]),
    "watches the home folder": ("flow: dance\nwatch: {folder: ~/}", ["holds your home folder", "data/inbox"]),
    "watches the checkout": ("flow: dance\nwatch: {folder: .}", ["holds the checkout"]),
    "watches the store": (f"flow: dance\nwatch: {{folder: {ROOT}/data/.store/x}}", ["lies in the store|data/.store"]),
    "not a group": ("- dance", ["must be a group of keys"]),
    "no program": (
        "flow: dance\non_failure: [no-such-program, x]",
        ["on_failure: there is no program 'no-such-program'"],
    ),
    "not a program": ("flow: dance\non_failure: [/etc/passwd]", ["on_failure: '/etc/passwd' may not be started"]),
    "a key twice": ("flow: dance\nretries: 1\nretries: 2", ["line 3: 'retries' is given twice"]),
    "a prompt": ("flow: dance\noverrides: ['prompt=(girl:nan)']", ["prompt: 'nan' at character 7 is not a weight"]),
    "a number": ("flow: dance\nretries: true", ["retries: must be a number, true is not one"]),
    "for ever": ("flow: dance\nwatch: {folder: x, stable_seconds: .inf}", ["watch.stable_seconds: must be a finite"]),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_file_is_told_with_its_name(case, tmp_path, capsys):
    text, expected = WRONG[case]
    (tmp_path / "wrong.yaml").write_text(text)
    assert cli.main(["serve", "check=true", f"folder={tmp_path}"]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"error: {tmp_path / 'wrong.yaml'}")
    for pattern in expected:
        assert any(part in said for part in pattern.split("|")), said
    assert "Traceback" not in said


def test_a_rule_that_is_over_is_told(tmp_path, capsys):
    """It is no mistake: a rule with an end comes to it while the deployment is served."""
    rule = '"DTSTART:20240101T030000\\nRRULE:FREQ=DAILY;COUNT=3"'
    (tmp_path / "old.yaml").write_text(
        f"flow: dance\noverrides: [clip=data/source/sample.mp4]\nschedules: [{{rrule: {rule}}}]"
    )
    assert cli.main(["serve", "check=true", f"folder={tmp_path}"]) == 0
    out, err = capsys.readouterr()
    assert "never" in out
    assert f"warning: {tmp_path / 'old.yaml'}: schedules.0: DTSTART:20240101T030000" in err
    assert "is over: it starts nothing any more" in err


def test_rules_that_are_served_are_due_once_a_day_over_a_change_of_the_clocks():
    """Prefect's own scheduler over two months around the end of summer time: one run for each local day."""
    start = datetime.datetime(2026, 10, 1, tzinfo=datetime.UTC)
    end = start + datetime.timedelta(days=60)
    berlin = zoneinfo.ZoneInfo("Europe/Berlin")
    for rule in (
        Schedule(interval=86400),
        Schedule(cron="0 3 * * *", timezone="Europe/Berlin"),
        Schedule(rrule="DTSTART:20260901T030000\nRRULE:FREQ=DAILY", timezone="Europe/Berlin"),
    ):
        zone = berlin if rule.timezone != "UTC" else datetime.UTC
        days = [date.astimezone(zone).date() for date in asyncio.run(rule.due(start, end))]
        assert len(days) == len(set(days)) in (60, 61)
        assert {(b - a).days for a, b in itertools.pairwise(days)} == {1}
    six = asyncio.run(Schedule(interval=21600, timezone="Europe/Berlin").due(start, end))
    assert {(b - a).total_seconds() for a, b in itertools.pairwise(six)} == {21600}


def test_names(tmp_path, usual):
    with pytest.raises(UserError, match="nearest: nightly"):
        register.check(usual.model_copy(update={"deployments": ["nightli"]}))
    with pytest.raises(UserError, match="no deployments in"):
        register.check(usual.model_copy(update={"folder": tmp_path}))
    (tmp_path / "My Job.yaml").write_text("flow: dance")
    with pytest.raises(UserError, match="a-z, 0-9 and _"):
        register.check(usual.model_copy(update={"folder": tmp_path}))


@pytest.mark.timeout(60)
def test_a_file_that_is_none_is_not_waited_for(tmp_path, capsys):
    os.mkfifo(tmp_path / "wrong.yaml")
    assert cli.main(["serve", "check=true", f"folder={tmp_path}"]) == 2
    assert f"error: {tmp_path / 'wrong.yaml'}: is not a regular file" in capsys.readouterr().err


@pytest.mark.parametrize("slots", ["{rotoscope-gpu: -1}", "{rotoscope-gpu: 0}", "{rotoscope-gpu: true}"])
def test_a_slot_holds_one_render_or_more(slots, capsys):
    assert cli.main(["serve", "check=true", f"slots={slots}"]) == 2
    assert "error: slots" in (said := capsys.readouterr().err)
    assert "must be" in said


ALLOWED = [
    "seed=3",
    "clip=data/source/sample.mp4",
    f"clip={ROOT}/data/source/my film (1), [final].mp4",
    "prompt=a ${x}, https://b [c] {d} \\ ..",
    "prompt=",
    "prompt=two\nlines",
    "control=[pose,lineart]",
    "controls.pose.weight=0.4",
    "model=sd15",
    "compute=cpu",
    "stylize.ip_adapter.picture=data/source/a.png",
    "preprocess.canny.low=20",
]
FORBIDDEN = {
    "+seed=3": "+ is not allowed",
    "++seed=3": "+ is not allowed",
    "~seed": "~ is not allowed",
    "seed": "not of the form key=value",
    "hydra.run.dir=/x": "may not be set",
    "hydra/launcher=joblib": "not of the form",
    "paths.store=/x": "may not be set",
    "paths=other": "may not be set",
    "local=other": "may not be set",
    "experiment=dance/traced": "field of its own",
    "tracking.uri=http://elsewhere": "may not be set",
    "model.base.id=/x": "may not be set",
    "stylize.vae.id=/x": "a model's files",
    "stylize.vae={kind: file, id: x}": "a model's files",
    "stylize.loras=[x]": "a model's files",
    "stylize.ip_adapter={picture: /etc/passwd}": "a group of keys",
    "seed=${oc.env:HOME}": "an interpolation",
    "model=../paths/default": "a path upwards",
    "compute=/etc/passwd": "a path is not allowed",
    "clip=http://elsewhere/a.mp4": "an address",
    "clip=file:///etc/passwd": "an address",
}
OUTSIDE = ["clip=/etc/passwd", "clip=data/source/../../secret", "clip=~/a.mp4", "prompt=@/etc/passwd", "clip=data"]


@pytest.fixture(scope="module")
def rules(usual):
    deployment = Deployment(flow="dance")
    chosen = request.target(usual, "dance")
    schema = request.schema(usual, deployment, chosen)
    return allow.Rules(usual, deployment, chosen.settings), schema["properties"]["overrides"]["items"]["pattern"]


@pytest.mark.parametrize("override", ALLOWED)
def test_allowed(rules, override):
    full, pattern = rules
    full.check(override)
    assert re.search(pattern, override), "the server would refuse what the run takes"


@pytest.mark.parametrize("override", FORBIDDEN)
def test_forbidden(rules, override):
    full, pattern = rules
    with pytest.raises(UserError, match=re.escape(FORBIDDEN[override])):
        full.check(override)
    assert override.startswith("clip=") or not re.search(pattern, override), "the server would take it"


@pytest.mark.parametrize("override", OUTSIDE)
def test_outside_the_roots(rules, override):
    with pytest.raises(UserError, match="outside the allowed folders"):
        rules[0].check(override)


def test_a_link_out_of_a_root_is_outside(usual, tmp_path):
    inside, outside = tmp_path / "in", tmp_path / "out"
    inside.mkdir()
    outside.mkdir()
    (outside / "a.mp4").write_bytes(b"x")
    (inside / "a.mp4").symlink_to(outside / "a.mp4")
    (inside / "b.mp4").write_bytes(b"x")
    wider = usual.model_copy(update={"roots": [inside]})
    chosen = request.target(usual, "dance")
    assert allow.check(wider, Deployment(flow="dance"), chosen, [], str(inside / "b.mp4")) == [
        f"clip={inside / 'b.mp4'}"
    ]
    with pytest.raises(UserError, match="outside the allowed folders"):
        allow.check(wider, Deployment(flow="dance"), chosen, [], str(inside / "a.mp4"))


def test_every_key_that_names_a_models_files_is_known(usual):
    keys = set(allow.model_keys(request.target(usual, "dance").settings))
    assert {"model.base", "model.controlnets.*", "stylize.vae", "stylize.loras", "stylize.motion_loras"} <= keys


def test_no_list_can_allow_where_things_lie(usual):
    wide = usual.model_copy(update={"allow": {"dance": ["*", "paths.*", "hydra.*"]}})
    chosen = request.target(wide, "dance")
    for override in ("paths.store=/x", "hydra.run.dir=x", "local=x"):
        with pytest.raises(UserError, match="may not be set"):
            allow.check(wide, Deployment(flow="dance"), chosen, [override], None)


def test_a_hostile_name_reaches_the_settings_unchanged(usual, tmp_path):
    wide = usual.model_copy(update={"roots": [tmp_path]})
    chosen = request.target(wide, "dance")
    for name in ('a, b=[c] ${x} it\'s "so".mp4', "choice(x).mp4"):
        point = request.composed(
            wide, Deployment(flow="dance"), chosen, experiment=None, overrides=[], dropped=str(tmp_path / name)
        )
        assert point.config.clip == tmp_path / name


def test_an_unreachable_server_is_told_at_once(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")
    monkeypatch.setenv("ROTOSCOPE_SERVE", "[]")  # put back afterwards: serve sets it
    assert cli.main(["serve", f"paths.store={tmp_path}"]) == 2
    said = capsys.readouterr().err
    assert "the Prefect server at http://127.0.0.1:9/api does not answer" in said
    assert "PREFECT_API_URL" in said.partition("fix:")[2]


def test_one_serve_a_store(tmp_path):
    with State(tmp_path).sole(), pytest.raises(UserError, match="another `rotoscope serve`"), State(tmp_path).sole():
        pass
    with State(tmp_path).sole():
        pass


def test_the_ledger_forgets_nothing_and_survives_foreign_files(tmp_path):
    state = State(tmp_path)
    entry = Entry(digest="ab", files={"/x/a.mp4": (3, 4)}, flow_run="f", submitted="2026-01-01T00:00:00Z")
    state.write("inbox", entry)
    (tmp_path / "serve/inbox/inbox/.ab.json.1234").write_text("{")
    (tmp_path / "serve/inbox/inbox/notes.json").write_text(json.dumps({"a": 1}))
    assert State(tmp_path).entries("inbox") == {"ab": entry}
    assert State(tmp_path).entries("other") == {}


def test_a_render_is_known_to_live_by_its_lock(tmp_path):
    state = State(tmp_path)
    assert not state.is_rendering("r")
    with state.rendering("r"):
        assert state.is_rendering("r")
    assert not state.is_rendering("r")


def test_read_gives_typed_settings(usual):
    inbox = read(usual, "inbox")
    assert inbox.watch
    assert inbox.watch.stable_seconds == 5
    assert inbox.slot in usual.slots
