"""Secrets planted in every setting and environment variable that may hold one, and looked for everywhere afterwards."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from flows import cli, flow
from flows.config import kept
from flows.prefect_server.login import login, login_path
from reel.config import places
from reel.errors import UserError
from reel.files import canonical_json, sha256_bytes
from reel.history.comparison import settings as shown
from reel.history.record import dump, load, record_path
from reel.history.recorder import begin
from reel.masking import is_secret
from reel.mirror import push
from reel.store import Store
from tasks.tracking.links import new_link, read_link
from tasks.tracking.render import tracked
from tasks.tracking.settings import Tracking

PLANTED = {
    name: f"planted-{number}-in-{name.lower()}"
    for number, name in enumerate(
        [
            *("HF_TOKEN", "MLFLOW_TRACKING_USERNAME_TOKEN", "MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN"),
            *("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "OPENAI_API_KEY", "CIVITAI_API_TOKEN", "PGPASSWORD"),
            "FSSPEC_SFTP_PASSWORD",
        ]
    )
}
URI = "http://me:planted-in-uri@127.0.0.1:9/x"


@pytest.fixture(autouse=True)
def planted(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in PLANTED.items():
        monkeypatch.setenv(name, value)


def found(folder: Path) -> Iterator[str]:
    """Files in which something planted stands."""
    for path in sorted(folder.rglob("*")):
        if path.is_file() and b"planted-" in path.read_bytes():
            yield str(path.relative_to(folder))


def test_no_setting_is_made_for_a_secret():
    """They are recorded, shown and pushed; what needs one reads the environment (docs/security.md)."""
    names = {f"{name}: {one.key}" for name in flow.names() for one in places(flow.get(name).settings)}
    assert len(names) > 100
    assert [name for name in names if is_secret(name.rpartition(".")[2])] == []


@pytest.mark.parametrize("more", [[], ["-m", "seed=1,2"], ["--cfg", "job"], ["--debug"]])
def test_a_password_in_the_tracking_address_is_refused_and_stands_nowhere(more, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(kept, "PLACE", tmp_path / "kept")
    monkeypatch.setenv("ROTOSCOPE_DEBUG", "0")
    code = cli.main(["dance", f"tracking.uri={URI}", f"paths.store={tmp_path / 'store'}", *more])
    out, err = capsys.readouterr()
    assert "planted-" not in out + err
    assert list(found(tmp_path)) == []
    if "--cfg" in more:
        assert "uri: http://me:***@127.0.0.1:9/x" in out
    else:
        assert code == 2
        assert "tracking.uri: must hold no password" in err
        assert "MLFLOW_TRACKING_PASSWORD" in err


def test_a_secret_of_the_environment_is_no_setting(tmp_path, capsys):
    code = cli.main(["dance", "hydra.job.name=${oc.env:HF_TOKEN}", "extract.fps=${oc.env:HF_TOKEN}"])
    said = "".join(capsys.readouterr())
    assert code == 2
    assert "planted-" not in said
    assert "HF_TOKEN" in said


@pytest.fixture
def tracking(tmp_path: Path, mlflow_tables: Path) -> Tracking:
    (tmp_path / "mlflow").mkdir()
    shutil.copy(mlflow_tables, tmp_path / "mlflow" / "mlflow.db")
    return Tracking(uri=f"sqlite:///{tmp_path}/mlflow/mlflow.db", artifacts=tmp_path / "artifacts", timeout=120)


@pytest.mark.parametrize("kind", [UserError, RuntimeError])
def test_what_a_failing_render_says_is_recorded_logged_and_told_without_them(kind, store, tracking, tmp_path, caplog):
    """Whatever an error's text holds, as libraries' errors do that quote a request."""
    text = f"cannot reach {URI}?token=planted-in-query with {' '.join(PLANTED.values())}"
    with pytest.raises(kind), tracked(store, tracking, "dance", {"tracking": tracking.model_dump(mode="json")}) as told:
        raise kind(text)
    link = read_link(store, told.run)
    assert link is not None
    assert link.logged == "failed", "MLflow was told, too"
    assert "cannot reach http://me:***@127.0.0.1:9/x?token=*** with *** ***" in str(told.record.reason)
    push(store, f"file://{tmp_path}/mirror")
    assert list(found(tmp_path)) == []
    assert "planted-" not in caplog.text


def test_a_record_of_an_older_version_is_shown_and_pushed_without_its_password(store, tmp_path):
    run = begin(store, "dance", {"tracking": {"uri": "sqlite:///x"}, "prompt": "a dancer"}).finish("done").run
    path = record_path(store, run)
    text = path.read_text().replace("sqlite:///x", URI)
    old = load(path).model_copy(update={"config": {"tracking": {"uri": URI}, "prompt": "a dancer"}})
    data = old.model_dump(mode="json")
    path.write_bytes(dump(old))
    assert sha256_bytes(canonical_json(data)) in path.read_text()
    assert URI in path.read_text() + text
    assert load(path).config == {"tracking": {"uri": "http://me:***@127.0.0.1:9/x"}, "prompt": "a dancer"}
    assert shown(load(path)) == {"prompt": "a dancer"}, "what pages and MLflow's parameters are made of"
    push(store, f"file://{tmp_path}/mirror")
    assert list(found(tmp_path / "mirror")) == []
    link = new_link(Tracking(uri="http://host", artifacts=tmp_path), run).model_copy(update={"uri": URI})
    assert "planted-" not in str(link)
    assert "planted-" not in str(link.model_copy(update={"mlflow_run": "r", "experiment_id": "0"}))


def test_log_lines_are_masked_whoever_writes_them(capfd, tmp_path):
    from flows.config.compose import settings
    from flows.config.root import Root

    chosen = flow.get("dance")
    logs = settings(Root("dance", chosen.settings), [f"paths.store={tmp_path}"]).job_logging
    formatter = logs["formatters"]["plain"]
    assert formatter["class"] == "reel.log_lines.MaskingFormatter"
    own = {"level": "INFO", "handlers": ["console"], "propagate": False}
    config = {**logs, "loggers": {"secrets_test": own}, "disable_existing_loggers": False}
    del config["root"]  # other tests' handlers stay
    logging.config.dictConfig(config)
    logging.getLogger("secrets_test").warning("asked %s with %s", URI, PLANTED["HF_TOKEN"])
    assert capfd.readouterr().err.endswith("asked http://me:***@127.0.0.1:9/x with ***\n")


def test_the_servers_password_lies_in_one_file_and_on_no_command_line(prefect_server: Path):
    secret = login(prefect_server)
    password = secret.partition(":")[2]
    for path in sorted(prefect_server.rglob("*")):
        if path.is_file() and path != login_path(prefect_server):
            data = path.read_bytes()
            assert password.encode() not in data, path
    for process in psutil.process_iter(["cmdline"]):
        assert password not in " ".join(process.info["cmdline"] or [])


def test_a_store_is_not_pushed_with_its_servers(store: Store, tmp_path: Path):
    login(store.root)
    begin(store, "dance", {}).finish("done")
    push(store, f"file://{tmp_path}/mirror")
    assert {path.name for path in (tmp_path / "mirror").iterdir()} == {"records"}
