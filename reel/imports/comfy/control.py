"""Nodes of ControlNets: of ComfyUI, Advanced-ControlNet and comfyui_controlnet_aux."""

from __future__ import annotations

from collections.abc import Mapping

from reel.imports.comfy.rows import Go, Input, Is, No, Plain, Row

_FRAMES = "the map maker's settings are those of conf/preprocess/"
_DEPTH_SIZE = "conf/preprocess/depth_anything.yaml names the size"
_APPLY: dict[str, Input] = {
    "strength": Is("control.weight"),
    "start_percent": Is("control.start"),
    "end_percent": Is("control.end"),
    "positive": Go("positive"),
    "negative": Go("negative"),
    "conditioning": Go(),
    "control_net": Go("control"),
    "image": Go("control"),
    "mask_optional": No("controls.NAME.mask leaves a region out; a mask's film is controls.NAME.mask_file"),
    "timestep_kf": Go("control"),
    "timestep_keyframe": Go("control"),
    "latent_kf_override": Go("control"),
    "weights_override": Go("control"),
    "model_optional": No("the motion module's own model"),
    "vae_optional": No("ControlNets of SD 1.5 need no VAE"),
    "vae": No("ControlNets of SD 1.5 need no VAE"),
}
_LOAD: dict[str, Input] = {
    "control_net_name": Is("control.model"),
    "cnet": Is("control.model"),
    "timestep_keyframe": Go("control"),
    "_tk_opt": Go("control"),
    "tk_optional": Go("control"),
    "model": No("the ControlNet is whole"),
}
CONTROLS: dict[str, Row] = {
    **{
        name: Row(_APPLY, opens="control")
        for name in (
            "ControlNetApply",
            "ControlNetApplyAdvanced",
            "ACN_AdvancedControlNetApply",
            "ACN_AdvancedControlNetApply_v2",
            "ACN_AdvancedControlNetApplySingle",
            "ACN_AdvancedControlNetApplySingle_v2",
        )
    },
    **{
        name: Row(_LOAD)
        for name in (
            "ControlNetLoader",
            "DiffControlNetLoader",
            "ControlNetLoaderAdvanced",
            "DiffControlNetLoaderAdvanced",
            "ACN_ControlNetLoaderAdvanced",
            "ACN_DiffControlNetLoaderAdvanced",
        )
    },
    "SetUnionControlNetType": Row({"control_net": Go(), "type": Is("control.maker")}),
    **{
        name: Row(
            {
                "base_multiplier": Is("control.soft"),
                "uncond_multiplier": Plain((1, 1.0), "controls.NAME.control_on=cond"),
                "flip_weights": Plain((False,), "weights fall off towards the input"),
                "cn_extras": No("layers' weights are plain"),
            }
        )
        for name in ("ScaledSoftControlNetWeights", "ACN_ScaledSoftControlNetWeights")
    },
    "ACN_DefaultUniversalWeights": Row({"cn_extras": No("layers' weights are plain")}),
    "TimestepKeyframe": Row(special="timestep"),
    "LatentKeyframe": Row(special="latent"),
    "LatentKeyframeGroup": Row(special="latent_group"),
    "LatentKeyframeTiming": Row(special="latent_ramp"),
}


def _maker(name: str, inputs: Mapping[str, Input] | None = None, how: str = "") -> Row:
    """A node of comfyui_controlnet_aux that draws a map."""
    more: dict[str, Input] = {
        "image": Go(),
        "resolution": No("maps are drawn at a size of their own: conf/preprocess/"),
    }
    return Row({**more, **(inputs or {})}, gives={"control.maker": name}, how=how)


_PARTS: dict[str, Input] = {
    **{
        f"detect_{part}": Plain(("enable", True), "hands, body and face are drawn where they are seen")
        for part in ("hand", "body", "face")
    },
    "scale_stick_for_xinsr_cn": Plain(("disable",), "sticks are as wide as OpenPose's"),
    "bbox_detector": No("the detector's own files are used"),
    "pose_estimator": No("the detector's own files are used"),
}
MAKERS: dict[str, Row] = {
    "DWPreprocessor": _maker("dwpose", _PARTS),
    "OpenposePreprocessor": _maker("openpose_full", _PARTS),
    "CannyEdgePreprocessor": _maker(
        "canny",
        {"low_threshold": Is("control.canny.low_threshold"), "high_threshold": Is("control.canny.high_threshold")},
    ),
    "Canny": _maker(
        "canny",
        {"low_threshold": No(_FRAMES), "high_threshold": No(_FRAMES)},
        "its thresholds are parts of 1 there: 0.4 is about 100 here",
    ),
    "LineArtPreprocessor": _maker("lineart", {"coarse": Is("control.lineart.coarse")}),
    "AnimeLineArtPreprocessor": _maker("lineart_anime"),
    "LineartStandardPreprocessor": _maker(
        "lineart_standard",
        {
            "guassian_sigma": Is("control.lineart_standard.sigma"),
            "intensity_threshold": Is("control.lineart_standard.threshold"),
        },
    ),
    "HEDPreprocessor": _maker("hed", {"safe": Is("control.hed.safe")}),
    "PiDiNetPreprocessor": _maker("pidinet", {"safe": Is("control.pidinet.safe")}),
    "MiDaS-DepthMapPreprocessor": _maker("midas", {"a": No(_FRAMES), "bg_threshold": No(_FRAMES)}),
    "DepthAnythingPreprocessor": _maker("depth_anything", {"ckpt_name": No(_DEPTH_SIZE)}),
    "DepthAnythingV2Preprocessor": _maker("depth_anything", {"ckpt_name": No(_DEPTH_SIZE)}),
    "Zoe-DepthMapPreprocessor": _maker("depth_zoe"),
    "LeReS-DepthMapPreprocessor": _maker(
        "depth_leres", {name: No(_FRAMES) for name in ("rm_nearest", "rm_background", "boost")}
    ),
    "TilePreprocessor": _maker("tile", {"pyrUp_iters": No(_FRAMES)}),
    "AIO_Preprocessor": Row({"image": Go(), "preprocessor": Is("control.maker"), "resolution": No(_FRAMES)}),
}
