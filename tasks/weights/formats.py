"""What a weight file is, by the names of its tensors: the one place that knows the formats that people bring.

A new format is a line of `FORMATS`; what a setting takes is a line of `ROLES`. Names are those that the trainers and
mergers write: kohya-ss, LyCORIS, OneTrainer, PEFT, diffusers, ComfyUI, AnimateDiff's own code.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from reel.errors import UserError
from tasks.weights.header import Header, Tensor, read_header, shown


@dataclass(frozen=True)
class Format:
    """A kind of weight file.

    Attributes:
        name: what it is, with its article.
        kind: what it can stand for: a key of `ROLES` or another word.
        signs: patterns; each must be found among the names of the tensors (one a line).
        fix: what to do with it; empty: what its kind's setting is.
    """

    name: str
    kind: str
    signs: tuple[str, ...]
    fix: str = ""


_MERGE = "take the author's plain LoRA (LoCon), or merge the file into a checkpoint with its trainer's own tools"
_LORA = r"lora[._](down|up|A|B|linear_layer)|lora\.(down|up)\.weight"
_ADAPTER = r"(lora|hada_|lokr_|oft_|dora_scale|\.diff(_[bm])?$)"


def _other(name: str, family: str, *signs: str) -> Format:
    return Format(name, "elsewhere", signs, f"it is made for {family}: take one made for the family in use")


FORMATS: tuple[Format, ...] = (
    # adapters of other families, whatever their kind
    _other(
        "a LoRA for Flux",
        "Flux",
        r"(lora_unet_|lora_transformer_|transformer\.|diffusion_model\.|^)(double|single)(_transformer)?_blocks[._]\d+.*"
        + _ADAPTER,
    ),
    _other(
        "a LoRA for Wan, or another transformer of its layout",
        "Wan",
        r"(^|\.|lora_unet_|lora_wan_)blocks[._]\d+[._]((self|cross)_attn|attn[12]|ffn)[._].*" + _ADAPTER,
    ),
    _other(
        "a LoRA for LTX-Video, or another transformer of its layout",
        "LTX-Video",
        r"^((model\.)?diffusion_model\.|transformer\.)?transformer_blocks\.\d+\.(audio_)?attn[12]\..*" + _ADAPTER,
    ),
    _other(
        "a LoRA for SD 3",
        "SD 3",
        rf"joint_blocks[._]\d+.*{_ADAPTER}|^(transformer\.)?transformer_blocks\..*{_ADAPTER}",
    ),
    _other("a LoRA for HunyuanVideo", "HunyuanVideo", r"img_attn[._](qkv|proj).*" + _ADAPTER),
    _other("a LoRA for a transformer", "another architecture", r"^(diffusion_model|transformer)\..*" + _ADAPTER),
    _other("a LoRA for SDXL", "SDXL", r"^(lora_te2_|text_encoder_2\.).*" + _ADAPTER),
    # adapters that are not plain LoRAs
    Format("an OFT or BOFT (oft_blocks)", "adapter", (r"\.oft_(blocks|diag|R)|\.boft_[RS]",), _MERGE),
    Format("a GLoRA (LyCORIS, a1, b1)", "adapter", (r"\.(a1|a2)\.weight$", r"\.(b1|b2)\.weight$"), _MERGE),
    Format("an (IA)3 (LyCORIS, on_input)", "adapter", (r"\.on_input$",), _MERGE),
    Format("a DoRA (dora_scale)", "adapter", (r"\.dora_scale$|lora_magnitude_vector",), _MERGE),
    Format("a LoCon in CP form (lora_mid)", "adapter", (r"\.lora_mid\.weight$",), _MERGE),
    Format(
        "a LoRA with an embedding bundled into it (bundle_emb)",
        "adapter",
        (r"^bundle_emb\.",),
        "save its embedding as a file of its own for stylize.embeddings, and the LoRA without it",
    ),
    Format(
        "a file of full differences (.diff)",
        "adapter",
        (r"\.(diff|diff_[bm]|w_norm|b_norm|set_weight|reshape_weight)$",),
        _MERGE,
    ),
    Format(
        "a file that mixes LoRA layers with LoHa or LoKr ones",
        "adapter",
        (r"\.(hada_|lokr_)", r"\.lora_(down|up|A|B)\."),
        _MERGE,
    ),
    # LoRAs, those first that are not read
    Format(
        "a camera LoRA under AnimateDiff's own names",
        "adapter",
        (r"motion_modules\..*temporal_transformer.*lora",),
        "take the converted file (guoyww/animatediff-motion-lora-* on the hub), or convert it with diffusers' "
        "convert_animatediff_motion_lora_to_diffusers.py",
    ),
    Format("a Control-LoRA", "other", (r"^lora_controlnet$",), "take the full ControlNet"),
    Format("a LoHa (LyCORIS, hada_w1_a)", "lycoris", (r"\.hada_(w[12]|t[12])",)),
    Format("a LoKr (LyCORIS, lokr_w1)", "lycoris", (r"\.lokr_(w[12]|t2)",)),
    Format("a LoRA", "lora", (_LORA,)),
    # conditioning networks and small files
    Format("an IP-Adapter", "ip_adapter", (r"^image_proj\.", r"^ip_adapter\.")),
    Format("a SparseCtrl ControlNet", "sparse", (r"controlnet_(cond_embedding|down_blocks)\.", r"motion_modules\.")),
    Format("a ControlNet", "controlnet", (r"^(control_model\.|input_hint_block\.|controlnet_cond_embedding\.)",)),
    Format("a ControlNet", "controlnet", (r"^controlnet_(down_blocks|mid_block)\.|^zero_convs\.",)),
    Format("a T2I-Adapter", "other", (r"^(adapter\.)?body\.\d+\..*(block|in_conv)",), "take a ControlNet of its kind"),
    Format("a textual inversion for SDXL", "other", (r"^clip_[lg]$",), "it is made for SDXL: take one for SD 1.5"),
    Format("a textual inversion", "embedding", (r"^(emb_params|string_to_param.*|<[^>]+>)$",)),
    # motion modules
    Format("a motion module under AnimateDiff's own names", "motion", (r"motion_modules\..*\.temporal_transformer\.",)),
    Format("a UNet with its motion modules", "other", (r"motion_modules\.", r"\.resnets\.\d+\.conv1\.")),
    Format("a motion module", "motion", (r"motion_modules\.\d+\.",)),
    # whole checkpoints and their parts, those that are not loaded first
    Format(
        "a quantised checkpoint whose scales are apart (scaled fp8, bitsandbytes, SVDQuant)",
        "other",
        (r"(^|\.)(scaled_fp8|scale_weight|weight_scale|comfy_quant|qweight|absmax|quant_state[\w.]*)$",),
        "take the fp16, bf16 or plain fp8 file of the same model",
    ),
    _other("a checkpoint of Flux", "Flux", r"(^|\.)(double_blocks|single_blocks)\.\d+\."),
    _other("a checkpoint of SD 3", "SD 3", r"(^|\.)joint_blocks\.\d+\."),
    _other("a checkpoint of Wan", "Wan", r"(^|\.)blocks\.\d+\.(self_attn|cross_attn)\."),
    _other("a checkpoint of LTX-Video", "LTX-Video", r"(^|\.)patchify_proj\."),
    _other("a transformer in diffusers' names", "another architecture", r"^(single_)?transformer_blocks\.\d+\.attn"),
    _other("a checkpoint of SDXL", "SDXL", r"^conditioner\.embedders\.", r"^model\.diffusion_model\."),
    _other("a checkpoint of SD 2", "SD 2", r"^cond_stage_model\.model\.transformer\."),
    Format("a checkpoint", "base", (r"^model\.diffusion_model\.input_blocks\.",)),
    Format("a UNet without prefix", "base", (r"^input_blocks\.\d+\.", r"^output_blocks\.\d+\.")),
    Format(
        "a UNet in diffusers' names",
        "unet",
        (r"^down_blocks\.\d+\.", r"^time_embedding\."),
        "give its family as a folder, as diffusers saves it (model.base)",
    ),
    _other("a VAE of Wan", "Wan", r"^(vae\.)?(encoder|decoder)\.(middle|upsamples|downsamples)\."),
    _other("a VAE of LTX-Video", "LTX-Video", r"(^|\.)per_channel_statistics\."),
    Format("a VAE", "vae", (r"^(first_stage_model\.|vae\.)?(encoder|decoder)\.(conv_in|down|up|mid)[._]",)),
    Format("a CLIP picture encoder", "other", (r"(^|\.)vision_model\.",), "it belongs to model.ip_image_encoder"),
    Format("a T5 text encoder", "other", (r"encoder\.block\.\d+\.layer\.|^blocks\.\d+\.attn\.",), "SD 1.5 has none"),
    Format("a text encoder", "text_encoder", (r"(^|\.)(text_model\.)?encoder\.layers\.\d+\.self_attn\.",)),
)


@dataclass(frozen=True)
class Role:
    """What a setting takes.

    Attributes:
        wants: in words, with the article.
        kinds: the kinds of `Format` that can stand there.
        belongs: where a file of this kind belongs, for those who gave it elsewhere.
    """

    wants: str
    kinds: tuple[str, ...]
    belongs: str


ROLES: dict[str, Role] = {
    "lora": Role("a LoRA", ("lora", "lycoris"), "stylize.loras"),
    "motion": Role("a motion module", ("motion",), "model.motion"),
    "base": Role("a checkpoint", ("base",), "model.base (model=civitai)"),
    "vae": Role("a VAE", ("vae", "base"), "stylize.vae"),
    "embedding": Role("a textual inversion", ("embedding",), "stylize.embeddings"),
    "ip_adapter": Role("an IP-Adapter", ("ip_adapter",), "model.ip_adapter"),
    "controlnet": Role("a ControlNet", ("controlnet",), "model.controlnets, as a folder with its config.json"),
    "sparse": Role("a SparseCtrl", ("sparse",), "model.sparsectrls, as a folder with its config.json"),
    "text_encoder": Role("a text encoder", ("text_encoder",), "a folder text_encoder/ of model.base_config"),
}


def format_of(header: Header) -> Format | None:
    """The format of a file; None: none that is known."""
    names = "\n".join(header.tensors)
    return next((one for one in FORMATS if all(re.search(sign, names, re.MULTILINE) for sign in one.signs)), None)


def demand(path: Path, role: str, where: str) -> Header:
    """The header of a file that a setting names, after judging that the file is what the setting takes.

    Args:
        role: a key of `ROLES`.
        where: the setting, for messages: ``stylize.loras[0]``.

    Raises:
        UserError: no safetensors file, or one of another format: names setting, file and format.
    """
    try:
        header = read_header(path)
    except UserError as error:
        raise UserError(f"{where}: {error.message}", fix=error.fix) from None
    found, wanted = format_of(header), ROLES[role]
    if found is not None and found.kind in wanted.kinds:
        return header
    if found is None and role == "embedding" and len(header.tensors) == 1:
        return header  # the vectors under the word's own name
    if found is None:
        first = ", ".join(shown(name) for name in sorted(header.tensors)[:3]) or "nothing"
        raise UserError(
            f"{where}: {path.name} is not {wanted.wants} in a format that is known here; it holds {first}",
            fix=f"{wanted.belongs} takes {wanted.wants} as .safetensors; docs/compatibility.md lists the formats",
        )
    belongs = next((one.belongs for one in ROLES.values() if found.kind in one.kinds), "")
    if found.kind == "adapter" and role == "lora":
        raise UserError(f"{where}: {path.name} is {found.name}, which is not applied here", fix=found.fix)
    other_family = found.name.startswith(wanted.wants)
    rather = "one that stylize can use" if other_family else wanted.wants
    raise UserError(f"{where}: {path.name} is {found.name}, not {rather}", fix=found.fix or f"it belongs to {belongs}")


def text_width(header: Header) -> tuple[int, str] | None:
    """Numbers of the text embedding that cross-attention reads, and the tensor that says so; None: no such tensor."""
    for name, tensor in header.tensors.items():
        if len(tensor.shape) > 1 and _CROSS.search(name) and not _UP.search(name):
            return tensor.shape[1], name
    return None


_CROSS = re.compile(r"attn2[._](processor[._])?to_[kv]")
_UP = re.compile(r"lora_up|lora_B|lora\.up|motion_modules|hada_(w[12]_a|t[12])|lokr_")

WIDTHS = {768: "SD 1.5", 1024: "SD 2", 2048: "SDXL"}
"""Families by the width of the text embedding that their UNet reads."""


def made_for(width: int) -> str:
    """``SDXL (2048)``, or the width alone."""
    return f"{WIDTHS[width]} (text width {width})" if width in WIDTHS else f"text width {width}"


PARTS: dict[str, tuple[str, ...]] = {
    "unet": ("model.diffusion_model.", "diffusion_model.", "unet."),
    "vae": ("first_stage_model.", "vae."),
    "text_encoder": (
        "cond_stage_model.transformer.text_model.",
        "cond_stage_model.transformer.",
        "text_encoders.clip_l.transformer.text_model.",
        "text_encoders.clip_l.transformer.",
        "te.text_model.",
        "te.",
        "text_encoder.text_model.",
        "text_encoder.",
        "text_model.",
    ),
}
"""Prefixes of a part's tensors in checkpoint files, the longer ones first."""
_BARE = {
    "unet": re.compile(r"(input_blocks|middle_block|output_blocks|time_embed|out)\."),
    "vae": re.compile(r"(encoder\.(conv|down|mid|norm)|decoder\.|quant_conv|post_quant_conv)"),
    "text_encoder": re.compile(r"(embeddings\.(token|position)_embedding|encoder\.layers\.|final_layer_norm)"),
}


def part_names(tensors: Mapping[str, Tensor], part: str) -> dict[str, str]:
    """The tensors of one part of a checkpoint file: name in the file by its name within the part. Empty: it has none.

    Args:
        part: ``unet``, ``vae`` or ``text_encoder``.
    """
    for prefix in PARTS[part]:
        found = {name.removeprefix(prefix): name for name in tensors if name.startswith(prefix)}
        if any(_BARE[part].match(inner) for inner in found):
            return found
    return {name: name for name in tensors if _BARE[part].match(name)}
