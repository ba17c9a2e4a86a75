"""The preprocessors that a `dance` needs: those that its controls name, and the pose detectors behind them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from flows.render import control_maps, measures
from reel.config import Config
from reel.op import Op
from tasks.stylize.settings.controls import ControlSettings, live_controls
from tasks.stylize.settings.regions import needs_poses
from tasks.wan_animate.settings import WanAnimate

if TYPE_CHECKING:
    from flows.dance.settings import Dance


def mask_detector(cfg: Dance, controls: Mapping[str, ControlSettings]) -> str:
    """The detector whose poses masks, compositing and a driving face need; empty: they need none.

    Args:
        controls: the flow's own, or as compiled for a clip: only then is it known which a schedule leaves at 0.
    """
    if not isinstance(cfg.stylize, WanAnimate) and not needs_poses(cfg.stylize.composite, controls, cfg.regions):
        return ""
    measures.pose_detector(cfg.stylize.detector, cfg.preprocess, "stylize.detector")
    return cfg.stylize.detector


def map_makers(cfg: Dance, controls: Mapping[str, ControlSettings]) -> dict[str, tuple[Op, Config]]:
    """Every preprocessor in use with its settings: those that controls name, and the detectors behind them.

    Args:
        controls: as `mask_detector` takes them.
    """
    names = {cfg.controls[name].preprocess for name in live_controls(controls)}
    return control_maps.map_makers({*names, *filter(None, [mask_detector(cfg, controls)])}, cfg.preprocess)
