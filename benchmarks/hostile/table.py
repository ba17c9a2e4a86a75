"""All bad inputs, by kind. A flow or command that comes new adds its own here."""

from __future__ import annotations

from dataclasses import replace

from benchmarks.hostile import (
    animate,
    bakeoff,
    comfyui,
    commands,
    conf,
    imports,
    keys,
    loop,
    numbers,
    paths,
    storyboard,
    text2video,
    texts,
    timeframe,
    vace,
    verify,
    wan_animate,
)
from benchmarks.hostile.case import Case

_TABLE: dict[str, list[Case]] = {
    "keys": keys.KEYS,
    "numbers": numbers.NUMBERS,
    "sweeps": keys.SWEEPS,
    "prompts": texts.PROMPTS,
    "schedules": texts.SCHEDULES,
    "paths": paths.PATHS,
    "pictures": paths.PICTURES,
    "weights": paths.WEIGHTS,
    "conf": conf.FILES,
    "experiments": conf.EXPERIMENTS,
    "serve": conf.SERVE,
    "flags": commands.FLAGS,
    "store": commands.STORE,
    "compare": commands.COMPARE,
    "search": commands.SEARCH,
    "animate": animate.ANIMATE,
    "bakeoff": bakeoff.BAKEOFF,
    "comfyui": comfyui.COMFYUI,
    "storyboard": storyboard.STORYBOARD,
    "text2video": text2video.TEXT2VIDEO,
    "loop": loop.LOOP,
    "timeframe": timeframe.TIMEFRAME,
    "verify": verify.VERIFY,
    "vace": vace.VACE,
    "wan_animate": wan_animate.WAN_ANIMATE,
    "import": imports.IMPORTS,
    "environment": commands.ENVIRONMENT,
}
KINDS = list(_TABLE)
CASES = [replace(one, kind=kind) for kind, found in _TABLE.items() for one in found]
