"""The networks of a denoising, loaded and kept between the renders of one process.

What is kept is one `core` per set of weights (UNet with its motion module and LoRAs) and one entry per ControlNet, so
that a sweep over weights, seeds or prompts loads nothing twice. Weights stay in the files' mapped pages wherever the
number format is the file's own: they are read as they are used, and the system can drop them.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from reel.models.animatediff import AnimateDiff
from reel.models.source import ModelSource, part_of, sources_in
from tasks.networks.files import BYTES, builder, not_a_model, read_json, safetensors_file, source_bytes
from tasks.stylize.models.adapters import apply_ip_adapter, apply_loras, loras_of
from tasks.stylize.models.checkpoint import load_part
from tasks.stylize.models.sources import unet_family
from tasks.stylize.settings.denoise import Denoise
from tasks.weights import fetch as weights
from tasks.weights.memory import LOADED


@dataclass
class Networks:
    """What denoising runs: the family's pipeline (for its UNet and its IP-Adapter), and by their names in the settings
    ControlNets and SparseCtrls."""

    pipe: Any
    controlnets: dict[str, Any]
    sparsectrls: dict[str, Any]

    def modules(self) -> list[Any]:
        """Everything that works on the device: the UNet, the ControlNets, an IP-Adapter's picture encoder."""
        nets = {id(net): net for net in [*self.controlnets.values(), *self.sparsectrls.values()]}
        return [net for net in (self.pipe.unet, *nets.values(), self.pipe.image_encoder) if net is not None]


def load_networks(cfg: Denoise, device: str) -> Networks:
    """UNet with motion module and LoRAs, and the ControlNets of the live controls.

    Raises:
        UserError: files that are not such a model, or LoRAs that do not fit it.
    """
    return Networks(core(cfg, device), controlnets(cfg, device), sparsectrls(cfg, device))


def core(cfg: Denoise, device: str) -> Any:
    """A video-to-video pipeline without ControlNets, for its UNet with motion module, LoRAs and reference picture."""
    family = [unet_family(cfg), cfg.loras, cfg.motion_loras]
    size = sum(source_bytes(source, BYTES[cfg.dtype]) for _, source in sources_in(family))
    return LOADED.get(core_key(cfg, device), size, lambda: _build_core(cfg))


def controlnets(cfg: Denoise, device: str) -> dict[str, Any]:
    """The ControlNets of the live controls, by control, in their order."""
    from diffusers import ControlNetModel

    wanted = {name: cfg.model.controlnets[control.kind] for name, control in cfg.live().items()}
    return {name: _net(ControlNetModel, source, cfg, device) for name, source in wanted.items()}


def sparsectrls(cfg: Denoise, device: str) -> dict[str, Any]:
    """The SparseCtrls in use, by name."""
    from diffusers import SparseControlNetModel

    wanted = {name: cfg.model.sparsectrls[one.kind] for name, one in cfg.sparse.items()}
    return {name: _net(SparseControlNetModel, source, cfg, device) for name, source in wanted.items()}


def _net(kind: Any, source: ModelSource, cfg: Denoise, device: str) -> Any:
    """A ControlNet of either kind, kept for the next render of this process."""
    key = f"controlnet {weights.content_id(source)} {cfg.dtype} {device}"
    build = builder(kind, weights.path(source), cfg.dtype, source)
    return LOADED.get(key, source_bytes(source, BYTES[cfg.dtype]), build)


def core_key(cfg: Denoise, device: str) -> str:
    """Everything that decides the core's weights and shapes."""
    parts = {
        **{key: weights.content_id(source) for key, source in unet_family(cfg).sources().items()},
        "loras": [[weights.content_id(lora.source), lora.weight] for lora in loras_of(cfg)],
        "dtype": cfg.dtype,
        "device": device,
    }
    return f"core {json.dumps(parts, sort_keys=True)}"


def scheduler_settings(model: AnimateDiff) -> dict[str, Any]:
    """The family's scheduler_config.json with the changes that its motion module was trained with."""
    folder = weights.path(model.base_config or part_of(model.base, "unet", "scheduler"))
    return {**read_json(folder / "scheduler" / "scheduler_config.json"), **model.scheduler_config}


def _build_core(cfg: Denoise) -> Any:
    from diffusers import AnimateDiffVideoToVideoPipeline, DDIMScheduler

    model = unet_family(cfg)
    pipe = AnimateDiffVideoToVideoPipeline(
        **dict.fromkeys(("vae", "text_encoder", "tokenizer")),
        unet=join(_unet(model, cfg.dtype), _motion_adapter(model, cfg.dtype), model),
        motion_adapter=None,
        scheduler=DDIMScheduler(),  # replaced before every render
    )
    apply_loras(pipe, loras_of(cfg), model.name)
    if cfg.reads_pictures:
        apply_ip_adapter(pipe, model, cfg.dtype)
    for module in pipe.components.values():
        if hasattr(module, "requires_grad_"):
            module.eval().requires_grad_(False)
    return pipe


def join(unet: Any, adapter: Any, model: AnimateDiff) -> Any:
    """UNet and motion adapter as one UNetMotionModel that takes over their very tensors.

    diffusers' own ``from_unet2d`` copies both, so that everything is in memory twice for a while.

    Raises:
        UserError: a motion module of another shape than the UNet.
    """
    from accelerate import init_empty_weights
    from diffusers import UNetMotionModel

    try:
        with init_empty_weights():
            joined = UNetMotionModel.from_unet2d(unet, adapter, load_weights=False)
        missing, unexpected = joined.load_state_dict(
            {**unet.state_dict(), **adapter.state_dict()}, strict=False, assign=True
        )
        if missing or unexpected:
            raise ValueError(f"weights without a place or places without weights: {[*missing, *unexpected][:3]}")
    except (ValueError, RuntimeError) as error:
        wanted = f"a motion module for the UNet of model {model.name}"
        raise not_a_model(model.motion, wanted, error, "model.motion") from None
    return joined


def _unet(model: AnimateDiff, dtype: str) -> Any:
    """The base's UNet2DConditionModel."""
    from diffusers import UNet2DConditionModel

    base = model.base
    if base.single:
        return load_part(base, model.base_config, "unet", dtype)
    return builder(UNet2DConditionModel, weights.path(base) / "unet", dtype, base)()


def _motion_adapter(model: AnimateDiff, dtype: str) -> Any:
    """The motion module; a bare file may have diffusers' names or AnimateDiff's own."""
    import torch
    from diffusers import MotionAdapter
    from diffusers.loaders.single_file_utils import convert_animatediff_checkpoint_to_diffusers
    from safetensors.torch import load_file

    source = model.motion
    if not source.single:
        return builder(MotionAdapter, weights.path(source), dtype, source)()
    folder = weights.path(model.motion_config or source)
    adapter = MotionAdapter.from_config(read_json((folder if folder.is_dir() else folder.parent) / "config.json"))
    tensors = load_file(str(safetensors_file(source)))
    try:
        if any(".temporal_transformer." in name for name in tensors):
            tensors = {**_positions(adapter), **convert_animatediff_checkpoint_to_diffusers(tensors)}
        adapter.load_state_dict(tensors)
    except RuntimeError as error:
        raise not_a_model(source, "a motion module of the shape in motion_config", error, "model.motion") from None
    return adapter.to(getattr(torch, dtype))


def _positions(adapter: Any) -> dict[str, Any]:
    """The tables of frame positions, which follow from their size and which diffusers' conversion leaves out."""
    return {name: table for name, table in adapter.state_dict().items() if name.endswith(".pos_embed.pe")}
