"""Files in the shapes in which other tools write them; written for these tests, none is anybody's."""

from __future__ import annotations

import json
import struct
import zlib
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class File:
    """A file to import.

    Attributes:
        flow: the flow that it becomes an experiment of.
        settings: some of what its experiment must hold, by dotted key.
        asked: keys that must be asked for.
    """

    name: str
    content: str | bytes
    flow: str
    settings: dict[str, Any]
    asked: tuple[str, ...] = ()

    @property
    def data(self) -> bytes:
        return self.content.encode() if isinstance(self.content, str) else self.content


def png(**texts: str) -> bytes:
    """A PNG of one pixel with texts in it, as both tools write them."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    parts = [chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0))]
    for name, text in texts.items():
        try:
            parts.append(chunk(b"tEXt", name.encode() + b"\0" + text.encode("latin-1")))
        except UnicodeEncodeError:
            parts.append(chunk(b"iTXt", name.encode() + b"\0\0\0\0\0" + text.encode()))
    parts += [chunk(b"IDAT", zlib.compress(b"\0\0\0\0")), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def unit(**more: Any) -> dict[str, Any]:
    """A ControlNet unit of prompt travel."""
    return {
        "enable": True,
        "use_preprocessor": True,
        "guess_mode": False,
        "controlnet_conditioning_scale": 0.7,
        "control_guidance_start": 0.0,
        "control_guidance_end": 0.9,
        "control_scale_list": [0.5, 0.25],
    } | more


def travel(**more: Any) -> str:
    base = {
        "name": "walk",
        "path": "models/sd/toonyou_beta6.safetensors",
        "motion_module": "models/motion-module/mm_sd_v15_v2.ckpt",
        "compile": False,
        "seed": [42, 43],
        "scheduler": "k_dpmpp_2m",
        "steps": 20,
        "guidance_scale": 8,
        "unet_batch_size": 1,
        "clip_skip": 2,
        "prompt_fixed_ratio": 0.5,
        "head_prompt": "1girl",
        "prompt_map": {"0": "red top", "8": "blue top"},
        "tail_prompt": "park",
        "n_prompt": ["hat"],
        "lora_map": {},
        "motion_lora_map": {},
        "output": {"format": "mp4", "fps": 8, "encode_param": {"crf": 10}},
    }
    return json.dumps(base | more, indent=2)


TRAVEL = [
    File(
        "walk.json",
        travel(),
        "text2video",
        {
            "seed": 42,
            "stylize.scheduler": "dpmpp_2m_karras",
            "stylize.clip_skip": 1,
            "frames": 16,
            "negative_prompt": "hat",
            "prompt_schedule.loop": True,
            "prompt_schedule.hold_ratio": 0.5,
            "prompt_schedule.keys": {0: "red top", 8: "blue top"},
            "model.motion.id": "guoyww/animatediff-motion-adapter-v1-5-2",
            "assemble.crf": 10,
        },
        ("model.base.id",),
    ),
    File(
        "one_prompt.json",
        travel(prompt_map={"0": "red top"}, path="v1-5-pruned-emaonly.safetensors"),
        "text2video",
        {"prompt": "1girl,red top,park", "negative_prompt": "hat"},
    ),
    File(
        "loras.json",
        travel(
            lora_map={"lora/style.safetensors": 0.8, "lora/off.safetensors": 0},
            motion_lora_map={"models/motion_lora/v2_lora_ZoomIn.ckpt": 0.5},
        ),
        "text2video",
        {
            "stylize.motion_loras": [
                {"source": {"kind": "hub", "id": "guoyww/animatediff-motion-lora-zoom-in"}, "weight": 0.5}
            ]
        },
        ("stylize.loras[0].source.id",),
    ),
    File(
        "controls.json",
        travel(
            controlnet_map={
                "input_image_dir": "controlnet_image/test",
                "max_samples_on_vram": 0,
                "is_loop": True,
                "controlnet_openpose": unit(),
                "controlnet_lineart": unit(enable=False),
                "controlnet_canny": unit(),
                "controlnet_ip2p": unit(),
                "controlnet_softedge": unit(preprocessor={"type": "softedge_hedsafe", "param": {}}),
            }
        ),
        "dance",
        {
            "controls.pose.weight": 0.7,
            "controls.pose.control_guidance_end": 0.9,
            "controls.pose.preprocess": "dwpose",
            "controls.edges.kind": "canny",
            "controls.softedge_2.kind": "softedge",
            "controls.softedge_2.preprocess": "hed",
            "preprocess.hed.safe": True,
            "stylize.strength": 1.0,
        },
        ("clip",),
    ),
    File(
        "img2img.json",
        travel(
            img2img_map={"enable": True, "init_img_dir": "frames/a", "save_init_image": True, "denoising_strength": 0.7}
        ),
        "dance",
        {"stylize.strength": 0.7, "extract.fps": 8},
        ("clip",),
    ),
    File(
        "adapter.json",
        travel(
            ip_adapter_map={
                "enable": True,
                "input_image_dir": "ip/look",
                "prompt_fixed_ratio": 0.5,
                "scale": 0.4,
                "is_plus": True,
                "is_full_face": False,
            }
        ),
        "text2video",
        {"stylize.ip_adapter.weight": 0.4},
        ("stylize.ip_adapter.picture",),
    ),
    File(
        "wild.json",
        travel(prompt_map={"0": "a __colour__ top, [red:blue:0.5]", "12": "(coat"}, n_prompt=[], seed=[-1]),
        "text2video",
        {},
    ),
    File(
        "old.json",
        travel(prompt_map={}, scheduler="k_lms", context_schedule="composite"),
        "text2video",
        {"stylize.scheduler": "unipc", "stylize.windows.context_schedule": "looped-uniform"},
    ),
]


_TAIL = (
    "Steps: 20, Sampler: DPM++ 2M Karras, CFG scale: 7, Seed: 123, Size: 512x768, Model hash: 6ce0161689, "
    "Model: {model}"
)


_MOTION = (
    'AnimateDiff: "enable: True, model: mm_sd15_v3.safetensors, video_length: 24, fps: 8, loop_number: 0, '
    "closed_loop: N, batch_size: 16, stride: 1, overlap: 4, interp: Off, interp_x: 10, freeinit_enable: False, "
    'mm_hash: 12345678"'
)


_UNIT = (
    'ControlNet {n}: "Module: {module}, Model: {model}, Weight: 0.9, Resize Mode: Crop and Resize, Low Vram: False, '
    'Processor Res: 512, Guidance Start: 0.1, Guidance End: 0.8, Pixel Perfect: True, Control Mode: {mode}"'
)


def infotext(prompt: str, *more: str, negative: str = "hat", model: str = "dreamshaper_8") -> str:
    rows = [prompt, *([f"Negative prompt: {negative}"] if negative else [])]
    return "\n".join([*rows, ", ".join([_TAIL.format(model=model), *more])])


INFOTEXTS = [
    File(
        "still.txt",
        infotext("a girl in a red top"),
        "text2video",
        {
            "prompt": "a girl in a red top",
            "negative_prompt": "hat",
            "stylize.scheduler": "dpmpp_2m_karras",
            "width": 512,
            "height": 768,
            "seed": 123,
            "stylize.num_inference_steps": 20,
        },
    ),
    File(
        "travel.txt",
        infotext("1girl, <lora:style_v2:0.8>\n0: closed mouth\n8: open mouth\nsmooth", _MOTION),
        "text2video",
        {
            "frames": 24,
            "prompt_schedule.head": "1girl",
            "prompt_schedule.tail": "smooth",
            "prompt_schedule.mixing": "slerp",
            "stylize.windows.context_length": 16,
            "model.motion.id": "guoyww/animatediff-motion-adapter-v1-5-3",
        },
        ("stylize.loras[0].source.id",),
    ),
    File(
        "units.txt",
        infotext(
            "1girl",
            _MOTION,
            _UNIT.format(
                n=0, module="dw_openpose_full", model="control_v11p_sd15_openpose [cab727d4]", mode="Balanced"
            ),
            _UNIT.format(
                n=1,
                module="depth_zoe",
                model="control_v11f1p_sd15_depth [cfd03158]",
                mode="ControlNet is more important",
            ),
        ),
        "dance",
        {
            "controls.pose.weight": 0.9,
            "controls.pose.control_guidance_start": 0.1,
            "controls.depth.preprocess": "depth_anything",
            "controls.depth.soft": 0.825,
            "controls.depth.control_on": "cond",
        },
        ("clip",),
    ),
    File(
        "old_unit.txt",
        infotext(
            "1girl",
            'ControlNet: "preprocessor: canny, model: control_v11p_sd15_canny [d14c016b], '
            "weight: 0.5, starting/ending: (0, 0.6), resize mode: Crop and Resize, pixel perfect: False, "
            'control mode: My prompt is more important, preprocessor params: (512, 100, 200)"',
        ),
        "dance",
        {"controls.edges.control_guidance_end": 0.6, "controls.edges.soft": 0.825},
        ("clip",),
    ),
    File(
        "img2img.txt",
        infotext("1girl", "Denoising strength: 0.6", "Clip skip: 2"),
        "dance",
        {"stylize.strength": 0.6, "stylize.clip_skip": 1},
        ("clip",),
    ),
    File(
        "hires.txt",
        infotext("1girl", "Denoising strength: 0.4, Hires upscale: 2, Hires upscaler: Latent", "ENSD: 31337"),
        "text2video",
        {},
    ),
    File(
        "free.txt",
        infotext(
            "1girl",
            'AnimateDiff: "model: mm_sd_v15_v2.ckpt, video_length: 16, fps: 8, closed_loop: A, '
            'batch_size: 16, overlap: -1, freeinit_enable: True, freeinit_iters: 2, freeinit_ds: 0.3"',
            model="v1-5-pruned-emaonly",
        ),
        "text2video",
        {
            "stylize.free_init.iterations": 2,
            "stylize.free_init.spatial_stop_frequency": 0.3,
            "stylize.windows.closed_loop": True,
        },
    ),
    File(
        "karras.txt",
        "a girl\nNegative prompt: hat\nSteps: 8, Sampler: Euler a, Schedule type: Karras, CFG scale: 2, Seed: 9, "
        "Size: 500x512, Model: unknown_mix, VAE: vae-ft-mse-840000-ema-pruned.safetensors",
        "text2video",
        {"stylize.scheduler": "euler_a", "width": 496, "stylize.vae.id": "stabilityai/sd-vae-ft-mse"},
        ("model.base.id",),
    ),
    File(
        "syntax.txt",
        infotext("{red|blue} top BREAK (park, [sun:rain:0.4], embedding:bad", negative=""),
        "text2video",
        {},
        ("stylize.embeddings.bad.id",),
    ),
    File("still.png", png(parameters=infotext("a girl, caf\u00e9")), "text2video", {"prompt": "a girl, caf\u00e9"}),
    File(
        "japanese.png", png(parameters=infotext("\u8d64\u3044\u670d")), "text2video", {"prompt": "\u8d64\u3044\u670d"}
    ),
]
