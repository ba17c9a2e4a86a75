"""The preprocessors that a `dance` needs: those that its controls name, and the pose detectors behind them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from flows.render import measures
from reel.config import Config, parse
from reel.op import Op, get
from tasks.stylize.settings.controls import ControlSettings, live_controls
from tasks.stylize.settings.regions import needs_poses

if TYPE_CHECKING:
    from flows.dance.settings import Dance


def mask_detector(cfg: Dance, controls: Mapping[str, ControlSettings]) -> str:
    """The detector whose poses masks and compositing need; empty: they need none.

    Args:
        controls: the flow's own, or as compiled for a clip: only then is it known which a schedule leaves at 0.
    """
    if not needs_poses(cfg.stylize.composite, controls, cfg.regions):
        return ""
    measures.pose_detector(cfg.stylize.detector, cfg.preprocess, "stylize.detector")
    return cfg.stylize.detector


def map_makers(cfg: Dance, controls: Mapping[str, ControlSettings]) -> dict[str, tuple[Op, Config]]:
    """Every preprocessor in use with its settings: those that controls name, and the detectors behind them.

    Args:
        controls: as `mask_detector` takes them.
    """
    found: dict[str, tuple[Op, Config]] = {}
    names = {cfg.controls[name].preprocess for name in live_controls(controls)}
    todo = sorted({*names, *filter(None, [mask_detector(cfg, controls)])})
    while todo:
        name = todo.pop()
        if name in found:
            continue
        op = get("preprocess", name)
        chosen = parse(op.config, cfg.preprocess.get(name, {}), f"preprocess.{name}")
        found[name] = (op, chosen)
        if op.gives == "poses":
            todo.append("pose_map")
        elif op.takes("poses") and name != "pose_map":
            detector = getattr(chosen, "detector", "")
            measures.pose_detector(detector, cfg.preprocess, "preprocess")
            todo.append(detector)
    return found
