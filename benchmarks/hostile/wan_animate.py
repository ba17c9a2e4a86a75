"""Bad inputs of `dance renderer=wan_animate`: pictures, maps, lengths and rates that Wan-Animate does not take."""

from __future__ import annotations

from benchmarks.hostile.case import case, cases
from benchmarks.hostile.made import file, picture

DANCE = "dance renderer=wan_animate"
GIRL = f"{DANCE} extract.max_frames=17 stylize.references=[a.png]"
ALONE = "stylize.references: model wan_animate draws the character of one picture"

WAN_ANIMATE = [
    case("dance renderer=wan_animated", "renderer=wan_animated: no such choice; nearest: wan_animate"),
    case("dance model=wan_animate", "model: the chosen one has no advice.strength", "renderer=wan_animate"),
    case("dance renderer=wan_animate model=wan_vace_1_3b", "is not drawn by stylize=wan_animate", "renderer=vace"),
    case("animate model=wan_animate picture=a.png", "it is made for another flow"),
    *cases(
        DANCE,
        ("stylize.mode=animate", ALONE, "and there is none", "stylize.references=[girl.png]"),
        ("stylize.references=[a.png,b.png]", ALONE, "got 2", "stylize.references=[a.png]"),
        ("stylize.references=girl.png", "stylize.references: must be a valid list"),
        ("stylize.references=[nowhere.png]", "stylize.references.0: there is no file nowhere.png"),
        ("control=[]", "driven by a map, and there is none", "control=[pose]"),
        ("control=[depth]", "was not trained on maps of kind depth; on openpose", "control=[pose]"),
        ("controls.pose.weight=0.5", "controls.pose.weight: renderer wan_animate does not read it"),
        ("prompt_schedule=0: red; 8: blue", "prompt_schedule: renderer wan_animate has one prompt"),
        ("seed=-1", "seed: renderer wan_animate takes seeds from 0"),
        ("stylize.mode=swap", "stylize.mode: must be 'animate' or 'replace'"),
        ("stylize.segments.frames=80", "frames must be 4k+1 (5, 9, 13, ...), got 80: frames=81"),
        ("stylize.segments.carried=4", "stylize.segments.carried: must be 1 or 5"),
        ("stylize.strength=0.5", "unknown key 'stylize.strength'"),
        ("stylize.windows.frames=9", "unknown key 'stylize.windows.frames'"),
        ("model.call={mode: replace}", "model.call: mode is not set there"),
    ),
    case(f"{DANCE} extract.max_frames=4 stylize.references=[a.png]", "makes 5 frames at least; the clip has 4"),
    case(f"{DANCE} extract.fps=8 stylize.references=[a.png]", "trained at 30 frames a second", "extract.fps=30"),
    case(f"{GIRL} stylize.segments.frames=81", "makes 77 frames at once, got 81", "stylize.segments.frames=77"),
    case(GIRL, "a.png is not", make=file("a.png", "some text")),
    case(GIRL, "32 px a side are the least", make=picture("a.png", (8, 8))),
    case(GIRL, "borders would fill", make=picture("a.png", (40, 400))),
]
