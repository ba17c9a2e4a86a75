"""dance: a live-action clip becomes another character; motion, length and sound are kept.

    rotoscope dance clip=my.mp4 prompt="a girl with short blonde hair and light skin in a red top, green background"
    rotoscope dance clip=my.mp4 control=[pose,lineart] controls.lineart.weight=0.3
    rotoscope dance -m controls.pose.weight=0.4,0.7,1.0

It is drawn at 8 frames a second, the rate that motion modules are trained at; `extract.fps=source` draws every frame of
the clip, in as many times the time.

What it does in which order stands in `flows.dance.stages`.
"""

from __future__ import annotations

from flows.dance.opening import opening
from flows.dance.plan import plan
from flows.dance.settings import Dance
from flows.render.dropped import movie
from flows.render.render import renders

FLOW = renders(
    *("dance", Dance, plan),
    about=__doc__,
    opening=opening,
    drop=movie("clip"),
    effort="stylize.num_inference_steps",
)
