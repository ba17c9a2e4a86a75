"""Files of ComfyUI that are imported, and what of each must be in its experiment."""

from __future__ import annotations

import json
from typing import Any

from tests.reel.imports.files import File, infotext, png
from tests.reel.imports.graphs import (
    animatediff,
    controlled,
    link,
    ltx,
    ltx_sampler,
    node,
    of_editor,
    sampled,
    vace,
    wan,
    wrapped,
)


def _file(name: str, graph: Any, flow: str, settings: dict[str, Any], *asked: str) -> File:
    return File(name, json.dumps(graph), flow, settings, asked)


_FIZZ = node(
    "BatchPromptSchedule",
    text='"0": "red top",\n"12": "blue top (x:`pw_a`)"\n',
    clip=link("1", 1),
    max_frames=link("30"),
    print_output=False,
    pre_text="1girl,",
    app_text="park",
    start_frame=0,
    end_frame=0,
    pw_a=0.5,
    pw_b=0,
    pw_c=0,
    pw_d=0,
)
_KEYS = node(
    "TimestepKeyframe",
    start_percent=0.0,
    strength=1.0,
    cn_weights=link("41"),
    latent_keyframe=link("42"),
    null_latent_kf_strength=0.0,
    inherit_missing=True,
    guarantee_steps=1,
    prev_timestep_kf=link("43"),
)
_ADAPTER = {
    "1": node("CheckpointLoaderSimple", ckpt_name="epicrealism_naturalSinRC1VAE.safetensors"),
    "12": node("IPAdapterUnifiedLoader", model=link("1"), preset="PLUS (high strength)"),
    "13": node("LoadImage", image="look.png", upload="image"),
    "14": node(
        "IPAdapterAdvanced",
        model=link("12"),
        ipadapter=link("12", 1),
        image=link("13"),
        weight=0.7,
        weight_type="linear",
        combine_embeds="concat",
        start_at=0.0,
        end_at=1.0,
        embeds_scaling="V only",
    ),
    "15": node(
        "LoraLoader",
        lora_name="style.safetensors",
        strength_model=0.8,
        strength_clip=0.8,
        model=link("14"),
        clip=link("1", 1),
    ),
    "16": node("CLIPSetLastLayer", stop_at_clip_layer=-2, clip=link("15", 1)),
    "6": node("CLIPTextEncode", text="a red top", clip=link("16")),
    "5": node(
        "ADE_AnimateDiffLoaderGen1",
        model_name="AnimateLCM_sd15_t2v.ckpt",
        beta_schedule="autoselect",
        model=link("15"),
        context_options=link("4"),
        sample_settings=link("17"),
    ),
    "17": node(
        "ADE_AnimateDiffSamplingSettings",
        batch_offset=0,
        noise_type="FreeNoise",
        seed_gen="comfy",
        seed_offset=0,
        iteration_opts=link("18"),
    ),
    "18": node(
        "ADE_IterationOptsFreeInit",
        iterations=2,
        filter="gaussian",
        d_s=0.25,
        d_t=0.3,
        n_butterworth=4,
        sigma_step=999,
        apply_to_1st_iter=False,
        init_type="FreeInit [sampler sigma]",
    ),
    "9": sampled(link("5"), link("6"), link("7"), link("8"), sampler_name="ddim", scheduler="ddim_uniform"),
}
_SECOND = {
    "30": node("LatentUpscaleBy", samples=link("9"), upscale_method="nearest-exact", scale_by=1.5),
    "31": sampled(link("5"), link("6"), link("7"), link("30"), denoise=0.5),
    "10": node("VAEDecode", samples=link("31"), vae=link("1", 2)),
}
_REDRAWN = {
    "8": node("VAEEncode", pixels=link("20"), vae=link("1", 2)),
    "20": node(
        "VHS_LoadVideoPath",
        video="dance.mp4",
        force_rate=0,
        custom_width=512,
        custom_height=512,
        frame_load_cap=0,
        skip_first_frames=0,
        select_every_nth=1,
    ),
    "9": sampled(link("5"), link("6"), link("7"), link("8"), denoise=0.6),
}
GRAPHS = [
    _file(
        "ad_api.json",
        animatediff(),
        "text2video",
        {
            "prompt": "a red top",
            "negative_prompt": "hat",
            "frames": 24,
            "width": 512,
            "height": 768,
            "fps": 8,
            "seed": 42,
            "stylize.scheduler": "euler",
            "stylize.windows.context_schedule": "standard-static",
            "assemble.crf": 19,
        },
    ),
    _file("sent.json", {"prompt": animatediff(), "client_id": "abc"}, "text2video", {"prompt": "a red top"}),
    _file(
        "fizz_api.json",
        animatediff(
            **{
                "6": _FIZZ,
                "30": node("INTConstant", value=24),
                "9": sampled(link("5"), link("6"), link("6", 1), link("8")),
            }
        ),
        "text2video",
        {"prompt_schedule.head": "1girl,", "prompt_schedule.variables": {"pw_a": 0.5}, "frames": 24},
    ),
    _file(
        "evolved_api.json",
        animatediff(
            **{
                "6": node(
                    "ADE_PromptScheduling",
                    prompts='0 = "red top", 12 = "blue top"',
                    clip=link("1", 1),
                    prepend_text="1girl,",
                    print_schedule=False,
                    max_length=0,
                    tensor_interp="lerp",
                )
            }
        ),
        "text2video",
        {"prompt_schedule.head": "1girl", "prompt_schedule.keys": {0: "red top", 12: "blue top"}},
    ),
    _file(
        "adapter_api.json",
        animatediff(**_ADAPTER),
        "text2video",
        {
            "stylize.ip_adapter.weight": 0.7,
            "stylize.clip_skip": 1,
            "stylize.free_init.iterations": 2,
            "model.motion.id": "wangfuyun/AnimateLCM",
        },
        "stylize.ip_adapter.picture",
        "stylize.loras[0].source.id",
    ),
    _file(
        "second_pass_api.json", animatediff(**_SECOND), "text2video", {"stylize.num_inference_steps": 20, "width": 512}
    ),
    _file(
        "controls_api.json",
        controlled(),
        "dance",
        {
            "controls.pose.weight": 0.8,
            "controls.pose.preprocess": "dwpose",
            "controls.edges.control_guidance_start": 0.1,
            "preprocess.canny.low_threshold": 80,
            "extract.max_frames": 24,
            "extract.fps": 8,
            "stylize.strength": 1.0,
        },
        "clip",
    ),
    _file(
        "keyframes_api.json",
        controlled(
            **{
                "23": node(
                    "ACN_AdvancedControlNetApply_v2",
                    strength=1.0,
                    start_percent=0.0,
                    end_percent=1.0,
                    positive=link("6"),
                    negative=link("7"),
                    control_net=link("22"),
                    image=link("21"),
                    timestep_kf=link("40"),
                ),
                "40": _KEYS,
                "41": node("ACN_ScaledSoftControlNetWeights", base_multiplier=0.825, uncond_multiplier=1.0),
                "42": node(
                    "LatentKeyframeTiming",
                    batch_index_from=0,
                    batch_index_to_excl=3,
                    strength_from=1.0,
                    strength_to=0.5,
                    interpolation="linear",
                ),
                "43": node("TimestepKeyframe", start_percent=0.5, strength=0.25),
            }
        ),
        "dance",
        {
            "controls.pose.soft": 0.825,
            "controls.pose.weight_schedule.keys": {"0-1": 1, "1-2": 0.75, "2-3": 0.5},
            "controls.pose.timestep_keyframes": [{"at": 0.0, "scale": 1.0}, {"at": 0.5, "scale": 0.25}],
        },
        "clip",
    ),
    _file(
        "redrawn_api.json",
        animatediff(**_REDRAWN),
        "dance",
        {"stylize.strength": 0.6, "stylize.num_inference_steps": 34, "extract.width": 512},
        "clip",
    ),
    _file(
        "folder_api.json",
        controlled(
            **{
                "20": node(
                    "VHS_LoadImagesPath", directory="frames", image_load_cap=16, skip_first_images=2, select_every_nth=1
                )
            }
        ),
        "dance",
        {"extract.max_frames": 16},
        "clip",
    ),
    _file(
        "ltx_api.json",
        ltx(),
        "animate",
        {
            "prompt": "A girl waves at the camera.",
            "frames": 97,
            "fps": 25,
            "width": 768,
            "strength": 0.9,
            "seed": 7,
            "animate.num_inference_steps": 30,
            "animate.guidance_scale": 3,
            "animate.extra_frames": 0,
        },
        "picture",
    ),
    _file(
        "ltx_guides_api.json",
        ltx(
            **{
                "i2v": node("EmptyLTXVLatentVideo", width=768, height=512, length=100, batch_size=1),
                "g1": node(
                    "LTXVAddGuide",
                    positive=link("pos"),
                    negative=link("neg"),
                    vae=link("ck", 2),
                    latent=link("i2v"),
                    image=link("img"),
                    frame_idx=0,
                    strength=1.0,
                ),
                "g2": node(
                    "LTXVAddGuide",
                    positive=link("g1"),
                    negative=link("g1", 1),
                    vae=link("ck", 2),
                    latent=link("g1", 2),
                    image=link("img2"),
                    frame_idx=48,
                    strength=0.8,
                ),
                "img2": node("LoadImage", image="later.png"),
                "cond": node("LTXVConditioning", positive=link("g2"), negative=link("g2", 1), frame_rate=25.0),
                **ltx_sampler(link("g2", 2), terminal=0.2),
                "crop": node("LTXVCropGuides", positive=link("cond"), negative=link("cond", 1), latent=link("ks")),
                "dec": node("VAEDecode", samples=link("crop", 2), vae=link("ck", 2)),
            }
        ),
        "animate",
        {"frames": 97, "strength": 1},
        "picture",
        "pictures[0].picture",
    ),
    _file(
        "wan_i2v_api.json",
        wan("WanImageToVideo", "wan2.1_i2v_480p_14B_fp8_e4m3fn.safetensors", start_image=link("52")),
        "animate",
        {"frames": 81, "fps": 16, "width": 832, "animate.guidance_scale": 6},
        "picture",
    ),
    _file(
        "vace_api.json",
        vace(),
        "dance",
        {
            "controls.pose.kind": "openpose",
            "controls.pose.weight": 0.8,
            "controls.pose.preprocess": "dwpose",
            "extract.max_frames": 81,
            "extract.width": 832,
            "extract.fps": 16,
            "stylize.num_inference_steps": 30,
            "stylize.guidance_scale": 6,
            "stylize.flow_shift": 8,
        },
        "clip",
        "stylize.references[0]",
    ),
    _file(
        "vace_finished_api.json",
        vace(control_video=link("61")),
        "dance",
        {"stylize.flow_shift": 8},
        "clip",
        "control",
    ),
    _file("vace_words_api.json", vace(control_video=0), "animate", {"frames": 81}, "model", "picture"),
    _file(
        "vace_wrapper_api.json",
        wrapped(),
        "dance",
        {
            "prompt": "A fox runs.",
            "negative_prompt": "static",
            "controls.depth.weight": 1,
            "controls.depth.preprocess": "depth_anything",
            "extract.max_frames": 49,
            "stylize.num_inference_steps": 20,
            "stylize.flow_shift": 5,
            "seed": 7,
        },
        "clip",
    ),
    _file(
        "wan_ends_api.json",
        wan(
            "WanFirstLastFrameToVideo",
            "wan2.1_flf2v_720p_14B_fp16.safetensors",
            start_image=link("52"),
            end_image=link("53"),
        ),
        "animate",
        {"frames": 81},
        "picture",
        "last",
    ),
    _file(
        "wan_t2v_api.json",
        wan("EmptyHunyuanLatentVideo", "wan2.1_t2v_1.3B_fp16.safetensors"),
        "animate",
        {"frames": 81},
        "picture",
        "model",
    ),
    _file("editor.json", of_editor(controlled()), "dance", {"controls.pose.weight": 0.8, "seed": 42}, "clip"),
    File(
        "comfy.png",
        png(prompt=json.dumps(animatediff()), workflow=json.dumps(of_editor(animatediff()))),
        "text2video",
        {"prompt": "a red top"},
    ),
    File(
        "both.png",
        png(parameters=infotext("another"), prompt=json.dumps(animatediff())),
        "text2video",
        {"prompt": "a red top"},
    ),
]
