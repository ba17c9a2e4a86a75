"""From a family's files to loaded modules, kept between renders of one process.

What is kept is one `core` per set of weights (text encoder, UNet with its motion module and LoRAs, VAE) and one entry
per ControlNet, so that a sweep over weights, seeds or prompts loads nothing twice.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from reel.errors import UserError
from reel.models import LoraSource, ModelSource
from tasks import weights
from tasks.stylize.control import Control
from tasks.stylize.settings import Animatediff
from tasks.weights_files import parameter_bytes
from tasks.weights_memory import LOADED

BYTES = {"float32": 4, "bfloat16": 2, "float16": 2}


def core(cfg: Animatediff, device: str) -> Any:
    """A video-to-video pipeline without ControlNets: encoder, tokenizer, UNet with motion and LoRAs, VAE.

    Raises:
        UserError: files that are not such a model, or LoRAs that do not fit it.
    """
    return LOADED.get(core_key(cfg, device), _core_bytes(cfg), lambda: _build_core(cfg))


def controlnets(cfg: Animatediff, live: Mapping[str, Control], device: str) -> list[Any]:
    """The ControlNets of the live controls, in their order."""
    from diffusers import ControlNetModel

    found = []
    for control in live.values():
        source = cfg.model.controlnets[control.kind]
        folder = weights.path(source)
        key = f"controlnet {weights.content_id(source)} {cfg.dtype} {device}"
        build = _builder(ControlNetModel, folder, cfg.dtype, source)
        found.append(LOADED.get(key, parameter_bytes(folder, BYTES[cfg.dtype]), build))
    return found


def core_key(cfg: Animatediff, device: str) -> str:
    """Everything that decides the core's weights."""
    model = cfg.model.only(())
    loras = [[weights.content_id(lora.source), lora.weight] for lora in _loras(cfg)]
    vae = cfg.vae or model.vae
    parts = {
        "base": weights.content_id(model.base),
        "motion": weights.content_id(model.motion),
        "vae": weights.content_id(vae) if vae else None,
        "loras": loras,
        "ip_adapter": weights.content_id(model.ip_adapter) if cfg.ip_adapter and model.ip_adapter else None,
        "dtype": cfg.dtype,
        "device": device,
    }
    return f"core {json.dumps(parts, sort_keys=True)}"


def scheduler_settings(cfg: Animatediff) -> dict[str, Any]:
    """The family's scheduler_config.json with the changes that its motion module was trained with."""
    folder = weights.path(cfg.model.base_config or cfg.model.base)
    return {**_json(folder / "scheduler" / "scheduler_config.json"), **cfg.model.scheduler_config}


def motion_settings(cfg: Animatediff) -> dict[str, Any]:
    """The motion module's config.json."""
    folder = weights.path(cfg.model.motion_config or cfg.model.motion)
    return _json((folder if folder.is_dir() else folder.parent) / "config.json")


def _build_core(cfg: Animatediff) -> Any:
    from diffusers import AnimateDiffVideoToVideoPipeline

    parts = _single_file(cfg) if cfg.model.base.single else _folders(cfg)
    adapter = _motion_adapter(cfg)
    pipe = AnimateDiffVideoToVideoPipeline(
        vae=_vae(cfg) or parts["vae"],
        text_encoder=parts["text_encoder"],
        tokenizer=parts["tokenizer"],
        unet=parts["unet"],
        motion_adapter=adapter,
        scheduler=parts["scheduler"],
    )
    pipe.register_modules(motion_adapter=None)  # the UNet has its weights
    _apply_loras(pipe, cfg)
    if cfg.ip_adapter is not None:
        _apply_ip_adapter(pipe, cfg)
    for module in pipe.components.values():
        if hasattr(module, "requires_grad_"):
            module.eval().requires_grad_(False)
    return pipe


def _folders(cfg: Animatediff) -> dict[str, Any]:
    """Parts of a base in diffusers' layout: one folder per part."""
    from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel
    from transformers import CLIPTextModel, CLIPTokenizer

    base = cfg.model.base
    root = weights.path(base)
    vae = None if cfg.vae or cfg.model.vae else _builder(AutoencoderKL, root / "vae", cfg.dtype, base)()
    return {
        "text_encoder": _builder(CLIPTextModel, root / "text_encoder", cfg.dtype, base)(),
        "tokenizer": CLIPTokenizer.from_pretrained(str(_tokenizer(cfg)), local_files_only=True),
        "unet": _builder(UNet2DConditionModel, root / "unet", cfg.dtype, base)(),
        "vae": vae,
        "scheduler": DDIMScheduler(),  # replaced before every render
    }


def _tokenizer(cfg: Animatediff) -> Path:
    return weights.path(cfg.model.base_config or cfg.model.base) / "tokenizer"


def _single_file(cfg: Animatediff) -> dict[str, Any]:
    """Parts of a base that is one checkpoint file (Civitai's layout); settings and tokenizer from base_config."""
    import torch
    from diffusers import StableDiffusionPipeline

    assert cfg.model.base_config is not None
    file, settings = _safetensors(cfg.model.base), weights.path(cfg.model.base_config)
    try:
        pipe = StableDiffusionPipeline.from_single_file(
            str(file),
            config=str(settings),
            torch_dtype=getattr(torch, cfg.dtype),
            local_files_only=True,
            safety_checker=None,
        )
    except (ValueError, KeyError, RuntimeError, OSError) as error:
        raise _not_a_model(cfg.model.base, "a checkpoint of this family's architecture", error) from None
    return dict(pipe.components)


def _motion_adapter(cfg: Animatediff) -> Any:
    import torch
    from diffusers import MotionAdapter
    from safetensors.torch import load_file

    source = cfg.model.motion
    if not source.single:
        return _builder(MotionAdapter, weights.path(source), cfg.dtype, source)()
    adapter = MotionAdapter.from_config(motion_settings(cfg))
    try:
        adapter.load_state_dict(load_file(str(_safetensors(source))))
    except RuntimeError as error:
        raise _not_a_model(source, "a motion module of the shape in motion_config", error) from None
    return adapter.to(getattr(torch, cfg.dtype))


def _vae(cfg: Animatediff) -> Any | None:
    from diffusers import AutoencoderKL

    source = cfg.vae or cfg.model.vae
    if source is None:
        return None
    if not source.single:
        return _builder(AutoencoderKL, weights.path(source), cfg.dtype, source)()
    import torch

    settings = weights.path(cfg.model.base_config or cfg.model.base) / "vae"
    return AutoencoderKL.from_single_file(
        str(_safetensors(source)), config=str(settings), torch_dtype=getattr(torch, cfg.dtype), local_files_only=True
    )


def _loras(cfg: Animatediff) -> list[LoraSource]:
    return [*cfg.model.loras, *cfg.loras, *cfg.motion_loras]


def _apply_loras(pipe: Any, cfg: Animatediff) -> None:
    """Load every LoRA and check that it took hold: diffusers passes over keys that fit no layer."""
    from peft.tuners.tuners_utils import BaseTunerLayer

    names = []
    for index, lora in enumerate(_loras(cfg)):
        file = _safetensors(lora.source)
        name = f"lora{index}"
        try:
            pipe.load_lora_weights(str(file.parent), weight_name=file.name, adapter_name=name, local_files_only=True)
        except (ValueError, KeyError, RuntimeError) as error:
            raise _not_a_model(lora.source, f"a LoRA for model {cfg.model.name}", error) from None
        modules = [*pipe.unet.modules(), *pipe.text_encoder.modules()]
        layers = sum(isinstance(m, BaseTunerLayer) and name in getattr(m, "lora_A", {}) for m in modules)
        if layers == 0:
            raise UserError(
                f"{lora.source.label}: not one layer of model {cfg.model.name} is changed by this LoRA",
                fix="it is made for another architecture (SDXL, Flux, ...): take one for the family in use",
            )
        names.append(name)
    if names:
        pipe.set_adapters(names, adapter_weights=[lora.weight for lora in _loras(cfg)])


def _apply_ip_adapter(pipe: Any, cfg: Animatediff) -> None:
    from transformers import CLIPImageProcessor, CLIPVisionModelWithProjection

    assert cfg.model.ip_adapter is not None
    assert cfg.model.ip_image_encoder is not None
    encoder = cfg.model.ip_image_encoder
    image_encoder = _builder(CLIPVisionModelWithProjection, weights.path(encoder), cfg.dtype, encoder)()
    side = image_encoder.config.image_size
    pipe.register_modules(image_encoder=image_encoder, feature_extractor=CLIPImageProcessor(size=side, crop_size=side))
    file = _safetensors(cfg.model.ip_adapter)
    try:
        pipe.load_ip_adapter(str(file.parent), subfolder="", weight_name=file.name, local_files_only=True)
    except (ValueError, KeyError, RuntimeError) as error:
        raise _not_a_model(cfg.model.ip_adapter, f"an IP-Adapter for model {cfg.model.name}", error) from None


def _builder(kind: Any, folder: Path, dtype: str, source: ModelSource) -> Callable[[], Any]:
    """A call that loads one part from its folder: safetensors only, nothing from the network."""

    def build() -> Any:
        import torch

        variant = {"variant": source.variant} if source.variant and list(folder.glob(f"*.{source.variant}.*")) else {}
        try:
            return kind.from_pretrained(
                str(folder),
                torch_dtype=getattr(torch, dtype),
                use_safetensors=True,
                local_files_only=True,
                **variant,
            )
        except (OSError, ValueError, KeyError, RuntimeError) as error:
            raise _not_a_model(source, f"a {kind.__name__} in {folder}", error) from None

    return build


def _core_bytes(cfg: Animatediff) -> int:
    vae = cfg.vae or cfg.model.vae
    several = [cfg.model.base, cfg.model.motion, *([vae] if vae else []), *(lora.source for lora in _loras(cfg))]
    return sum(parameter_bytes(weights.path(source), BYTES[cfg.dtype]) for source in several)


def _safetensors(source: ModelSource) -> Path:
    """The source's file, which must be a safetensors one."""
    file = weights.path(source)
    if file.is_dir():
        files = sorted(file.glob("*.safetensors"))
        if len(files) != 1:
            raise UserError(f"{source.label}: {len(files)} safetensors files in its folder", fix="name one with file:")
        return files[0]
    if file.suffix != ".safetensors":
        raise UserError(
            f"{source.label}: only .safetensors files are loaded, a {file.suffix or 'nameless'} file may hold code",
            fix="most authors offer the same model as .safetensors",
        )
    return file


def _not_a_model(source: ModelSource, wanted: str, error: Exception) -> UserError:
    first = next(iter(str(error).strip().splitlines()), type(error).__name__)
    return UserError(f"{source.label}: not {wanted} ({first[:200]})", fix="check the source in conf/model")


def _json(path: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(path.read_text()))
    except (OSError, ValueError) as error:
        raise UserError(
            f"{path}: {error}", fix="the model's files are incomplete: remove and fetch them again"
        ) from None
