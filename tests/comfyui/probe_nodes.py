"""A pack of one node for a ComfyUI that tests run against: it takes its time, draws previews, and fails on demand.

Copied into a real server's custom_nodes/, it shows what core nodes without weights do not: progress, preview pictures,
an interruption in the middle of a node, a traceback.
"""

from __future__ import annotations

import time
from typing import Any


class RotoscopeProbe:
    """A grey ramp over ``steps`` frames, one after ``seconds`` each."""

    CATEGORY = "rotoscope/tests"
    FUNCTION = "draw"
    RETURN_TYPES = ("IMAGE",)

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {
            "required": {
                "steps": ("INT", {"default": 4, "min": 1, "max": 1000}),
                "seconds": ("FLOAT", {"default": 0.0, "min": 0.0, "max": 10.0}),
                "seed": ("INT", {"default": 0, "min": 0, "max": 2**64 - 1}),
                "fail": ("BOOLEAN", {"default": False}),
            },
            "optional": {"caption": ("STRING", {"default": "", "multiline": True})},
        }

    def draw(self, steps: int, seconds: float, seed: int, fail: bool, caption: str = "") -> tuple[Any]:
        import torch
        from comfy.utils import ProgressBar
        from PIL import Image

        bar = ProgressBar(steps)
        levels = [((seed * 7 + step * 16) % 256) / 255 for step in range(steps)]
        for step, level in enumerate(levels):
            time.sleep(seconds)
            if fail and step == steps // 2:
                raise ValueError("the probe fails, as it was asked to")
            picture = Image.new("RGB", (96, 64), (round(level * 255),) * 3)
            bar.update_absolute(step + 1, steps, ("JPEG", picture, None))  # also where interruptions are looked for
        return (torch.stack([torch.full((48, 64, 3), level) for level in levels]),)


NODE_CLASS_MAPPINGS = {"RotoscopeProbe": RotoscopeProbe}
NODE_DISPLAY_NAME_MAPPINGS = {"RotoscopeProbe": "Rotoscope Probe"}
