"""What other tools call what we have: samplers, ControlNets and their map makers, models by the names of their files.

Tables alone, so that one more name is one more row. What is the same is mapped; what comes near says how; what no row
knows is asked for and never guessed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from reel.infotext import SAMPLERS as _WEBUI

SAMPLERS: dict[str, tuple[str, str]] = {
    **{name: (ours, "") for name, ours in _WEBUI.items()},
    # ComfyUI's names
    **{"euler_ancestral": ("euler_a", ""), "uni_pc": ("unipc", ""), "dpmpp_2m": ("dpmpp_2m", "")},
    **{"dpmpp_2m_sde": ("dpmpp_2m_sde", ""), "dpmpp_2m_sde_gpu": ("dpmpp_2m_sde", "")},
    "uni_pc_bh2": ("unipc", "the B(h) of order 2 is not the one of the scheduler here"),
    # prompt travel's
    **{"euler_a": ("euler_a", ""), "pndm": ("pndm", ""), "k_dpmpp_2m": ("dpmpp_2m_karras", "")},
    "k_dpmpp_2m_sde": ("dpmpp_2m_sde", "without Karras' spacing of the noise"),
}
"""Our scheduler by a tool's name of its sampler in small letters, and what is not the same."""
NEAREST_SAMPLERS: tuple[tuple[str, str], ...] = (
    (r"dpm.*sde", "dpmpp_2m_sde"),
    (r"dpm.*(_a|ancestral| a)$|dpm.*2s", "euler_a"),
    (r"dpm", "dpmpp_2m"),
    (r"euler.*(_a\b|ancestral)", "euler_a"),
    (r"euler", "euler"),
    (r"heun", "heun"),
    (r"lcm", "lcm"),
    (r"ddim|plms", "ddim"),
    (r"lms|ipndm|deis|res_|uni", "unipc"),
)
"""The nearest of our schedulers to samplers that there are not here."""
PLAIN_SPACINGS = ("", "normal", "automatic", "simple", "sgm_uniform", "ddim_uniform", "uniform", "sgm uniform")
"""Spacings of the noise that change the steps' times a little, or not at all."""


def sampler(name: str, spacing: str = "") -> tuple[str | None, str]:
    """Our scheduler for a tool's sampler and its schedule of noise, and what is not the same about it."""
    name, spacing = name.strip().lower(), spacing.strip().lower()
    if (both := SAMPLERS.get(f"{name} {spacing}")) is not None and spacing:
        return both
    if name in ("dpmpp_2m", "dpm++ 2m") and spacing == "karras":
        return "dpmpp_2m_karras", ""
    known, how = SAMPLERS.get(name, (None, ""))
    if known is None:
        known = next((ours for shape, ours in NEAREST_SAMPLERS if re.search(shape, name)), None)
        how = f"there is no {name} here; {known} is the nearest" if known else f"no sampler here is like {name}"
    if spacing not in PLAIN_SPACINGS:
        how = "; ".join(filter(None, [how, f"{known} does not space its noise as '{spacing}'"]))
    elif spacing in ("simple", "sgm_uniform", "ddim_uniform", "sgm uniform"):
        how = "; ".join(filter(None, [how, f"'{spacing}' puts the steps at times of its own"]))
    return known, how


@dataclass(frozen=True)
class Known:
    """A file that people have, and what it is here.

    Attributes:
        shape: pattern of its name, without folder and ending, in small letters.
        values: settings that stand for it, under their keys.
        family: the model family that is meant, of conf/model/; empty: none by itself.
        how: what is not the same; empty: nothing.
    """

    shape: str
    values: Mapping[str, Any] = field(default_factory=dict)
    family: str = ""
    how: str = ""


def hub(name: str, **more: Any) -> dict[str, Any]:
    return {"kind": "hub", "id": name, **more}


def stem(name: str) -> str:
    """A model file's name as the tables have it: no folder, no ending, no hash in brackets, small letters."""
    word = name.strip().replace("\\", "/").partition(" [")[0]
    base = PurePosixPath(word).name
    return re.sub(r"\.(safetensors|ckpt|pth|pt|bin|sft|gguf)$", "", base, flags=re.IGNORECASE).strip().lower()


def known(table: tuple[Known, ...], name: str) -> Known | None:
    """The row of a file's name."""
    word = stem(name)
    return next((row for row in table if re.fullmatch(row.shape, word)), None)


_OTHER_VERSION = "the hub's copy may be another version of it than the file"
CHECKPOINTS = (
    Known(r"v1-5-pruned(-emaonly)?(-fp16)?|sd_?v?1[-_.]?5(-pruned)?(-emaonly)?", family="sd15"),
    Known(r"dreamshaper_?8(_pruned)?", family="dreamshaper8"),
    Known(r"epicrealism.*", family="epicrealism", how=_OTHER_VERSION),
)
"""Checkpoints of SD 1.5 that a family of conf/model/ has."""
_V1 = "guoyww/animatediff-motion-adapter-v1"
_V2 = hub(f"{_V1}-5-2")
MOTIONS = (
    Known(r"(v3_sd15_mm|mm_sd_?v?15_v3|mm_sd15_v3)(\.fp16)?", {"model.motion.id": f"{_V1}-5-3"}),
    Known(r"(mm_sd_v15_v2|mm_sd15_v2)(\.fp16)?", {"model.motion.id": f"{_V1}-5-2"}, "sd15_v2"),
    Known(r"(mm_sd_v15|mm_sd15_v1)(\.fp16)?", {"model.motion.id": f"{_V1}-5"}),
    Known(r"(mm_sd_v14|mm_sd14_v1)(\.fp16)?", {"model.motion.id": f"{_V1}-4"}),
    Known(
        r"animatelcm_sd15_t2v|sd15_t2v_beta(_lcm)?",
        {
            "model.motion": hub("wangfuyun/AnimateLCM", files=["config.json", "diffusion_pytorch_model.safetensors"]),
            "model.scheduler_config.beta_schedule": "linear",
        },
        "animatelcm",
    ),
    *(
        Known(
            rf"animatediff_lightning_{steps}step(_comfyui|_diffusers)?",
            {
                "model.motion": hub(
                    "ByteDance/AnimateDiff-Lightning", file=f"animatediff_lightning_{steps}step_diffusers.safetensors"
                ),
                "model.motion_config": {**_V2, "files": ["config.json"]},
                "model.scheduler_config.timestep_spacing": "trailing",
            },
            "lightning" if steps == 4 else "",
        )
        for steps in (1, 2, 4, 8)
    ),
)
"""Motion modules: their settings beside any SD 1.5 checkpoint, and the family that has them."""
MOTION_LORAS = tuple(
    Known(rf"v2_lora_{theirs}", {"source": hub(f"guoyww/animatediff-motion-lora-{ours}")})
    for theirs, ours in (
        ("zoomin", "zoom-in"),
        ("zoomout", "zoom-out"),
        ("panleft", "pan-left"),
        ("panright", "pan-right"),
        ("tiltup", "tilt-up"),
        ("tiltdown", "tilt-down"),
        ("rollingclockwise", "rolling-clockwise"),
        ("rollinganticlockwise", "rolling-anticlockwise"),
    )
)
LORAS = (
    Known(
        r"animatelcm_sd15_t2v_lora|sd15_t2v_beta_lora",
        {"source": hub("wangfuyun/AnimateLCM", file="AnimateLCM_sd15_t2v_lora.safetensors")},
    ),
    Known(
        r"(lcm[-_]lora[-_]sd(v1-5|15)|lcm_sd15_lora)",
        {"source": hub("latent-consistency/lcm-lora-sdv1-5", file="pytorch_lora_weights.safetensors")},
    ),
)
VAES = (
    Known(r"vae-ft-mse-840000-ema-pruned", {"stylize.vae": hub("stabilityai/sd-vae-ft-mse")}),
    Known(r"vae-ft-ema-560000-ema-pruned", {"stylize.vae": hub("stabilityai/sd-vae-ft-ema")}),
)
_EIGHT_BITS = r"(?P<less>.*(fp8|gguf|q\d).*)?"
_LESS = "its weights are full here, not of 8 bits or fewer; animate.storage=float8 makes them smaller"
VIDEO = (
    Known(rf"ltx-?v?i?d?e?o?-2b-v0\.9\.5{_EIGHT_BITS}", family="ltx_2b"),
    Known(rf"ltxv?-?(video-)?13b-(v?0\.9\.7)-dev{_EIGHT_BITS}", family="ltx_13b"),
    Known(rf"ltxv?-?(video-)?13b-(v?0\.9\.8)-distilled{_EIGHT_BITS}", family="ltx_distilled"),
    Known(rf"ltx-2-19b-dev{_EIGHT_BITS}", family="ltx2"),
    Known(rf"ltx-2-19b-distilled(?!-lora){_EIGHT_BITS}", family="ltx2_distilled"),
    Known(
        rf"wan2[._]1[-_]vace[-_](module_)?1[._]3b.*?{_EIGHT_BITS}",
        {"hub": "Wan-AI/Wan2.1-VACE-1.3B-diffusers"},
        "wan_vace_1_3b",
    ),
    Known(
        rf"wan2[._]1[-_]vace[-_](module_)?14b.*?{_EIGHT_BITS}",
        {"hub": "Wan-AI/Wan2.1-VACE-14B-diffusers"},
        "wan_vace_14b",
    ),
    Known(rf"wan2[._]1[-_]i2v[-_]480p.*?{_EIGHT_BITS}", {"hub": "Wan-AI/Wan2.1-I2V-14B-480P-Diffusers"}, "wan21"),
    Known(rf"wan2[._]1[-_]i2v[-_]720p.*?{_EIGHT_BITS}", {"hub": "Wan-AI/Wan2.1-I2V-14B-720P-Diffusers"}, "wan21_720p"),
    Known(rf"wan2[._]1[-_]flf2v.*?{_EIGHT_BITS}", {"hub": "Wan-AI/Wan2.1-FLF2V-14B-720P-diffusers"}, "wan21_flf"),
    Known(
        rf"hunyuan_video_(image_to_video|i2v).*?{_EIGHT_BITS}",
        {"hub": "hunyuanvideo-community/HunyuanVideo-I2V"},
        "hunyuan",
    ),
    Known(rf"wan2[._]2[-_]i2v.*14b.*?{_EIGHT_BITS}", {"hub": "Wan-AI/Wan2.2-I2V-A14B-Diffusers"}, "wan22"),
    Known(rf"wan2[._]2[-_]ti2v.*5b.*?{_EIGHT_BITS}", {"hub": "Wan-AI/Wan2.2-TI2V-5B-Diffusers"}, "wan22_5b"),
    Known(rf"wan2[._]1[-_]t2v[-_]1[._]3b.*?{_EIGHT_BITS}", {"hub": "Wan-AI/Wan2.1-T2V-1.3B-Diffusers"}),
    Known(rf"wan2[._]1[-_]t2v[-_]14b.*?{_EIGHT_BITS}", {"hub": "Wan-AI/Wan2.1-T2V-14B-Diffusers"}),
)
"""Models that make films: the family of conf/model/ where there is one of that name, and where the weights are."""


def video(name: str) -> tuple[Known | None, str]:
    """The row of a film model's file, and what is not the same."""
    row = known(VIDEO, name)
    match = re.fullmatch(row.shape, stem(name)) if row else None
    return row, _LESS if (match and match.groupdict().get("less")) or ".gguf" in name.lower() else ""


CONTROL_KINDS: tuple[tuple[str, str], ...] = (
    (r"openpose|dwpose|pose", "openpose"),
    (r"lineart[-_]?anime|anime[-_]?line|line_anime|s2_lineart", "lineart_anime"),
    (r"lineart|line_art", "lineart"),
    (r"softedge|hed|pidi", "softedge"),
    (r"canny", "canny"),
    (r"depth|midas", "depth"),
    (r"tile", "tile"),
)
"""The kind of ControlNet that a file's, a unit's or a node's name tells; the first that fits."""
V11 = re.compile(r"control_v11[a-z0-9]*_sd15s?2?_(\w+?)(_fp16)?$")
"""ControlNet 1.1 for SD 1.5: the very weights that families of conf/model/ have from the hub."""
WITHOUT_KIND = (
    "there is no map maker for it here: openpose, depth, lineart, lineart_anime, softedge, canny and tile are known"
)


def control_kind(name: str) -> tuple[str | None, str]:
    """Our kind of a ControlNet's file or name, and what is not the same."""
    word = stem(name)
    if re.search(
        r"sparsectrl|scribble|seg\b|_seg|mlsd|normal|shuffle|inpaint|ip2p|qr_?code|mediapipe|reference|_ref", word
    ):
        return None, WITHOUT_KIND
    kind = next((ours for shape, ours in CONTROL_KINDS if re.search(shape, word)), None)
    if kind is None:
        return None, WITHOUT_KIND
    exact = V11.search(word) is not None or not re.search(r"control|t2i|sd15|v1|\d", word)
    return kind, "" if exact else f"the family's own ControlNet of kind {kind} (1.1) takes its place"


@dataclass(frozen=True)
class Maker:
    """A map maker of ours.

    Attributes:
        name: of conf/preprocess/.
        how: what is not the same; empty: nothing.
        values: settings of it that are meant.
    """

    name: str
    how: str = ""
    values: Mapping[str, Any] = field(default_factory=dict)


_FACES = "hands and faces are drawn where they are seen: they cannot be switched on or off one by one"
MAKERS: dict[str, Maker] = {
    **{name: Maker("openpose") for name in ("openpose_full",)},
    **{
        name: Maker("openpose", _FACES)
        for name in ("openpose", "openpose_face", "openpose_hand", "openpose_faceonly", "pose")
    },
    **{name: Maker("dwpose") for name in ("dw_openpose_full", "dwpose", "dwopenpose")},
    **{name: Maker("canny") for name in ("canny",)},
    **{name: Maker("midas") for name in ("depth_midas", "depth", "midas", "depth_hybrid")},
    **{name: Maker("depth_anything") for name in ("depth_anything", "depth_anything_v2")},
    **{
        name: Maker("depth_anything", f"{name} is not here; depth_anything draws the depth")
        for name in ("depth_zoe", "depth_leres", "depth_leres++", "zoe", "leres", "depth_zoedepth")
    },
    **{name: Maker("lineart") for name in ("lineart_realistic", "lineart", "lineart_fine")},
    "lineart_coarse": Maker("lineart", values={"coarse": True}),
    "lineart_standard": Maker("lineart_standard"),
    "lineart_standard (from white bg & black line)": Maker("lineart_standard"),
    **{name: Maker("lineart_anime") for name in ("lineart_anime", "lineart_anime_denoise")},
    **{name: Maker("hed") for name in ("softedge_hed", "hed", "softedge")},
    "softedge_hedsafe": Maker("hed", values={"safe": True}),
    **{name: Maker("pidinet") for name in ("softedge_pidinet", "pidinet")},
    "softedge_pidsafe": Maker("pidinet", values={"safe": True}),
    "tile_resample": Maker("tile"),
    **{
        name: Maker("tile", f"{name} is not here; the map is the frame made small and large again")
        for name in ("tile", "tile_gaussian", "tile_colorfix", "tile_colorfix+sharp", "blur_gaussian")
    },
}
"""Map makers by the names that the web UI's units and prompt travel's files give them."""
CONTROL_NAMES = {
    "openpose": "pose",
    "depth": "depth",
    "lineart": "lineart",
    "lineart_anime": "lineart",
    "softedge": "edges",
    "canny": "edges",
    "tile": "tile",
}
"""The control of conf/control/ that is made for a kind."""
OWN_MAKERS = {
    **{"openpose": "dwpose", "depth": "depth_anything", "lineart": "lineart", "lineart_anime": "lineart_anime"},
    **{"softedge": "hed", "canny": "canny", "tile": "tile"},
}
"""What draws a kind's map where a file does not say it."""
