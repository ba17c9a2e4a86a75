"""Wan 2.2 A14B image-to-video: one denoiser for the noisy steps, another for the rest; a first and a last picture."""

from __future__ import annotations

import dataclasses

from tasks.animate.animators.wan21 import CLASSES
from tasks.animate.animators.wan21 import RECIPE as WAN21

RECIPE = dataclasses.replace(
    WAN21,
    name="wan22",
    classes={**CLASSES, "transformer_2": "diffusers:WanTransformer3DModel"},
    init={"boundary_ratio": 0.9},  # of the time steps; above it the first denoiser
    encoders=("vae",),
    processors=(),
    precise=("vae",),
    denoisers=("transformer", "transformer_2"),
    call=frozenset({"guidance_scale_2"}),
)
