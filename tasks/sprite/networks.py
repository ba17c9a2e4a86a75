"""The networks of the family: diffusers' and transformers' own classes, built here at their final sizes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.sprite.few_lora import CHANGED, FOLDER, Lora
from tasks.sprite.skeleton import FRAME
from tasks.sprite.spec import STRIDE

if TYPE_CHECKING:
    from diffusers import (
        AutoencoderKL,
        ControlNetModel,
        DDIMScheduler,
        MotionAdapter,
        SparseControlNetModel,
        UNet2DConditionModel,
        UNetMotionModel,
    )
    from transformers import CLIPTextModel

LATENT_CHANNELS = 8
TEXT_WIDTH = 96
MAX_TOKENS = 77
CONTROLS = ("openpose", "lineart", "depth", "tile")
WIDTHS = (48, 96, 96)


def build_vae(frame: int = FRAME) -> AutoencoderKL:
    """Stride 8, 8 latent channels, no attention: works on any frame whose sides are multiples of 8."""
    import torch
    from diffusers import AutoencoderKL

    vae = AutoencoderKL(
        in_channels=3, out_channels=3, latent_channels=LATENT_CHANNELS, block_out_channels=(16, 32, 64, 64),
        layers_per_block=1, down_block_types=("DownEncoderBlock2D",) * 4, up_block_types=("UpDecoderBlock2D",) * 4,
        norm_num_groups=1, sample_size=frame, scaling_factor=1.0, force_upcast=False, mid_block_add_attention=False,
    )  # fmt: skip
    with torch.no_grad():  # start with almost no posterior noise
        vae.quant_conv.bias[LATENT_CHANNELS:] = -5.0
        vae.quant_conv.weight[LATENT_CHANNELS:] *= 0.1
    return vae


def build_text_encoder(vocabulary: int, bos: int, eos: int) -> CLIPTextModel:
    """Two layers of width 96 over 77 tokens."""
    from transformers import CLIPTextConfig, CLIPTextModel

    return CLIPTextModel(CLIPTextConfig(
        vocab_size=vocabulary, hidden_size=TEXT_WIDTH, intermediate_size=256, num_hidden_layers=2,
        num_attention_heads=4, max_position_embeddings=MAX_TOKENS, bos_token_id=bos, eos_token_id=eos,
        pad_token_id=eos, projection_dim=TEXT_WIDTH,
    ))  # fmt: skip


def build_unet(frame: int = FRAME) -> UNet2DConditionModel:
    """One layer a block; cross-attention at a half and a quarter of the latent's cells."""
    from diffusers import UNet2DConditionModel

    return UNet2DConditionModel(
        sample_size=frame // STRIDE, in_channels=LATENT_CHANNELS, out_channels=LATENT_CHANNELS,
        block_out_channels=WIDTHS, layers_per_block=1,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        cross_attention_dim=TEXT_WIDTH, attention_head_dim=4, norm_num_groups=8,
    )  # fmt: skip


def build_controlnet(unet: UNet2DConditionModel) -> ControlNetModel:
    """A ControlNet that starts from the UNet's encoder."""
    from diffusers import ControlNetModel

    return ControlNetModel.from_unet(unet, conditioning_embedding_out_channels=(8, 16, 32, 48))


def build_motion_adapter() -> MotionAdapter:
    """Temporal attention for 16 frames; zero output projections, so that it starts as no change at all."""
    import torch
    from diffusers import MotionAdapter

    adapter = MotionAdapter(
        block_out_channels=WIDTHS, motion_layers_per_block=1, motion_num_attention_heads=4,
        motion_norm_num_groups=8, motion_max_seq_length=16, use_motion_mid_block=True,
    )  # fmt: skip
    for name, module in adapter.named_modules():
        if name.endswith("proj_out"):
            torch.nn.init.zeros_(module.weight)
            torch.nn.init.zeros_(module.bias)
    return adapter


def build_sparsectrl(motion: UNetMotionModel | None = None) -> SparseControlNetModel:
    """A SparseCtrl for the family: it reads latents of pictures, and sees 16 frames.

    motion: UNet and motion adapter whose encoder half, motion modules included, it begins with.
    """
    from diffusers import SparseControlNetModel

    net = SparseControlNetModel(
        in_channels=LATENT_CHANNELS, conditioning_channels=LATENT_CHANNELS, block_out_channels=WIDTHS,
        layers_per_block=1, cross_attention_dim=TEXT_WIDTH, attention_head_dim=4, norm_num_groups=8,
        down_block_types=("DownBlockMotion", "CrossAttnDownBlockMotion", "CrossAttnDownBlockMotion"),
        motion_max_seq_length=16, motion_num_attention_heads=4, use_simplified_condition_embedding=True,
    )  # fmt: skip
    if motion is not None:
        known = motion.state_dict()
        net.load_state_dict({**net.state_dict(), **{k: known[k] for k in net.state_dict() if k in known}})
    return net


def build_scheduler() -> DDIMScheduler:
    """v-prediction with zero terminal SNR and trailing steps (https://arxiv.org/abs/2305.08891)."""
    from diffusers import DDIMScheduler

    return DDIMScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", clip_sample=False,
        prediction_type="v_prediction", rescale_betas_zero_snr=True, timestep_spacing="trailing", steps_offset=1,
        set_alpha_to_one=True,
    )  # fmt: skip


def load(folder: Path, part: str, teacher: bool = False) -> Any:
    """One part of an exported family: `vae`, `unet`, `text_encoder`, `tokenizer`, `scheduler`, `motion_adapter`
    or `controlnet_<kind>`. float32, eval mode.

    teacher: without the few-step LoRA, if the family has one.

    Raises:
        OSError: the folder lacks the part.
    """
    import torch
    from diffusers import AutoencoderKL, ControlNetModel, DDIMScheduler, MotionAdapter, UNet2DConditionModel
    from transformers import CLIPTextModel, CLIPTokenizer

    if part == "tokenizer":
        return CLIPTokenizer.from_pretrained(folder / part)
    if part == "scheduler":
        return DDIMScheduler.from_pretrained(folder / part)
    classes = {"vae": AutoencoderKL, "unet": UNet2DConditionModel, "text_encoder": CLIPTextModel,
               "motion_adapter": MotionAdapter}  # fmt: skip
    cls = classes.get(part, ControlNetModel)
    dtype = {"dtype" if part == "text_encoder" else "torch_dtype": torch.float32}
    net = cls.from_pretrained(folder / part, **dtype).eval()
    if teacher and part in CHANGED and (folder / FOLDER).is_dir():
        Lora.load(folder).add_to(net, -1)
    return net
