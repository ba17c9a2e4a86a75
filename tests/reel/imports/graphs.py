"""Graphs of ComfyUI, written for these tests in the API's form and in the editor's."""

from __future__ import annotations

from typing import Any

Graph = dict[str, dict[str, Any]]


def node(kind: str, **inputs: Any) -> dict[str, Any]:
    return {"class_type": kind, "inputs": inputs, "_meta": {"title": kind}}


def link(id_: str, slot: int = 0) -> list[Any]:
    return [id_, slot]


def sampled(
    model: list[Any], positive: list[Any], negative: list[Any], latent: list[Any], **more: Any
) -> dict[str, Any]:
    return node(
        "KSampler",
        **{
            "seed": 42,
            "steps": 20,
            "cfg": 7.0,
            "sampler_name": "euler",
            "scheduler": "normal",
            "denoise": 1.0,
            "model": model,
            "positive": positive,
            "negative": negative,
            "latent_image": latent,
            **more,
        },
    )


def combined(images: list[Any], **more: Any) -> dict[str, Any]:
    return node(
        "VHS_VideoCombine",
        **{
            "images": images,
            "frame_rate": 8,
            "loop_count": 0,
            "filename_prefix": "x",
            "format": "video/h264-mp4",
            "crf": 19,
            "pingpong": False,
            "save_output": True,
            **more,
        },
    )


def animatediff(**more: Any) -> Graph:
    """Text to video by AnimateDiff-Evolved, generation 2."""
    return {
        "1": node("CheckpointLoaderSimple", ckpt_name="dreamshaper_8.safetensors"),
        "2": node("ADE_LoadAnimateDiffModel", model_name="v3_sd15_mm.ckpt"),
        "3": node("ADE_ApplyAnimateDiffModelSimple", motion_model=link("2")),
        "4": node(
            "ADE_StandardStaticContextOptions",
            context_length=16,
            context_overlap=4,
            fuse_method="pyramid",
            use_on_equal_length=False,
            start_percent=0.0,
            guarantee_steps=1,
        ),
        "5": node(
            "ADE_UseEvolvedSampling",
            model=link("1"),
            beta_schedule="autoselect",
            m_models=link("3"),
            context_options=link("4"),
        ),
        "6": node("CLIPTextEncode", text="a red top", clip=link("1", 1)),
        "7": node("CLIPTextEncode", text="hat", clip=link("1", 1)),
        "8": node("EmptyLatentImage", width=512, height=768, batch_size=24),
        "9": sampled(link("5"), link("6"), link("7"), link("8")),
        "10": node("VAEDecode", samples=link("9"), vae=link("1", 2)),
        "11": combined(link("10")),
        **more,
    }


def controlled(**more: Any) -> Graph:
    """A clip's pose and edges, redrawn from noise."""
    return animatediff(
        **{
            "20": node(
                "VHS_LoadVideo",
                video="dance.mp4",
                force_rate=8,
                custom_width=0,
                custom_height=0,
                frame_load_cap=24,
                skip_first_frames=0,
                select_every_nth=1,
            ),
            "21": node(
                "DWPreprocessor",
                image=link("20"),
                detect_hand="enable",
                detect_body="enable",
                detect_face="enable",
                resolution=512,
                bbox_detector="yolox_l.onnx",
                pose_estimator="dw-ll_ucoco_384.onnx",
            ),
            "22": node("ControlNetLoaderAdvanced", control_net_name="control_v11p_sd15_openpose.pth"),
            "23": node(
                "ACN_AdvancedControlNetApply",
                strength=0.8,
                start_percent=0.0,
                end_percent=0.9,
                positive=link("6"),
                negative=link("7"),
                control_net=link("22"),
                image=link("21"),
            ),
            "24": node("CannyEdgePreprocessor", image=link("20"), low_threshold=80, high_threshold=160, resolution=512),
            "25": node("ControlNetLoader", control_net_name="control_v11p_sd15_canny.pth"),
            "26": node(
                "ControlNetApplyAdvanced",
                strength=0.4,
                start_percent=0.1,
                end_percent=1.0,
                positive=link("23"),
                negative=link("23", 1),
                control_net=link("25"),
                image=link("24"),
            ),
            "9": sampled(link("5"), link("26"), link("26", 1), link("8")),
            **more,
        }
    )


def ltx_sampler(latent: list[Any], terminal: float = 0.1) -> Graph:
    """What `ltx` is sampled by, from that latent."""
    return {
        "sch": node(
            "LTXVScheduler",
            steps=30,
            max_shift=2.05,
            base_shift=0.95,
            stretch=True,
            terminal=terminal,
            latent=latent,
        ),
        "ks": node(
            "SamplerCustom",
            add_noise=True,
            noise_seed=7,
            cfg=3.0,
            model=link("ck"),
            positive=link("cond"),
            negative=link("cond", 1),
            sampler=link("sel"),
            sigmas=link("sch"),
            latent_image=latent,
        ),
    }


def ltx(**more: Any) -> Graph:
    return {
        "ck": node("CheckpointLoaderSimple", ckpt_name="ltx-video-2b-v0.9.5.safetensors"),
        "te": node("CLIPLoader", clip_name="t5xxl_fp16.safetensors", type="ltxv", device="default"),
        "img": node("LoadImage", image="girl.png"),
        "pos": node("CLIPTextEncode", text="A girl waves at the camera.", clip=link("te")),
        "neg": node("CLIPTextEncode", text="blurry", clip=link("te")),
        "i2v": node(
            "LTXVImgToVideo",
            positive=link("pos"),
            negative=link("neg"),
            vae=link("ck", 2),
            image=link("img"),
            width=768,
            height=512,
            length=97,
            batch_size=1,
            strength=0.9,
        ),
        "cond": node("LTXVConditioning", positive=link("i2v"), negative=link("i2v", 1), frame_rate=25.0),
        **ltx_sampler(link("i2v", 2)),
        "sel": node("KSamplerSelect", sampler_name="euler"),
        "dec": node("VAEDecode", samples=link("ks"), vae=link("ck", 2)),
        "out": node("CreateVideo", images=link("dec"), fps=25),
        "save": node("SaveVideo", video=link("out"), filename_prefix="x", format="mp4", codec="h264"),
        **more,
    }


def wan(kind: str, unet: str, **inputs: Any) -> Graph:
    """A film of Wan 2.1: the node that takes its pictures is the one that changes."""
    return {
        "37": node("UNETLoader", unet_name=unet, weight_dtype="default"),
        "38": node("CLIPLoader", clip_name="umt5_xxl_fp8_e4m3fn_scaled.safetensors", type="wan", device="default"),
        "39": node("VAELoader", vae_name="wan_2.1_vae.safetensors"),
        "48": node("ModelSamplingSD3", shift=8.0, model=link("37")),
        "6": node("CLIPTextEncode", text="A fox runs through snow.", clip=link("38")),
        "7": node("CLIPTextEncode", text="static", clip=link("38")),
        "50": node(
            kind,
            positive=link("6"),
            negative=link("7"),
            vae=link("39"),
            width=832,
            height=480,
            length=81,
            batch_size=1,
            **inputs,
        ),
        "52": node("LoadImage", image="fox.png"),
        "53": node("LoadImage", image="fox_end.png"),
        "3": sampled(
            link("48"),
            link("50"),
            link("50", 1),
            link("50", 2),
            steps=30,
            cfg=6.0,
            sampler_name="uni_pc",
            scheduler="simple",
        ),
        "8": node("VAEDecode", samples=link("3"), vae=link("39")),
        "28": node(
            "SaveAnimatedWEBP",
            images=link("8"),
            filename_prefix="x",
            fps=16.0,
            lossless=False,
            quality=90,
            method="default",
        ),
    }


def vace(**inputs: Any) -> Graph:
    """A clip that Wan VACE repaints after its skeleton, by ComfyUI's own nodes."""
    given = {"strength": 0.8, "control_video": link("60"), "reference_image": link("52"), **inputs}
    return wan("WanVaceToVideo", "wan2.1_vace_14B_fp16.safetensors", **given) | {
        "60": node("DWPreprocessor", image=link("61"), resolution=512),
        "61": node("LoadVideo", file="dance.mp4"),
        "58": node("TrimVideoLatent", samples=link("3"), trim_amount=link("50", 3)),
        "8": node("VAEDecode", samples=link("58"), vae=link("39")),
    }


def wrapped(**encoded: Any) -> Graph:
    """The same after its depth, by the nodes of WanVideoWrapper."""
    given: dict[str, Any] = {"width": 832, "height": 480, "num_frames": 49, "strength": 1.0, "vace_start_percent": 0.0,
                             "vace_end_percent": 1.0, "tiled_vae": False, **encoded}  # fmt: skip
    return {
        "1": node("WanVideoVACEModelSelect", vace_model="Wan2_1-VACE_module_14B_fp8_e4m3fn.safetensors"),
        "2": node("WanVideoModelLoader", model="Wan2_1-T2V-14B_fp8_e4m3fn.safetensors", base_precision="fp16",
                  quantization="fp8_e4m3fn", load_device="offload_device", vace_model=link("1")),
        "3": node("WanVideoVAELoader", model_name="Wan2_1_VAE_bf16.safetensors", precision="bf16"),
        "4": node("LoadWanVideoT5TextEncoder", model_name="umt5-xxl-enc-bf16.safetensors", precision="bf16"),
        "5": node("WanVideoTextEncode", positive_prompt="A fox runs.", negative_prompt="static", t5=link("4")),
        "6": node("VHS_LoadVideo", video="dance.mp4", force_rate=16, custom_width=0, custom_height=0,
                  frame_load_cap=0, skip_first_frames=0, select_every_nth=1),
        "7": node("DepthAnythingPreprocessor", image=link("6"), ckpt_name="depth_anything_vitl14.pth", resolution=512),
        "8": node("WanVideoVACEEncode", vae=link("3"), input_frames=link("7"), **given),
        "9": node("WanVideoSampler", model=link("2"), image_embeds=link("8"), text_embeds=link("5"), steps=20, cfg=4.0,
                  shift=5.0, seed=7, force_offload=True, scheduler="unipc", riflex_freq_index=0, denoise_strength=1.0),
        "10": node("WanVideoDecode", vae=link("3"), samples=link("9"), enable_vae_tiling=False),
        "11": combined(link("10"), frame_rate=16),
    }  # fmt: skip


def of_editor(graph: Graph, *, named: bool = True) -> dict[str, Any]:
    """The same graph as the editor saves it; ``named``: widgets are listed by name, as newer ones do."""
    nodes: list[dict[str, Any]] = []
    links: list[list[Any]] = []
    for number, (id_, one) in enumerate(graph.items()):
        inputs: list[dict[str, Any]] = []
        values: list[Any] = []
        for name, value in one["inputs"].items():
            if isinstance(value, list):
                links.append([len(links) + 1, int(value[0]), value[1], int(id_), len(inputs), "*"])
                inputs.append({"name": name, "type": "*", "link": len(links)})
            else:
                if named:
                    inputs.append({"name": name, "type": "*", "widget": {"name": name}, "link": None})
                values += [value, "randomize"] if name == "seed" else [value]
        nodes.append(
            {
                "id": int(id_),
                "type": one["class_type"],
                "pos": [40 * number, 60],
                "size": {"0": 315, "1": 98},
                "flags": {},
                "order": number,
                "mode": 0,
                "inputs": inputs,
                "outputs": [{"name": "OUT", "type": "*", "links": []}],
                "properties": {},
                "widgets_values": values,
            }
        )
    return {
        "last_node_id": 99,
        "last_link_id": len(links),
        "nodes": nodes,
        "links": links,
        "groups": [],
        "config": {},
        "extra": {"ds": {"scale": 1.0, "offset": [0, 0]}},
        "version": 0.4,
    }
