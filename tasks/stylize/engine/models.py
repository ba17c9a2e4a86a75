"""The models that each op needs, and where they come from; loading itself is `tasks.stylize.load`'s."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from reel.models.animatediff import AnimateDiff
from reel.models.source import LoraSource, ModelSource
from tasks.stylize import load
from tasks.stylize.engine.inversion import learn
from tasks.stylize.engine.settings import Decode, Denoise, Embed, Encode
from tasks.stylize.files import builder, safetensors_file
from tasks.stylize.quiet import quiet
from tasks.stylize.reference import picture_source
from tasks.stylize.settings import Animatediff
from tasks.weights import fetch as weights
from tasks.weights.files import parameter_bytes
from tasks.weights.memory import LOADED


def part_of(base: ModelSource, *folders: str) -> ModelSource:
    """The part of a base that lies in these folders; a base that is one file stays whole."""
    if base.single or base.kind not in ("embedded", "hub"):
        return base
    return base.model_copy(update={"files": [f"{folder}/*" for folder in folders]})


def codec_sources(cfg: Encode | Decode) -> list[ModelSource]:
    """The VAE's files, and where its settings come from if it is one file without any."""
    if cfg.vae is None:
        return [part_of(cfg.base, "vae"), *([cfg.base_config] if cfg.base_config else [])]
    if not cfg.vae.single:
        return [cfg.vae]
    return [cfg.vae, cfg.base_config or cfg.base.model_copy(update={"files": ["vae/config.json"]})]


def embed_sources(cfg: Embed) -> list[ModelSource]:
    """Text encoder, tokenizer, LoRAs and textual inversions."""
    base = part_of(cfg.base, "text_encoder", "tokenizer")
    extra = [*(lora.source for lora in cfg.loras), *cfg.embeddings.values()]
    return [base, *([cfg.base_config] if cfg.base_config else []), *extra]


def denoise_sources(cfg: Denoise) -> list[ModelSource]:
    """UNet, motion module, the ControlNets in use, LoRAs, reference picture."""
    model = cfg.model
    several = [part_of(model.base, "unet", "scheduler"), model.base_config, model.motion, model.motion_config]
    several += [model.controlnets[kind] for kind in sorted({c.kind for c in cfg.live().values()})]
    several += [lora.source for lora in [*model.loras, *cfg.loras, *cfg.motion_loras]]
    if cfg.ip_adapter is not None:
        several += [model.ip_adapter, model.ip_image_encoder, picture_source(cfg.ip_adapter)]
    return [source for source in several if source is not None]


def vae(cfg: Encode | Decode, device: str) -> Any:
    """The AutoencoderKL."""
    from diffusers import AutoencoderKL

    source = cfg.vae or part_of(cfg.base, "vae")
    key = f"vae {[weights.content_id(part) for part in codec_sources(cfg)]} {cfg.dtype} {device}"

    def build() -> Any:
        found: Any
        if cfg.vae is not None:
            model = AnimateDiff.model_construct(base=cfg.base, base_config=codec_sources(cfg)[-1])
            found = load.vae(_family(model, cfg.dtype, vae=cfg.vae))
        elif cfg.base.single:
            found = load.single_file(_family(_model(cfg), cfg.dtype))["vae"]
        else:
            found = builder(AutoencoderKL, weights.path(cfg.base) / "vae", cfg.dtype, cfg.base)()
        return found.eval().requires_grad_(False)

    with quiet():
        return LOADED.get(key, _bytes(source, "vae", cfg.dtype), build)


def text(cfg: Embed, device: str) -> tuple[Any, Any]:
    """Tokenizer and text encoder, textual inversions and LoRAs applied."""
    from transformers import CLIPTextModel, CLIPTokenizer

    parts = [weights.content_id(source) for source in embed_sources(cfg)]
    key = f"text {parts} {[lora.weight for lora in cfg.loras]} {[*cfg.embeddings]} {cfg.dtype} {device}"

    def build() -> tuple[Any, Any]:
        if cfg.base.single:
            found = load.single_file(_family(_model(cfg), cfg.dtype))
            tokenizer, encoder = found["tokenizer"], found["text_encoder"]
        else:
            root = weights.path(cfg.base)
            tokenizer = CLIPTokenizer.from_pretrained(str(root / "tokenizer"), local_files_only=True)
            encoder = builder(CLIPTextModel, root / "text_encoder", cfg.dtype, cfg.base)()
        learn(tokenizer, encoder, cfg.embeddings)
        _text_loras(encoder, cfg.loras)
        return tokenizer, encoder.eval().requires_grad_(False)

    with quiet():
        return LOADED.get(key, _bytes(cfg.base, "text_encoder", cfg.dtype), build)


@dataclass
class Networks:
    """What denoising runs: the family's pipeline (for its UNet and its IP-Adapter) and ControlNets by control."""

    pipe: Any
    controlnets: dict[str, Any]

    def modules(self) -> list[Any]:
        """Everything that works on the device: the UNet, the ControlNets, an IP-Adapter's picture encoder."""
        nets = {id(net): net for net in self.controlnets.values()}
        return [net for net in (self.pipe.unet, *nets.values(), self.pipe.image_encoder) if net is not None]


def networks(cfg: Denoise, device: str) -> Networks:
    """UNet with motion module and LoRAs, and the ControlNets of the live controls."""
    live, own = cfg.live(), family(cfg)
    return Networks(load.core(own, device), dict(zip(live, load.controlnets(own, live, device), strict=True)))


def scheduler_settings(cfg: Denoise) -> dict[str, Any]:
    """The family's scheduler settings, with what its motion module was trained with."""
    return load.scheduler_settings(family(cfg))


def family(cfg: Denoise) -> Animatediff:
    """The settings of a denoising as the loader wants them."""
    return _family(cfg.model, cfg.dtype, cfg.loras, cfg.motion_loras, ip_adapter=cfg.ip_adapter)


@contextlib.contextmanager
def placed(modules: Sequence[Any], device: str, offload: str) -> Iterator[None]:
    """Modules on the device for the block: for good, for the block only, or layer by layer."""
    if device == "cpu" or offload == "none":
        for module in modules:
            module.to(device)
        yield
        return
    if offload == "model":
        for module in modules:
            module.to(device)
        try:
            yield
        finally:
            for module in modules:
                module.to("cpu")
        return
    with layer_by_layer(modules, device):
        yield


@contextlib.contextmanager
def layer_by_layer(modules: Sequence[Any], device: str) -> Iterator[None]:
    """Modules whose weights go to the device layer by layer; what `module.device` says means nothing meanwhile."""
    from accelerate import cpu_offload
    from accelerate.hooks import remove_hook_from_submodules

    for module in modules:
        cpu_offload(module, device)
    try:
        yield
    finally:
        for module in modules:
            remove_hook_from_submodules(module)


def _bytes(source: ModelSource, folder: str, dtype: str) -> int:
    """Memory of one part of a base, or of all of a source that has no such folder."""
    root = weights.path(source)
    part = root / folder
    return parameter_bytes(part if part.is_dir() else root, load.BYTES[dtype])


def _family(
    model: AnimateDiff,
    dtype: str,
    loras: Sequence[LoraSource] = (),
    motion_loras: Sequence[LoraSource] = (),
    **more: Any,
) -> Animatediff:
    """Settings as the loader wants them; only what decides about weights is filled in."""
    return Animatediff.model_construct(
        model=model, dtype=dtype, loras=list(loras), motion_loras=list(motion_loras), **more
    )


def _model(cfg: Encode | Decode | Embed) -> AnimateDiff:
    return AnimateDiff.model_construct(base=cfg.base, base_config=cfg.base_config)


def _text_loras(encoder: Any, loras: Sequence[LoraSource]) -> None:
    """Apply what LoRAs hold for the text encoder; most hold nothing."""
    from diffusers.loaders import StableDiffusionLoraLoaderMixin as Loader
    from diffusers.utils import set_adapter_layers, set_weights_and_activate_adapters

    applied = []
    for index, lora in enumerate(loras):
        file = safetensors_file(lora.source)
        state, alphas = Loader.lora_state_dict(str(file.parent), weight_name=file.name, local_files_only=True)
        if not any(key.startswith("text_encoder.") for key in state):
            continue
        name = f"lora{index}"
        Loader.load_lora_into_text_encoder(state, network_alphas=alphas, text_encoder=encoder, adapter_name=name)
        applied.append((name, lora.weight))
    if applied:
        names, scales = zip(*applied, strict=True)
        set_weights_and_activate_adapters(encoder, list(names), list(scales))
        set_adapter_layers(encoder, enabled=True)
