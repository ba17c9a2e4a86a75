"""Packs of custom nodes: where the nodes that a server lacks come from.

A small table, of packs for video: by a node's class, or by how its class begins. It is for messages alone; which pack
a class really comes from only the server knows, by ``python_module``.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Pack:
    """A pack of custom nodes.

    Attributes:
        name: of its repository on GitHub, ``owner/name``.
        begins: how classes of its nodes begin.
        nodes: classes of its nodes that begin otherwise.
        open: whether its nodes take inputs that they do not declare.
    """

    name: str
    begins: tuple[str, ...] = ()
    nodes: tuple[str, ...] = ()
    open: bool = False


PACKS = (
    Pack("kijai/ComfyUI-PyramidFlowWrapper", ("PyramidFlow", "DownloadAndLoadPyramidFlow")),
    Pack("komojini/ComfyUI_VideoCrafter", ("VideoCrafter", "T2V_VideoCrafter", "I2V_VideoCrafter")),
    Pack("kijai/ComfyUI-DynamiCrafterWrapper", ("DynamiCrafter", "DownloadAndLoadDynamiCrafter", "ToonCrafter")),
    Pack("Kosinkadink/ComfyUI-VideoHelperSuite", ("VHS_",), open=True),
    Pack("Kosinkadink/ComfyUI-AnimateDiff-Evolved", ("ADE_",)),
    Pack("Kosinkadink/ComfyUI-Advanced-ControlNet", ("ACN_",)),
    Pack("Fannovel16/comfyui_controlnet_aux", nodes=("AIO_Preprocessor", "DWPreprocessor", "OpenposePreprocessor",
         "DepthAnythingPreprocessor", "DepthAnythingV2Preprocessor", "LineArtPreprocessor", "CannyEdgePreprocessor",
         "HEDPreprocessor", "MiDaS-DepthMapPreprocessor", "TilePreprocessor")),
    Pack("Fannovel16/ComfyUI-Frame-Interpolation", nodes=("RIFE VFI", "FILM VFI", "AMT VFI", "GMFSS Fortuna VFI")),
    Pack("cubiq/ComfyUI_IPAdapter_plus", ("IPAdapter", "PrepImageForClipVision")),
    Pack("kijai/ComfyUI-KJNodes", ("ImageResizeKJ", "GetImageSizeAndCount", "SetNode", "GetNode", "ColorMatch"),
         ("ImageBatchMulti", "WidgetToString", "StringConstant", "INTConstant", "FloatConstant")),
    Pack("kijai/ComfyUI-WanVideoWrapper", ("WanVideo", "LoadWanVideo")),
    Pack("kijai/ComfyUI-CogVideoXWrapper", ("CogVideo", "DownloadAndLoadCogVideo")),
    Pack("kijai/ComfyUI-HunyuanVideoWrapper", ("HyVideo", "DownloadAndLoadHyVideo")),
    Pack("kijai/ComfyUI-FramePackWrapper", ("FramePack", "LoadFramePack")),
    Pack("Lightricks/ComfyUI-LTXVideo", ("LTXV", "LTXFetauredSampler")),
    Pack("city96/ComfyUI-GGUF", nodes=("UnetLoaderGGUF", "CLIPLoaderGGUF", "DualCLIPLoaderGGUF",
         "TripleCLIPLoaderGGUF")),
    Pack("ltdrdata/ComfyUI-Impact-Pack", ("Impact", "FaceDetailer", "UltralyticsDetector", "SEGS")),
    Pack("FizzleDorf/ComfyUI_FizzNodes", nodes=("BatchPromptSchedule", "PromptSchedule", "ValueSchedule",
         "BatchPromptScheduleSDXL")),
    Pack("cubiq/ComfyUI_essentials", nodes=("ImageResize+", "ImageBatchMultiple+", "SimpleMath+", "GetImageSize+")),
    Pack("WASasquatch/was-node-suite-comfyui", ("Image Batch", "Text Concatenate", "Number to")),
    Pack("pythongosssss/ComfyUI-Custom-Scripts", nodes=("MathExpression|pysssss", "ShowText|pysssss",
         "StringFunction|pysssss")),
    Pack("rgthree/rgthree-comfy", nodes=("Seed (rgthree)", "Power Lora Loader (rgthree)", "Context (rgthree)",
         "Any Switch (rgthree)", "Image Comparer (rgthree)")),
)  # fmt: skip


def pack_of(kind: str) -> Pack | None:
    """The known pack that has nodes of a class; None: the table has none."""
    exact = next((pack for pack in PACKS if kind in pack.nodes), None)
    begins = (pack for pack in PACKS if any(kind.startswith(one) for one in pack.begins))
    return exact or next(begins, None)
