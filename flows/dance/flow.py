"""dance: a live-action clip becomes another character; motion, frame rate, length and sound are kept.

    rotoscope dance clip=my.mp4 prompt="a long-haired warrior in a red coat, dancing"
    rotoscope dance clip=my.mp4 control=[pose,lineart] controls.lineart.weight=0.3
    rotoscope dance -m controls.pose.weight=0.4,0.7,1.0

What it does in which order stands in `flows.dance.stages`.
"""

from __future__ import annotations

from flows.dance.plan import plan
from flows.dance.settings import Dance
from flows.render.render import renders

FLOW = renders("dance", Dance, plan, about=__doc__, drop="clip", effort="stylize.num_inference_steps")
