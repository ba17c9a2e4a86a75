"""text2video: a clip from words alone, by AnimateDiff: no source, no key picture.

    rotoscope text2video prompt="a girl with long pink hair in a red top and a blue skirt, waving"
    rotoscope text2video prompt_schedule="0: red top; 24: blue top" frames=48
    rotoscope text2video prompt="clouds over the sea" frames=32 stylize.windows.closed_loop=true

What it does in which order stands in `flows.text2video.stages`.
"""

from __future__ import annotations

from flows.render.render import renders
from flows.text2video.opening import opening
from flows.text2video.plan import plan
from flows.text2video.settings import TextToVideo

FLOW = renders("text2video", TextToVideo, plan, about=__doc__, opening=opening, effort="stylize.num_inference_steps")
