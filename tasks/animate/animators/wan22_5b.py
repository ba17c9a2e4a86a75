"""Wan 2.2 TI2V-5B: a smaller denoiser over latents of 16 px, each at a time step of its own; a first picture alone."""

from __future__ import annotations

import dataclasses

from tasks.animate.animators.wan21 import CLASSES
from tasks.animate.animators.wan21 import RECIPE as WAN21
from tasks.animate.recipe import Grid

RECIPE = dataclasses.replace(
    WAN21,
    name="wan22_5b",
    classes=CLASSES,
    init={"expand_timesteps": True},  # the first frame's is 0: it is the picture
    encoders=("vae",),
    processors=(),
    precise=("vae",),
    encoded_by=(),  # the picture alone: what is given as the last one it does not look at
    grid=Grid(4, 16, (1, 2), "cfhw"),
)
