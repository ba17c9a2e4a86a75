"""Control maps of a clip: which preprocessors and pose detectors make them, and the stages that do."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from flows.render import measures
from reel.config import Config, parse
from reel.op import Context, Op, get
from tasks.cached import call

Makers = Mapping[str, tuple[Op, Config]]
"""Op and settings of map makers and pose detectors, by name."""


def map_makers(names: Iterable[str], preprocess: Mapping[str, Mapping[str, Any]]) -> dict[str, tuple[Op, Config]]:
    """Preprocessors with their settings, and those behind them: a detector's map, the detectors of figures.

    Args:
        names: of those that are asked for.
        preprocess: settings of all, by name.

    Raises:
        UserError: no such preprocessor, wrong settings, a detector that finds no poses.
    """
    found: dict[str, tuple[Op, Config]] = {}
    todo = sorted(set(names))
    while todo:
        name = todo.pop()
        if name in found:
            continue
        op = get("preprocess", name)
        chosen = parse(op.config, preprocess.get(name, {}), f"preprocess.{name}")
        found[name] = (op, chosen)
        if op.gives == "poses":
            todo.append("pose_map")
        elif op.takes("poses") and name != "pose_map":
            detector = getattr(chosen, "detector", "")
            measures.pose_detector(detector, preprocess, "preprocess")
            todo.append(detector)
    return found


def drawn(
    makers: Makers, maps: Mapping[str, str], frames: str, ctx: Context, detector: str = ""
) -> tuple[dict[str, str], dict[str, str]]:
    """Digests of the maps of some frames as ``map_<control>``, and of the poses found for them, by detector.

    Args:
        maps: the maker of each control's map.
        detector: whose poses are wanted, whatever the maps need; empty: no one's.
    """
    made: dict[str, str] = {}

    def make(maker: str) -> str:
        if maker not in made:
            op, settings = makers[maker]
            poses = {"poses": make(getattr(settings, "detector", ""))} if op.takes("poses") else {}
            made[maker] = call(op, settings, {"frames": frames, **poses}, ctx).digest
        return made[maker]

    def draw_map(maker: str) -> str:
        if makers[maker][0].gives != "poses":
            return make(maker)
        return call(*makers["pose_map"], {"poses": make(maker)}, ctx).digest

    found = {f"map_{control}": draw_map(maker) for control, maker in maps.items()}
    if detector:
        make(detector)
    return found, {name: digest for name, digest in made.items() if makers[name][0].gives == "poses"}
