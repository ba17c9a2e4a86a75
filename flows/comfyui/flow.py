"""comfyui: a ComfyUI graph run on a ComfyUI server, its output a Rotoscope render: cached, recorded, compared.

    rotoscope comfyui workflow=graph.json inputs.KSampler.seed=3 files.LoadImage.image=key.png
    rotoscope comfyui -m workflow=graph.json 'inputs.KSampler.seed=choice(1,2,3)'
    rotoscope comfyui experiment=comfyui/pyramid_flow files.LoadImage.image=key.png

What it does in which order stands in `flows.comfyui.stages`.
"""

from __future__ import annotations

from flows.comfyui.plan import plan
from flows.comfyui.settings import ComfyUI
from flows.render.render import renders

FLOW = renders("comfyui", ComfyUI, plan, about=__doc__)
