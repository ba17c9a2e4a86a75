"""The commands around the flows, on a real store with real records."""

from __future__ import annotations

import ast
import dataclasses
import http.server
import json
import os
import re
import threading
from datetime import datetime
from pathlib import Path

import pytest

from flows import cli
from flows.commands import doctor, machine
from flows.commands.models import names, painters
from flows.prefect_server import servers
from flows.prefect_server.login import CLIENT, SERVER, login, login_path
from reel.config import Config
from reel.errors import UserError
from reel.history.record import RenderRecord, load, save
from reel.history.recorder import begin
from reel.keys import make_key, remember
from reel.op import Op
from reel.store import Store
from tests.servers import free_port


@pytest.fixture
def run(capsys, monkeypatch):
    """Call the program; gives (exit code, stdout, stderr)."""
    monkeypatch.setenv("ROTOSCOPE_DEBUG", "0")  # put back afterwards: --debug sets it

    def call(*argv):
        code = cli.main([str(word) for word in argv])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


class Blur(Config):
    sigma: float = 1.0


class StageDone:
    """What `tasks.cached.Stage` holds, for records made without Prefect."""

    def __init__(self, op: str, key: str, digest: str, reused: bool) -> None:
        self.op, self.key, self.digest, self.reused = op, key, digest, reused
        self.seconds, self.facts = 0.25, {}


def render(store: Store, sigma: float, status: str = "done", seed: int = 0) -> RenderRecord:
    """A render of two stages, really stored, keyed and recorded; its outputs are made of its settings."""
    op = Op("test", "blur", 1, Blur, ("source",), ("numpy",), lambda cfg: (), "map", __name__, lambda *_: "")
    run = f"20260101-{len(list((store.root / 'records').iterdir())):06}-abcdef"  # ids sort by the second only
    recorder = begin(store, "dance", {"sigma": sigma, "seed": seed}, output=store.root / "out", run=run)
    digest = "source"
    for name, cfg in (("first", Blur(sigma=1.0)), ("second", Blur(sigma=sigma))):
        key = make_key(op, cfg, {"source": digest}, {})
        with store.draft("rgb") as draft:
            draft.add("data", f"{name} {cfg.sigma} {seed}".encode() * 1000)
            digest = draft.commit(name=name)
        known = (store.root / "keys" / f"{key.digest}.json").exists()
        if not known:
            remember(store, key, digest, {}, 0.25)
        recorder.stage(StageDone(f"test.{name}", key.digest, digest, known))
    return recorder.finish(status, None if status == "done" else "steps: 0 is too few\nmore lines")


def test_overview_lists_every_flow_and_command(run):
    code, out, _ = run()
    assert code == 0
    assert run("--help")[1] == out
    listed = re.findall(r"^  ([a-z][\w-]*) +\S", out, re.MULTILINE)
    assert {"dance", "doctor", "up", "down", "runs", "why", "models", "gc"} <= set(listed)
    assert set(listed) == set(cli.available())


def test_every_root_config_has_its_flow():
    """conf/<flow>.yaml and flows/<flow>.py, or the package of that name, share the stem."""
    root = Path(cli.__file__).parents[1]
    stems = {path.stem for path in (root / "conf").glob("[!_]*.yaml")}  # _render.yaml is part of others
    assert "dance" in stems
    assert stems <= {path.stem for path in (root / "flows").iterdir()}


@pytest.mark.parametrize("name", cli.available())
def test_help_wins_over_whatever_stands_beside_it(name, capsys):
    try:
        code = cli.main([name, "--bogus", "no.such=1", "clip=", "-n", "many", "--help", "--store"])
    except SystemExit as end:  # argparse's way to be done
        code = end.code
    out, err = capsys.readouterr()
    assert (code, err) == (0, "")
    assert f"rotoscope {name} " in out.partition("\n")[0]
    assert len(out.splitlines()) > 5


@pytest.mark.parametrize("argv", [["-h"], ["--debug", "--help"], ["--bogus", "-h"]], ids=" ".join)
def test_help_of_the_program(run, argv):
    assert run(*argv)[:2] == run("--help")[:2]


def test_help_of_a_command_below_another(capsys):
    for argv in (["lint", "--frames", "none", "-h"], ["--bogus", "lint", "--help"]):
        with pytest.raises(SystemExit) as end:
            cli.main(["schedule", *argv])
        assert end.value.code == 0
        assert capsys.readouterr().out.startswith("usage: rotoscope schedule lint ")


def test_version(run):
    assert re.fullmatch(r"rotoscope \d\S*.*\n", run("--version")[1])


def test_a_typo_names_the_nearest_command(run):
    code, _, err = run("dnace")
    assert code == 2
    assert "no command 'dnace'; nearest: dance" in err


def test_a_wrong_flag_of_a_command(run, tmp_path):
    code, _, err = run("runs", "--stor", tmp_path)
    assert code == 2
    assert "--stor" in err
    assert "--store" in err
    assert "Traceback" not in err


@pytest.mark.parametrize("command", ["runs", "why", "gc"])
def test_commands_that_look_make_no_store(run, tmp_path, command):
    code, _, err = run(command, "--store", tmp_path / "none")
    assert (code, (tmp_path / "none").exists()) == (2, False)
    assert "no store at" in err


def test_runs(run, store):
    first = render(store, 2.0)
    again = render(store, 2.0)
    failed = render(store, 3.0, "failed")
    code, out, err = run("runs", "--store", store.root)
    assert (code, err) == (0, "")
    rows = {line.split()[0]: line for line in out.splitlines()[1:]}
    assert set(rows) == {first.run, again.run, failed.run}
    assert " done " in rows[first.run]
    assert " reused " in rows[again.run]
    assert rows[failed.run].endswith("steps: 0 is too few")
    only = run("runs", "--store", store.root, "-n", "1", "--status", "done")[1]
    assert again.run in only or first.run in only
    assert "(1 earlier ones: rotoscope runs -n 0)" in only


def test_a_killed_render_is_shown_as_interrupted(run, store):
    recorder = begin(store, "dance", {})
    recorder._held.close()  # what the kernel does to the lock of a killed process
    out = run("runs", "--store", store.root)[1]
    assert "interrupted" in out
    assert "killed" in out


def test_a_damaged_record_is_named_and_the_others_are_shown(run, store):
    good = render(store, 2.0)
    bad = store.root / "records" / "20260202-000000-abcdef.json"
    bad.write_text("{", "utf-8")
    code, out, err = run("runs", "--store", store.root)
    assert code == 0
    assert good.run in out
    assert bad.name in err


def test_why(run, store):
    render(store, 2.0)
    changed = render(store, 3.0)
    code, out, _ = run("why", "last", "--store", store.root)
    assert code == 0
    assert changed.run in out
    first, second = (line for line in out.splitlines() if line.startswith(("  hit", "  miss")))
    assert first.startswith("  hit   test.first")
    assert second.startswith("  miss  test.second")
    assert "config.sigma: 2.0 -> 3.0" in out
    assert run("why", "--store", store.root)[1] == out
    assert run("why", changed.run, "--store", store.root)[1] == out


def test_why_of_the_first_render(run, store):
    render(store, 2.0)
    assert "the first of its kind" in run("why", "--store", store.root)[1]


def test_why_of_nothing(run, store):
    assert run("why", "--store", store.root)[0] == 2
    assert "no run fits" in run("why", "1999", "--store", store.root)[2]


def test_gc_shows_first_and_removes_only_when_told(run, store):
    old, new = render(store, 2.0), render(store, 3.0)
    before = set(store.digests())
    assert len(before) == 3
    code, out, _ = run("gc", "--store", store.root)
    assert code == 0
    assert "nothing can go" in out
    code, out, _ = run("gc", "--store", store.root, "--keep-last", "1")
    assert code == 0
    assert f"rotoscope gc --store {store.root} --keep-last 1 --yes" in out
    assert set(store.digests()) == before
    out = run("gc", "--store", store.root, "--keep-last", "1", "--yes")[1]
    assert "freed" in out
    gone = before - set(store.digests())
    kept = {stage.digest for stage in new.stages}
    assert gone == {stage.digest for stage in old.stages} - kept
    for digest in kept:
        store.verify(digest)


def test_gc_keeps_a_named_render(run, store):
    old = render(store, 2.0)
    render(store, 3.0)
    run("gc", "--store", store.root, "--keep-last", "0", "--keep", old.run, "--yes")
    assert set(store.digests()) == {stage.digest for stage in old.stages}


def test_gc_refuses_nonsense(run, store):
    code, _, err = run("gc", "--store", store.root, "--keep-last", "-1")
    assert (code, "--keep-last: must be a whole number, 0 or more, got '-1'" in err) == (2, True)


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["runs", "-n", "-3"], "argument -n: must be a whole number, 0 or more, got '-3'"),
        (["runs", "-n", "1.5"], "argument -n: must be a whole number, 0 or more, got '1.5'"),
        (["runs", "-n", "9" * 5000], "argument -n: must be a whole number, 0 or more, got '999"),
        (["runs", "--flow", "dnace"], "--flow: there is no flow 'dnace'; nearest: dance"),
        (["up", "--prefect-port", "70000"], "--prefect-port: must be a whole number, 1 to 65535, got '70000'"),
        (["up", "--mlflow-port", "0"], "--mlflow-port: must be a whole number, 1 to 65535, got '0'"),
        (["up", "--prefect-port", "-1"], "--prefect-port: must be a whole number, 1 to 65535, got '-1'"),
        (["down", "--store", ""], "argument --store: is empty: name a file or folder"),
        (["runs", "--store", "a" * 5000], "argument --store: a name in the path has 5000 bytes, at most 255"),
        (["why", ""], "no run fits ''"),
        (["sweeps", ""], "there is no sweep ''"),
        (["models", ""], "error: '': no such choice"),
        (["models", "../dance"], "../dance: no such choice"),
        (["mirror", "push", ""], "the mirror's address is empty"),
        (["down", "--store", "nowhere"], "no server was started for the store"),
    ],
    ids=lambda value: " ".join(value)[:40] if isinstance(value, list) else "",
)
def test_flags_that_no_command_can_mean(run, tmp_path, monkeypatch, argv, said):
    render(Store(tmp_path / "store"), 2.0)
    monkeypatch.chdir(tmp_path)
    more = [] if "--store" in argv else ["--store", tmp_path / "store"]
    code, _, err = run(*argv, *more)
    assert (code, said in err) == (2, True), err
    assert len(err) < 400
    assert sorted(path.name for path in tmp_path.iterdir()) == ["store"]


@pytest.mark.parametrize("command", [["runs"], ["down"], ["up", "--only", "mlflow"], ["mirror", "pull", "file:///x"]])
def test_a_store_that_is_named_empty_is_not_the_folder_one_stands_in(run, tmp_path, monkeypatch, command):
    monkeypatch.setenv("ROTOSCOPE_STORE", "")
    monkeypatch.chdir(tmp_path)
    code, _, err = run(*command)
    assert (code, "paths.store: is empty: name a file or folder" in err) == (2, True), err
    assert "${oc.env:ROTOSCOPE_STORE" in err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", ["up", "down", "runs"])
def test_a_file_is_no_store(run, tmp_path, command):
    (tmp_path / "x").write_text("a film, say")
    code, _, err = run(command, "--store", tmp_path / "x")
    assert (code, str(tmp_path / "x") in err) == (2, True), err


@pytest.mark.parametrize("direction", ["push", "pull"])
def test_a_mirror_of_nothing_is_no_success(run, tmp_path, direction):
    Store(tmp_path / "store")
    code, out, err = run("mirror", direction, f"file://{tmp_path / 'nowhere'}", "--store", tmp_path / "store")
    assert (code, out) == (2, "")
    assert f"error: nothing to {direction}: " in err
    assert "fix: " in err


@pytest.mark.parametrize("year", ["0001-01-01T00:00:00Z", "1969-12-31T23:59:59Z", "9999-12-31T23:59:59Z"])
def test_a_clock_that_stood_elsewhere(run, store, year):
    """A record whose times no zone of this machine can be told for is shown all the same."""
    render(store, 2.0)
    [path] = (store.root / "records").glob("*.json")
    moment = datetime.fromisoformat(year)
    save(store, load(path).model_copy(update={"started": moment, "ended": moment}))
    code, out, err = run("runs", "--store", store.root)
    assert (code, err) == (0, "")
    assert year[:3] in out
    assert run("why", "--store", store.root)[0] == 0


def test_models_lists_the_catalogue(run):
    code, out, err = run("models")
    assert (code, err) == (0, "")
    listed = [line.split()[0] for line in out.splitlines()[1:] if line and not line.startswith("more")]
    assert listed == [*names(), "keyframe", *painters()]
    assert listed[0] == "sprite"
    assert {"sd15"} <= set(listed)


def test_models_describes_one(run):
    code, out, _ = run("models", "sd15")
    assert code == 0
    assert "controlnets.openpose" in out
    assert "motion window" in out
    assert "licence" in out
    code, _, err = run("models", "sd51")
    assert code == 2
    assert "sd51: no such choice; nearest: sd15" in err


def test_doctor_reports_and_goes_on_when_a_check_breaks(run, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")  # nobody listens there
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)

    def broken():
        raise RuntimeError("no such thing")

    monkeypatch.setattr(doctor, "memory", broken)
    code, out, _ = run("doctor", "--store", tmp_path)
    assert code == 1
    assert "fail  memory     RuntimeError: no such thing" in out
    assert re.search(r"warn +hub +http://127.0.0.1:9 cannot be reached .*\n +-> ", out)
    for line in out.splitlines():
        assert re.match(r"(ok|warn|fail) {1,3}\s?\S|\s+-> \S", line), line
    seen = {line.split()[1] for line in out.splitlines() if not line.startswith(" ")}
    assert {"python", "packages", "config", "device", "memory", "ffmpeg", "hub", "models", "disk", "servers"} <= seen


def test_doctor_where_nothing_is_in_place(run, tmp_path, monkeypatch):
    """No FFmpeg, no settings that compose: each is told with its remedy, and the other checks still run."""
    from tasks.media.ffmpeg import binary

    def broken():
        raise UserError("conf/dance.yaml, line 3: cannot be read as YAML", fix="put that line right")

    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", str(tmp_path / "none"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr(doctor, "settings", broken)
    binary.cache_clear()
    try:
        code, out, err = run("doctor", "--store", tmp_path)
    finally:
        binary.cache_clear()
    assert (code, err) == (1, "")
    assert re.search(r"fail +ffmpeg +no FFmpeg program at .*none\n +-> unset IMAGEIO_FFMPEG_EXE", out)
    assert re.search(r"fail +config +conf/dance.yaml, line 3.*\n +-> put that line right", out)
    assert {"memory", "device", "hub"} <= {line.split()[1] for line in out.splitlines()}


def test_doctor_says_what_to_do_about_every_problem():
    """A warning or a failure without a remedy is no help: each is built with one."""
    source = Path(machine.__file__).read_text("utf-8") + Path(doctor.__file__).read_text("utf-8")
    calls = [
        node
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Finding"
    ]
    problems = [call for call in calls if isinstance(call.args[0], ast.Constant) and call.args[0].value != "ok"]
    assert len(problems) > 10
    assert all(len(call.args) == 4 for call in problems)


def test_server_environment_stays_inside_the_store(tmp_path, monkeypatch):
    for name in servers.environment(tmp_path):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    monkeypatch.setenv("PREFECT_LOGGING_LEVEL", "DEBUG")
    for name in (CLIENT, SERVER):  # put back afterwards
        monkeypatch.setenv(name, "another's:password")

    assert servers.prepare(tmp_path) is None
    assert os.environ["PREFECT_HOME"] == str(tmp_path / "servers" / "prefect")
    assert os.environ["PREFECT_SERVER_ANALYTICS_ENABLED"] == "false"
    assert os.environ["DO_NOT_TRACK"] == "1"
    assert os.environ["PREFECT_LOGGING_LEVEL"] == "DEBUG"  # what is set already stays
    assert os.environ[CLIENT] == os.environ[SERVER] == login(tmp_path), "the temporary server asks for a log-in, too"


def test_another_server_is_never_given_our_password(tmp_path, monkeypatch):
    monkeypatch.setenv("PREFECT_API_URL", "https://prefect.example.org/api")
    monkeypatch.setenv(CLIENT, "me:their-password")
    monkeypatch.delenv(SERVER, raising=False)
    assert servers.prepare(tmp_path) == "https://prefect.example.org/api"
    assert os.environ[CLIENT] == "me:their-password"
    assert SERVER not in os.environ
    assert not login_path(tmp_path).exists()


def test_our_own_server_is_known_by_either_name(tmp_path):
    server = servers.Server("prefect", 1, 4200, "then")
    for url in ("http://127.0.0.1:4200/api", "http://localhost:4200/api/"):
        assert servers.access(tmp_path, url, server) == {CLIENT: login(tmp_path)}
    for url in ("http://127.0.0.1:4201/api", "http://elsewhere:4200/api", "http://127.0.0.1:4200.elsewhere/api"):
        assert servers.access(tmp_path, url, server) == {}
    assert servers.access(tmp_path, "http://127.0.0.1:4200/api", None) == {}


def test_the_password_is_made_once_and_held_to_its_form(tmp_path):
    first = login(tmp_path)
    assert re.fullmatch(r"rotoscope:[\w-]{32}", first)
    assert login(tmp_path) == first
    assert login(tmp_path / "other") != first
    path = login_path(tmp_path)
    path.chmod(0o644)
    with pytest.raises(UserError, match="other users of this machine can read"):
        login(tmp_path)
    path.chmod(0o600)
    for text in ("", "nocolon", "me:short", "me:two words", "me:\u00fcnicode-password"):
        path.write_text(text)
        with pytest.raises(UserError, match="of the form name:password"):
            login(tmp_path)
    path.write_text("me:my own password".replace(" ", "-"))
    assert login(tmp_path) == "me:my-own-password"


def test_a_stale_process_file_is_no_server(tmp_path):
    import json
    import os

    folder = servers.folder(tmp_path)
    folder.mkdir(parents=True)
    record = {"name": "prefect", "pid": os.getpid(), "port": 1, "started": "0.00"}  # the id lives, another process
    (folder / "prefect.json").write_text(json.dumps(record), "utf-8")
    assert servers.running(tmp_path, "prefect") is None
    (folder / "prefect.json").write_text("{", "utf-8")
    assert servers.running(tmp_path, "prefect") is None
    assert servers.down(tmp_path, "prefect") is False


def test_a_taken_port_is_told(run, tmp_path):
    import socket

    with socket.socket() as other:
        other.bind((servers.HOST, 0))
        other.listen()
        port = other.getsockname()[1]
        code, _, err = run("up", "--store", tmp_path, "--only", "prefect", "--prefect-port", port)
    assert code == 2
    assert f"prefect: port {port} is in use by another program" in err


def test_a_server_that_lets_anybody_in_is_told(run, tmp_path):
    """As one of an older version, which may still be up."""

    class Open(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"true")

        def log_message(self, *args: object) -> None:
            pass

    with http.server.ThreadingHTTPServer((servers.HOST, 0), Open) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        known = servers.Server("prefect", os.getpid(), running.server_address[1], str(servers._started(os.getpid())))
        servers.folder(tmp_path).mkdir()
        (servers.folder(tmp_path) / "prefect.json").write_text(json.dumps(dataclasses.asdict(known)))
        code, _, err = run("up", "--store", tmp_path, "--only", "prefect")
        assert code == 2
        assert f"the Prefect server on {known.url} lets anybody in" in err
        assert "fix: rotoscope down; rotoscope up" in err
        assert [finding.level for finding in doctor.up(tmp_path)] == ["fail", "warn"]
        running.shutdown()


@pytest.mark.slow
def test_servers_come_up_are_found_and_go_down(run, tmp_path, monkeypatch):
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    monkeypatch.setenv(CLIENT, "another's:password")  # put back afterwards: finding our own server sets it
    ports = {name: free_port() for name in servers.NAMES}
    flags = [word for name in servers.NAMES for word in (f"--{name}-port", ports[name])]
    try:
        code, out, err = run("up", "--store", tmp_path, *flags)
        assert (code, err) == (0, "")
        assert out.count(" started, log ") == 2
        secret = login_path(tmp_path)
        assert f"its page asks for a password: paste the line in {secret}" in out
        assert secret.stat().st_mode & 0o777 == 0o600
        assert secret.read_text().strip().partition(":")[2] not in out
        assert servers.prepare(tmp_path) == f"http://127.0.0.1:{ports['prefect']}/api"
        assert os.environ["PREFECT_API_AUTH_STRING"] == secret.read_text().strip()
        code, out, _ = run("up", "--store", tmp_path)
        assert (code, out.count("is up already")) == (0, 2)
        found = list(doctor.up(tmp_path))
        assert [finding.level for finding in found] == ["ok", "ok"]
    finally:
        code, out, _ = run("down", "--store", tmp_path)
    assert (code, out.count("stopped")) == (0, 2)
    assert [servers.running(tmp_path, name) for name in servers.NAMES] == [None, None]
    assert run("down", "--store", tmp_path)[1].count("was not up") == 2
    assert {path.name for path in tmp_path.iterdir()} == {"servers", "mlflow", "locks"}


@pytest.mark.parametrize("more", [[], ["--cfg", "job"], ["-m"]])
def test_a_folder_within_a_group_is_told_how_it_is_chosen(run, more):
    code, _, err = run("dance", "experiment/dance=new_character", *more)
    assert code == 2
    assert "dance is a folder of the group experiment" in err
    assert "fix: experiment=dance/new_character" in err


def test_doctor_tells_an_address_of_the_hub_that_is_none(monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", "nonsense")
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    [found] = machine.hub()
    assert (found.level, found.text) == ("fail", "HF_ENDPOINT: 'nonsense' is not an address")
