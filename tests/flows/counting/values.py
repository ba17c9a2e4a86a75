"""Other values of settings whose type does not tell them, and the settings that have none here, with the reason."""

from __future__ import annotations

from typing import Any

from benchmarks.runs import ROOT

VALUES: dict[str, Any] = {
    "clip": "$clip",
    "motion": f"{ROOT}/data/source/sample.mp4",
    "controls.*.kind": "openpose",
    "controls.*.preprocess": "canny",
    "controls.*.layer_weights": [0.5] * 7,
    "controls.*.mask_file": "$picture",
    "regions.*.mask_file": "$picture",
    "prompt_schedule": "0: a red top; -1: a blue top",
    "strength_schedule": "0: 1; -1: 0.5",
    "guidance_schedule": "0: 1; -1: 0.5",
    "controls.*.weight_schedule": "0: 1; -1: 0.5",
    "compute.max_memory": "96MiB",
    "model.schedulers": ["ddim", "euler"],
    "stylize.ip_adapter.picture": "$picture",
    "stylize.references": ["$mask"],
    "stylize.overlay": ["pose", "depth"],
    "stylize.windows.overlap": 5,
    "reference": "$picture",
    "finish.upscale.file": "$lora",
    "file": "$story2",
    "story": "A boy bows. He jumps.",
    "shots.*.picture": "$picture",
    "shots.*.last": "$mask",
    "shots.*.sound": "$clip",
    "shots.*.frames": 17,
    "shots.*.seconds": 2.0,
    "shots.*.transition.frames": 4,
    "seconds": 2.0,
    "picture": "$picture",
    "last": "$mask",
    "pictures.[].picture": "$mask",
    "track": "8-12: --pic $picture",
    "extend": "$clip",
    "extend_frames": 17,
    "width": 128,
    "height": 128,
    "frames": 25,
    "stills": ["red top", "green top"],
    "stills.[]": "green top",
    "kind": "scribble",
    "sparsectrl.kind": "scribble",
    "animate.timesteps": [1000, 400],
    "animate.refine_timesteps": [900, 400, 0],
    "animate.refine_guidance_scale": 2.0,
    "animate.extra_frames": 16,
    "workflow": "$other_graph",
    "files.*.*": "$picture",
    "inputs.*.*": "64",
    "output": "4",
}
"""Other values of settings whose type does not tell them: names of something, files, texts in a language."""
HUB = "what else there is has its weights on a hub"
NO_OTHER = {
    "model.architecture": "families of one architecture can be rendered",
    "stylize.detector": HUB,
    "preprocess.figure_depth.detector": HUB,
    "measure.pose.detector": HUB,
    "measure.probe_joints.detector": HUB,
    "reference": HUB,
    "measure.probe_attributes.prompt": "the render's own takes its place",
    **{f"write.template.{name}": "the flow's own takes its place" for name in ("story", "shots", "style")},
}
"""Settings that can be changed to no effect here, with the reason."""
NO_SOURCE = "there is no source of which anything could be kept or encoded"
NO_PICTURES = "nothing is held to pictures on some frames"
NO_OTHER_OF = {
    "dance": {
        "stylize.renderer": "it says which renderer the settings are for",
        "model.sparsectrls.*": NO_PICTURES,
    },
    "text2video": {
        "model.sparsectrls.*": NO_PICTURES,
        **{f"stylize.{name}": NO_SOURCE for name in ("strength", "composite", "composite_dilate")},
        **{f"stylize.{name}": NO_SOURCE for name in ("encode_chunk_size", "encode_tiling")},
        **{f"controls.*.mask.{name}": "a control counts everywhere" for name in ("region", "dilate", "feather")},
    },
    "timeframe": {
        **{f"stylize.{name}": NO_SOURCE for name in ("strength", "composite", "composite_dilate")},
        "renderer": HUB,
        "animator": HUB,
        **{f"stylize.ip_adapter{name}": "ranges have pictures of their own" for name in ("", ".picture", ".weight")},
        "model.controlnets.*": "one of them is read",
        "keyframe.name": "it is what people call it",
        "keyframe.architecture": HUB,
        "keyframe.base": HUB,
        "keyframe.multiple_of": "it refuses what does not fit, and changes no byte of what does",
    },
    "loop": {
        **{f"stylize.{name}": NO_SOURCE for name in ("strength", "composite", "composite_dilate")},
        "stylize.control_every": "it has no controls",
        "model.controlnets.*": "it has no controls",
        "stylize.windows.closed_loop": "a loop is closed",
        "stylize.windows.context_schedule": "a closed loop has one",
        "keyframe.name": "it is what people call it",
        "keyframe.architecture": HUB,
        "keyframe.base": HUB,
        "keyframe.multiple_of": "it refuses what does not fit, and changes no byte of what does",
    },
    "animate": {
        "compute.memory_format": "its pipelines arrange their activations themselves",
        "compute.max_memory": "its toy family fits into what the embedded one does",
    },
    "search": {"model.sparsectrls.*": NO_PICTURES},
    "comfyui": {
        f"compute.{name}": "how the server computes is its own affair"
        for name in ("dtype", "memory_format", "attention", "compile", "max_memory")
    },
    "storyboard": {
        "compute.memory_format": "its pipelines arrange their activations themselves",
        "compute.max_memory": "its toy family fits into what the embedded one does",
        "shots.*.model": HUB,
        "draw.reference_scale": "its key pictures know no IP-Adapter",
        "keyframe.name": "it is what people call it",
        "keyframe.architecture": HUB,
        "keyframe.base": HUB,
        "keyframe.multiple_of": "it refuses what does not fit, and changes no byte of what does",
    },
}
"""The same of settings that have an effect in other flows."""
ELSEWHERE = {
    "dance": (
        *("model.call.*", "model.refine_call.*", "model.refine_scheduler_config.*"),
        *("model.limits.sizes.[].width", "model.limits.sizes.[].height"),
    ),
}
"""Settings of model families that have no place in a flow, and that are walked for another."""
PASSED_OVER = {"storyboard": ("model", "animate", "film")}
"""Groups that are not walked again: `animate` walks the first two, and the film's settings are those of its own ops."""
