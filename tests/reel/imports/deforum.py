"""Files of Deforum, each with the flow and the settings that it is to become."""

from __future__ import annotations

import json
from typing import Any

from tests.reel.imports.files import File


def deforum(**more: Any) -> str:
    base = {
        "W": 512,
        "H": 704,
        "seed": 11,
        "sampler": "Euler a",
        "steps": 25,
        "batch_name": "walk",
        "seed_behavior": "iter",
        "use_init": False,
        "init_image": None,
        "use_mask": False,
        "mask_contrast_adjust": 1.0,
        "prompts": {"0": "a red top --neg hat", "30": "a blue top", "max_f-5": "a coat"},
        "positive_prompts": "",
        "negative_prompts": "nsfw",
        "animation_mode": "2D",
        "max_frames": 60,
        "border": "replicate",
        "angle": "0: (0)",
        "zoom": "0: (1.002)",
        "strength_schedule": "0: (0.65)",
        "cfg_scale_schedule": "0: (7)",
        "diffusion_cadence": 2,
        "color_coherence": "LAB",
        "video_init_path": "in.mp4",
        "extract_nth_frame": 1,
        "extract_from_frame": 0,
        "extract_to_frame": -1,
        "cn_1_enabled": False,
        "cn_1_module": "none",
        "cn_1_model": "None",
        "cn_1_weight": "0:(1)",
        "skip_video_creation": False,
        "fps": 12,
        "frame_interpolation_engine": "None",
        "frame_interpolation_x_amount": 2,
        "sd_model_name": "dreamshaper_8.safetensors",
        "sd_model_hash": "879db523",
        "deforum_git_commit_id": "abc",
    }
    return json.dumps(base | more, indent=4)


DEFORUM = [
    File(
        "deforum.txt",
        deforum(),
        "text2video",
        {
            "width": 512,
            "height": 704,
            "frames": 60,
            "fps": 12,
            "seed": 11,
            "stylize.guidance_scale": 7.0,
            "prompt_schedule.keys": {
                0: {"prompt": "a red top", "negative": "hat nsfw"},
                30: {"prompt": "a blue top", "negative": "nsfw"},
                "(max_f - 5)": {"prompt": "a coat", "negative": "nsfw"},
            },
        },
    ),
    File(
        "guidance.txt",
        deforum(cfg_scale_schedule="0: (5), 30: (10)", seed=-1),
        "text2video",
        {"stylize.guidance_scale": 10.0, "guidance_schedule.keys": {0: 0.5, 30: 1}},
    ),
    File(
        "formula.txt", deforum(cfg_scale_schedule="0: (7+2*sin(t/10))"), "text2video", {"stylize.guidance_scale": 1.0}
    ),
    File(
        "video.json",
        deforum(animation_mode="Video Input", strength_schedule="0: (0.4), 20: (0.8)"),
        "dance",
        {"stylize.strength": 0.6, "strength_schedule.kind": "value", "extract.width": 512},
        ("clip",),
    ),
    File(
        "cn.txt",
        deforum(
            cn_1_enabled=True,
            cn_1_module="openpose_full",
            cn_1_model="control_v11p_sd15_openpose [cab727d4]",
            cn_1_weight="0:(1), 30:(0.5)",
            cn_1_guidance_start="0:(0.0)",
            cn_1_guidance_end="0:(0.8)",
            cn_1_vid_path="dance.mp4",
            cn_1_control_mode="Balanced",
        ),
        "dance",
        {
            "controls.pose.preprocess": "openpose",
            "controls.pose.control_guidance_end": 0.8,
            "controls.pose.weight_schedule.keys": {0: 1, 30: 0.5},
        },
        ("clip",),
    ),
    File("bad_prompts.txt", deforum(prompts={"zero": "a red top"}), "text2video", {}),
]
