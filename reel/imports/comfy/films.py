"""Nodes that films and pictures come from and end in: VideoHelperSuite's, ComfyUI's, those of LTX, Wan and Hunyuan."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from reel.imports.comfy.rows import GPU, ONE_FILM, TILES, Go, Input, Is, No, Plain, Row, off


def _reached(value: Any) -> Any:
    """ComfyUI's frames: a latent for the first and one for every eight behind it."""
    return (value - 1) // 8 * 8 + 1 if isinstance(value, int) and value > 0 else value


def reached4(value: Any) -> Any:
    """Wan's and Hunyuan's: one for every four."""
    return (value - 1) // 4 * 4 + 1 if isinstance(value, int) and value > 0 else value


def sides(frames: Callable[[Any], Any], unit: int) -> dict[str, Input]:
    """Size and length of a film's latents.

    Args:
        unit: px of a latent; what is over is cut off.
    """

    def side(value: Any) -> Any:
        return value // unit * unit if isinstance(value, int) else value

    return {
        "width": Is("width", side),
        "height": Is("height", side),
        "length": Is("frames", frames),
        "batch_size": ONE_FILM,
    }


_TRIM = "stretches of a clip are said in seconds: extract.start, extract.max_frames"
_CLIP: dict[str, Input] = {
    "video": Is("@video"),
    "force_rate": Is("clip_rate", off),
    "frame_load_cap": Is("frames", off),
    "custom_width": Is("width", off),
    "custom_height": Is("height", off),
    "force_size": Plain(("Disabled",), "width and height say the size"),
    "skip_first_frames": Plain((0,), _TRIM),
    "start_time": Is("start", off),
    "select_every_nth": Plain((1,), "say how many frames a second: extract.fps"),
    "format": No("size and rate are settings of their own"),
    "meta_batch": No("long clips are worked through in parts anyway"),
    "vae": Go(),
}
_FOLDER: dict[str, Input] = {
    "directory": Is("@video"),
    "image_load_cap": Is("frames", off),
    "skip_first_images": Plain((0,), _TRIM),
    "select_every_nth": Plain((1,), "say how many pictures a second: extract.fps"),
    "meta_batch": No("long clips are worked through in parts anyway"),
}
_SCALE: dict[str, Input] = {
    "image": Go(),
    "pixels": Go(),
    "upscale_method": No("frames are made larger and smaller in one way"),
    "width": Is("width", off),
    "height": Is("height", off),
    "crop": No("extract.fit, fit: crop, pad or stretch"),
}
SOURCES: dict[str, Row] = {
    **{
        name: Row(_CLIP)
        for name in ("VHS_LoadVideo", "VHS_LoadVideoPath", "VHS_LoadVideoFFmpeg", "VHS_LoadVideoFFmpegPath")
    },
    **{name: Row(_FOLDER) for name in ("VHS_LoadImages", "VHS_LoadImagesPath", "LoadImagesFromDirectory")},
    "LoadVideo": Row({"file": Is("@video"), "video-preview": No("a preview")}),
    "GetVideoComponents": Row({"video": Go()}),
    "LoadImage": Row({"image": Is("@image"), "upload": No("a button"), "choose file to upload": No("a button")}),
    "VHS_LoadImagePath": Row(
        {
            "image": Is("@image"),
            "custom_width": Plain((0,), "the film has the size"),
            "custom_height": Plain((0,), "the film has the size"),
            "vae": Go(),
        }
    ),
    "ImageScale": Row(_SCALE),
    "ImageScaleBy": Row(
        {"image": Go(), "upscale_method": _SCALE["upscale_method"], "scale_by": No("the film has a size of its own")}
    ),
    "ImageResize+": Row(
        {
            **_SCALE,
            "interpolation": _SCALE["upscale_method"],
            "method": _SCALE["crop"],
            "condition": No("sizes are always met"),
            "multiple_of": No("sides fit the model anyway"),
        }
    ),
    "PrepImageForClipVision": Row(
        {
            "image": Go(),
            "interpolation": No("pictures are prepared in one way"),
            "crop_position": Plain(("center",), "the middle is seen"),
            "sharpening": Plain((0, 0.0), "pictures are as they are"),
        }
    ),
    "LTXVPreprocess": Row(
        {"image": Go(), "img_compression": No("pictures are as they are; animate.picture_noise lets stiff clips move")}
    ),
    "EmptyLatentImage": Row(
        {"width": Is("width"), "height": Is("height"), "batch_size": Is("frames")}, gives={"empty": True}
    ),
    "EmptyLTXVLatentVideo": Row(sides(_reached, 32), gives={"film": "LTX"}),
    "EmptyHunyuanLatentVideo": Row(sides(reached4, 16), gives={"film": "Wan or Hunyuan"}),
    "VAEEncode": Row({"pixels": Go(), "vae": Go("vae")}),
    "VAEEncodeTiled": Row(
        {
            "pixels": Go(),
            "vae": Go("vae"),
            **{name: No(TILES) for name in ("tile_size", "overlap", "temporal_size", "temporal_overlap")},
        }
    ),
    "RepeatLatentBatch": Row({"samples": Go(), "amount": Is("frames")}),
}
_BOTH: dict[str, Input] = {"positive": Go("positive"), "negative": Go("negative"), "vae": Go("vae")}
_SEEN = No("the family's pipeline encodes its pictures itself")
FILMS: dict[str, Row] = {
    "LTXVConditioning": Row({"positive": Go("positive"), "negative": Go("negative"), "frame_rate": Is("fps")}),
    "LTXVImgToVideo": Row(
        {**_BOTH, "image": Go("start"), **sides(_reached, 32), "strength": Is("start_strength")}, gives={"film": "LTX"}
    ),
    "LTXVImgToVideoInplace": Row(
        {
            "vae": Go("vae"),
            "image": Go("start"),
            "latent": Go("latent"),
            "strength": Is("start_strength"),
            "bypass": Plain((False,), "a node that is passed over"),
        },
        gives={"film": "LTX"},
    ),
    "LTXVAddGuide": Row(
        {
            **_BOTH,
            "latent": Go("latent"),
            "image": Go("guide"),
            "frame_idx": Is("guide.at"),
            "strength": Is("guide.strength"),
        },
        opens="guide",
        gives={"film": "LTX"},
    ),
    "LTXVCropGuides": Row({"positive": Go("positive"), "negative": Go("negative"), "latent": Go("latent")}),
    "WanImageToVideo": Row(
        {**_BOTH, "start_image": Go("start"), **sides(reached4, 16), "clip_vision_output": _SEEN},
        gives={"film": "Wan"},
    ),
    "WanFirstLastFrameToVideo": Row(
        {
            **_BOTH,
            "start_image": Go("start"),
            "end_image": Go("end"),
            **sides(reached4, 16),
            "clip_vision_start_image": _SEEN,
            "clip_vision_end_image": _SEEN,
        },
        gives={"film": "Wan"},
    ),
    "Wan22ImageToVideoLatent": Row(
        {"vae": Go("vae"), "start_image": Go("start"), **sides(reached4, 16)}, gives={"film": "Wan"}
    ),
    "HunyuanImageToVideo": Row(
        {**_BOTH, "start_image": Go("start"), **sides(reached4, 16), "guidance_type": No("the family's own")},
        gives={"film": "Hunyuan"},
    ),
}
_FORMAT: dict[str, Input] = {
    "filename_prefix": No("renders are named by the time; --name says another"),
    "format": Is("format"),
}
_DONE: dict[str, Input] = {
    "images": Go("film"),
    "video": Go("film"),
    "audio": No("sound comes from the source"),
    **_FORMAT,
}
ENDS: dict[str, Row] = {
    "VAEDecode": Row({"samples": Go("film"), "vae": Go("vae")}),
    "VAEDecodeTiled": Row(
        {
            "samples": Go("film"),
            "vae": Go("vae"),
            **{name: No(TILES) for name in ("tile_size", "overlap", "temporal_size", "temporal_overlap")},
        }
    ),
    "VHS_VideoCombine": Row(
        {
            **_DONE,
            "frame_rate": Is("fps"),
            "crf": Is("crf"),
            "loop_count": Plain((0,), "how often a player repeats it"),
            "pingpong": Plain((False,), "a film is not played backwards behind its end"),
            "save_output": Plain((True, False), ""),
            **{
                name: No("what a file of this format looks like inside: assemble")
                for name in (
                    "pix_fmt",
                    "save_metadata",
                    "trim_to_audio",
                    "videopreview",
                    "lossless",
                    "input_color_depth",
                    "profile",
                )
            },
            "vae": Go("vae"),
            "meta_batch": No("long clips are worked through in parts anyway"),
        },
        end=3,
    ),
    "CreateVideo": Row({"images": Go("film"), "fps": Is("fps"), "audio": No("sound comes from the source")}),
    "SaveVideo": Row({**_DONE, "codec": No("the format has its codec"), "video-preview": No("a preview")}, end=3),
    "SaveWEBM": Row(
        {
            **_DONE,
            "fps": Is("fps"),
            "crf": No("of another codec; assemble.crf"),
            "codec": No("the format has its codec"),
        },
        gives={"format": "webm"},
        end=3,
    ),
    "SaveAnimatedWEBP": Row(
        {**_DONE, "fps": Is("fps"), "lossless": No("assemble"), "quality": No("assemble"), "method": No("assemble")},
        gives={"format": "webp"},
        end=3,
    ),
    "SaveAnimatedPNG": Row({**_DONE, "fps": Is("fps"), "compress_level": No("assemble")}, end=3),
    "ADE_AnimateDiffCombine": Row(
        {
            **_DONE,
            "frame_rate": Is("fps"),
            "loop_count": Plain((0,), "how often a player repeats it"),
            "save_image": Plain((True, "Enabled"), ""),
            "pingpong": Plain((False,), "a film is not played backwards"),
        },
        end=3,
    ),
    "SaveImage": Row(_DONE, end=2),
    "PreviewImage": Row({"images": Go("film")}, end=1),
}
_ADAPT: dict[str, Input] = {
    "model": Go("model"),
    "ipadapter": Go("adapter"),
    "image": Go("adapter"),
    "weight": Is("ip_adapter.weight"),
    "start_at": Is("ip_adapter.start"),
    "end_at": Is("ip_adapter.end"),
    "weight_type": Plain(("standard", "linear", "original"), "the picture counts the same in all layers"),
    "combine_embeds": No("one picture stands beside the prompt"),
    "embeds_scaling": Plain(("V only",), "the picture is scaled in one way"),
    "image_negative": No("no picture stands beside the negative prompt"),
    "attn_mask": No("the picture counts for the whole frame"),
    "clip_vision": No("the family's own picture encoder is used"),
    "encode_batch_size": No(GPU),
}
ADAPTERS: dict[str, Row] = {
    **{
        name: Row(_ADAPT, opens="ip_adapter")
        for name in ("IPAdapter", "IPAdapterAdvanced", "IPAdapterBatch", "IPAdapterApply")
    },
    "IPAdapterModelLoader": Row({"ipadapter_file": Is("ip_adapter.model")}),
    "IPAdapterUnifiedLoader": Row({"model": Go("model"), "preset": Is("ip_adapter.model"), "ipadapter": Go("adapter")}),
}
VALUES: dict[str, str] = {
    **{f"Primitive{kind}": "value" for kind in ("Int", "Float", "String", "StringMultiline", "Boolean", "Node")},
    **dict.fromkeys(("INTConstant", "FloatConstant", "easy int", "easy float"), "value"),
    **dict.fromkeys(("StringConstant", "StringConstantMultiline", "String Literal"), "string"),
    **{"Int Literal": "int", "Float Literal": "float", "Text Multiline": "text", "Seed (rgthree)": "seed"},
    **{"CR Prompt Text": "prompt", "Int": "Number", "Float": "Number"},
}
"""Nodes that give a value to whoever links to them: the input that is the value."""
