"""An experiment is settings: nothing in it is imported, called or put into the environment."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from flows.edge import entry
from tests.flows import demo

CONF = Path(demo.__file__).parent / "demo_conf"
CALLED = "tests.flows.test_no_code.called"
"""What the experiments below would have called."""

EXPERIMENTS = {
    "a callback of Hydra's": (f"callbacks: {{mine: {{_target_: {CALLED}}}}}", "hydra.callbacks.mine._target_"),
    "an argument of the sweeper": (
        f"sweeper: {{params: {{steps: {{_target_: {CALLED}}}}}}}",
        "hydra.sweeper.params.steps._target_",
    ),
    "one by another way": (
        f"sweeper: {{params: {{steps: {{_target_: {CALLED}}}}}}}\n  callbacks: ${{hydra.sweeper.params}}",
        "hydra.callbacks.steps._target_",
    ),
    "a factory of log lines": (f'job_logging: {{formatters: {{plain: {{"()": {CALLED}}}}}}}', "formatters.plain.()"),
    "a handler of log lines": (f"job_logging: {{handlers: {{console: {{class: {CALLED}}}}}}}", "console.class"),
    "a function within logging": (
        "job_logging: {handlers: {console: {class: logging.os.getcwd}}}",
        "must be a class of Python's logging",
    ),
    "a variable": ("job: {env_set: {PYTHONPATH: /elsewhere}}", "hydra.job.env_set.PYTHONPATH"),
}


def called(*args: object, **kwargs: object) -> None:
    pytest.fail("an experiment had code run")


@pytest.mark.parametrize("more", [[], ["-m", "steps=4,5"]], ids=["run", "sweep"])
@pytest.mark.parametrize("case", EXPERIMENTS)
def test_an_experiment_that_names_code_is_refused(case, more, tmp_path, monkeypatch, capsys):
    text, told = EXPERIMENTS[case]
    conf = shutil.copytree(CONF, tmp_path / "conf")
    (conf / "experiment" / "theirs.yaml").write_text(f"# @package _global_\nhydra:\n  {text}\n")
    monkeypatch.setenv("ROTOSCOPE_ROOT", str(tmp_path))
    monkeypatch.setenv("ROTOSCOPE_STORE", str(tmp_path / "store"))
    monkeypatch.setenv("DEMO_OUT", str(tmp_path / "out.jsonl"))
    assert entry.run_flow(demo.FLOW, ["experiment=theirs", *more], conf=conf) == 2
    said = capsys.readouterr().err
    assert told in said
    assert "Traceback" not in said
    assert not (tmp_path / "out.jsonl").exists()
