"""The animators: a further one is a module of tasks/animate/animators/ and a line here.

They are imported by name, and not found, so that the code of each is part of what an op's accepted code is made of.
"""

from __future__ import annotations

from tasks.animate.animators import ltx, ltx2, ltx_long
from tasks.animate.recipe import Recipe

RECIPES: dict[str, Recipe] = {module.RECIPE.name: module.RECIPE for module in (ltx, ltx2, ltx_long)}
