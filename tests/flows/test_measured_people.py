"""Metrics ask for the people who are drawn, and whoever is missing is told beside the figures."""

from __future__ import annotations

from typing import Any

from flows.render import measures
from reel.measure import Result


def planned(pose_map: dict[str, Any], **own: Any) -> Any:
    subject = measures.Subject("a dancer", model="sd15", preprocess={"pose_map": pose_map})
    return measures.plan({"pose": own}, subject).metrics["pose"][1]


def test_metrics_ask_for_whom_the_pose_map_draws_unless_told_otherwise():
    assert planned({"people": "largest"}).people == "largest"
    assert planned({"people": 2}).people == 2
    assert planned({"people": "largest"}, people="all").people == "all"
    assert planned({}).people is None


def test_who_is_missing_is_told_beside_the_figure():
    missing = Result("pose", {"oks": 0.45}, notes={"people": "2; no. 2 missing in 12 of 16 frames"})
    told = list(measures.lines(measures.Measures(), [missing, Result("flicker", {"mean": 2.0})]))
    assert told[:2] == ["pose.oks 0.45 (higher is better)", "pose.people 2; no. 2 missing in 12 of 16 frames"]
    assert len(told) == 3
