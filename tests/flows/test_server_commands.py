"""`up` and `down`: a store's servers, their log-in, and what is no server of ours."""

from __future__ import annotations

import dataclasses
import http.server
import json
import os
import re
import socket
import threading

import pytest

from flows.commands import doctor
from flows.prefect_server import servers
from flows.prefect_server.login import CLIENT, SERVER, login, login_path
from reel.errors import UserError
from tests.flows.program import program
from tests.servers import free_port


@pytest.fixture
def run(capsys, monkeypatch):
    return program(capsys, monkeypatch)


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
    folder = servers.folder(tmp_path)
    folder.mkdir(parents=True)
    record = {"name": "prefect", "pid": os.getpid(), "port": 1, "started": "0.00"}  # the id lives, another process
    (folder / "prefect.json").write_text(json.dumps(record), "utf-8")
    assert servers.running(tmp_path, "prefect") is None
    (folder / "prefect.json").write_text("{", "utf-8")
    assert servers.running(tmp_path, "prefect") is None
    assert servers.down(tmp_path, "prefect") is False


def test_a_taken_port_is_told(run, tmp_path):
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
