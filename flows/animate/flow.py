"""animate: a still picture comes to life, by an image-to-video model.

    rotoscope animate picture=key.png prompt="The girl waves, slow push-in" model=ltx_distilled
    rotoscope animate picture=a.png last=b.png frames=97 prompt="..." model=ltx_13b
    rotoscope animate -m picture=key.png prompt="..." model=ltx_2b seed=1,2,3

What it does in which order stands in `flows.animate.stages`.
"""

from __future__ import annotations

from flows.animate.opening import opening
from flows.animate.plan import plan
from flows.animate.settings import Animate
from flows.render.dropped import picture
from flows.render.render import renders

FLOW = renders("animate", Animate, plan, about=__doc__, drop=picture("picture"), opening=opening)
