"""The model sources that each op needs: what is fetched before it runs, and whose content is in its key."""

from __future__ import annotations

from reel.models.animatediff import AnimateDiff
from reel.models.source import ModelSource, part_of, sources_in
from tasks.stylize.settings.codec import Decode, Encode
from tasks.stylize.settings.denoise import Denoise
from tasks.stylize.settings.embed import Embed
from tasks.stylize.settings.reference import picture_source


def codec_sources(cfg: Encode | Decode) -> list[ModelSource]:
    """The VAE's files, and where its settings come from if it is one file without any."""
    if cfg.vae is None:
        return [part_of(cfg.base, "vae"), *([cfg.base_config] if cfg.base_config else [])]
    if not cfg.vae.single:
        return [cfg.vae]
    return [cfg.vae, cfg.base_config or cfg.base.model_copy(update={"files": ["vae/config.json"]})]


ENCODERS = {"sd15": ("text_encoder",), "sdxl": ("text_encoder", "text_encoder_2")}
TOKENIZERS = {"sd15": ("tokenizer",), "sdxl": ("tokenizer", "tokenizer_2")}
"""Folders of a base by its architecture, the encoders and their tokenizers in the order in which they are joined."""


def text_base(cfg: Embed) -> ModelSource:
    """The base's text encoders and tokenizers."""
    return part_of(cfg.base, *ENCODERS[cfg.architecture], *TOKENIZERS[cfg.architecture])


def embed_sources(cfg: Embed) -> list[ModelSource]:
    """Text encoders, tokenizers, LoRAs and textual inversions: every source of the settings."""
    own = cfg.model_copy(update={"base": text_base(cfg)})
    return [source for _, source in sources_in(own)]


def denoise_sources(cfg: Denoise) -> list[ModelSource]:
    """UNet, motion module, LoRAs, the ControlNets and SparseCtrls in use, reference picture."""
    kinds = sorted({control.kind for control in cfg.live().values()})
    controlnets = [cfg.model.controlnets[kind] for kind in kinds]
    controlnets += [cfg.model.sparsectrls[kind] for kind in sorted({one.kind for one in cfg.sparse.values()})]
    found = [source for _, source in sources_in([unet_family(cfg), cfg.loras, cfg.motion_loras])]
    picture = [picture_source(cfg.ip_adapter)] if cfg.ip_adapter else []
    return [*found, *controlnets, *picture]


def unet_family(cfg: Denoise) -> AnimateDiff:
    """The family as its UNet needs it: no ControlNets, no VAE, an IP-Adapter only where there is a picture for it."""
    unused = {} if cfg.reads_pictures else {"ip_adapter": None, "ip_image_encoder": None}
    base = part_of(cfg.model.base, "unet", "scheduler")
    return cfg.model.model_copy(update={"base": base, "controlnets": {}, "sparsectrls": {}, "vae": None, **unused})
