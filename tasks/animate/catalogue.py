"""The animators: a further one is a module of tasks/animate/animators/ and a line here.

They are imported by name, and not found, so that the code of each is part of what an op's accepted code is made of.
"""

from __future__ import annotations

from tasks.animate.animators import (
    cogvideox,
    framepack,
    hunyuan,
    hunyuan15,
    ltx,
    ltx2,
    ltx_long,
    svd,
    vace,
    wan21,
    wan22,
    wan22_5b,
    wan_animate,
)
from tasks.animate.recipe import Recipe

_ALL = (ltx, ltx2, ltx_long, wan21, wan22, wan22_5b, svd, cogvideox, hunyuan15, hunyuan, framepack, vace, wan_animate)
RECIPES: dict[str, Recipe] = {module.RECIPE.name: module.RECIPE for module in _ALL}
