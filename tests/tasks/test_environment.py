"""What can change an op's bytes and stands in no key is noted as it was."""

from __future__ import annotations

import sys

import pytest
import torch

from reel.compute import Compute
from reel.op import get
from tasks.environment import environment


def test_threads_are_those_that_compute_and_not_the_machines(monkeypatch: pytest.MonkeyPatch):
    encode = get("stylize", "encode")
    monkeypatch.setattr(torch, "get_num_threads", lambda: 7)
    assert environment(encode, Compute(device="cpu"))["threads"] == "7"
    assert environment(encode, Compute(device="cpu", threads=3))["threads"] == "3"
    assert "threads" not in environment(get("extract", "extract"), Compute(device="cpu"))


def test_an_op_that_did_without_pytorch_has_no_threads(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delitem(sys.modules, "torch")
    monkeypatch.setattr("tasks.environment.resolve_device", lambda compute: "cpu")
    assert "threads" not in environment(get("stylize", "encode"), Compute(threads=3))
