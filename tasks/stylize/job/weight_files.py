"""Weight files against what their settings take, by their headers alone: before anything is computed or loaded.

Single files are looked at, which people bring; a family's folders are diffusers' own and judged by its loaders.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from reel.errors import UserError
from reel.models.animatediff import AnimateDiff
from reel.models.source import LoraSource, ModelSource, part_of
from tasks.networks.files import read_json, safetensors_file
from tasks.stylize.models.checkpoint import has_weights, lacking
from tasks.stylize.settings.denoise import Denoise
from tasks.stylize.settings.embed import Embed
from tasks.stylize.settings.split import Stages
from tasks.weights import fetch as weights
from tasks.weights.formats import demand, made_for, part_names, text_width
from tasks.weights.header import Header, read_header
from tasks.weights.pairs import check_fit, check_pairs, plain_name


def check_files(stages: Stages) -> None:
    """Whether every weight file that a render's settings name is what its setting takes. The files must be there.

    Raises:
        UserError: the first that is not: setting, file, what it is instead, what to do.
    """
    model, vae = stages.denoise.model, stages.encode.vae
    if model.base.single:
        _check_base(model, needs_vae=vae is None)
    if vae is not None and vae.single:
        _check_vae(stages.vae_key, vae, model)
    if model.motion.single:
        _check_motion(model)
    for kind in sorted({control.kind for control in stages.denoise.live().values()}):
        _check_controlnet(f"model.controlnets.{kind}", model.controlnets[kind])
    for kind in sorted({one.kind for one in stages.denoise.sparse.values()}):
        _check_controlnet(f"model.sparsectrls.{kind}", model.sparsectrls[kind], "sparse")
    loras = [*named_loras(stages.denoise)]
    layers = _layers(model, stages.embed) if loras else {}
    for where, lora in loras:
        _check_lora(where, lora, model, layers)
    for name, source in stages.embed.embeddings.items():
        _check_embedding(f"stylize.embeddings.{name}", source, stages.embed)
    if stages.denoise.reads_pictures and model.ip_adapter is not None:
        demand(safetensors_file(model.ip_adapter), "ip_adapter", "model.ip_adapter")


def named_loras(cfg: Denoise) -> Iterator[tuple[str, LoraSource]]:
    """Every LoRA of a render with the setting that names it: ``stylize.loras[0]``."""
    groups = {"model.loras": cfg.model.loras, "stylize.loras": cfg.loras, "stylize.motion_loras": cfg.motion_loras}
    for key, loras in groups.items():
        yield from ((f"{key}[{index}]", lora) for index, lora in enumerate(loras))


def _check_base(model: AnimateDiff, *, needs_vae: bool) -> None:
    """A checkpoint file with the parts that are not given elsewhere, for a UNet of the family's shape."""
    assert model.base_config is not None
    header = demand(safetensors_file(model.base), "base", "model.base")
    for part in ("unet", "text_encoder", *(["vae"] if needs_vae else [])):
        if not part_names(header.tensors, part) and not has_weights(model.base_config, part):
            raise lacking(model.base, part)
    _check_width(header, "model.base", model)
    first = next((one for name, one in header.tensors.items() if name.endswith("input_blocks.0.0.weight")), None)
    wanted = _unet_shape(model).get("in_channels", 4)
    if first is not None and len(first.shape) == 4 and first.shape[1] != wanted:
        what = {8: "an instruction (pix2pix)", 9: "an inpainting"}.get(first.shape[1], "another kind of")
        raise UserError(
            f"model.base: {model.base.label} is {what} checkpoint: its UNet takes {first.shape[1]} channels, "
            f"not {wanted}",
            fix="take the plain checkpoint of the same model",
        )


def _check_vae(where: str, vae: ModelSource, model: AnimateDiff) -> None:
    """A VAE's file, for latents of as many channels as the family's UNet takes."""
    header = demand(safetensors_file(vae), "vae", where)
    wanted = _unet_shape(model).get("in_channels", 4)
    first = next((one for name, one in header.tensors.items() if name.endswith("decoder.conv_in.weight")), None)
    if first is not None and len(first.shape) == 4 and first.shape[1] != wanted:
        raise UserError(
            f"{where}: {vae.label} is a VAE for latents of {first.shape[1]} channels, model {model.name} has {wanted}",
            fix="take a VAE of SD 1.5, such as sd-vae-ft-mse; 16 channels are SD 3's and Flux's",
        )


def _check_width(header: Header, where: str, model: AnimateDiff) -> None:
    """Whether cross-attention reads text embeddings as wide as the family's."""
    found, wanted = text_width(header), _unet_shape(model).get("cross_attention_dim")
    if found is not None and isinstance(wanted, int) and found[0] != wanted:
        raise UserError(
            f"{where}: is made for {made_for(found[0])}; model {model.name} has text width {wanted}",
            fix="take one made for the family in use, or another family (rotoscope models)",
        )


def _unet_shape(model: AnimateDiff) -> dict[str, Any]:
    folder = weights.path(model.base_config or part_of(model.base, "unet"))
    return read_json(folder / "unet" / "config.json")


def _check_motion(model: AnimateDiff) -> None:
    """A motion module's file, for as many frames as the catalogue says."""
    header = demand(safetensors_file(model.motion), "motion", "model.motion")
    lengths = {
        tensor.shape[1]
        for name, tensor in header.tensors.items()
        if re.search(r"pos_(encoder|embed)\.pe$", name) and len(tensor.shape) == 3
    }
    if lengths and max(lengths) < model.motion_window:
        raise UserError(
            f"model.motion: {model.motion.label} was made for {max(lengths)} frames, model.motion_window is "
            f"{model.motion_window}",
            fix=f"model.motion_window={max(lengths)}, with a motion_config that says so (motion_max_seq_length)",
        )


_LIKE = {"controlnet": "lllyasviel/control_v11p_sd15_openpose", "sparse": "guoyww/animatediff-sparsectrl-rgb"}


def _check_controlnet(where: str, source: ModelSource, kind: str = "controlnet") -> None:
    """ControlNets are loaded from folders alone; what a file is instead is said."""
    if source.single:
        demand(safetensors_file(source), kind, where)
        raise UserError(
            f"{where}: {source.label} is one file; a ControlNet is loaded from a folder with its config.json",
            fix=f"name a repository or folder as diffusers saves it, such as {_LIKE[kind]}",
        )


def _layers(model: AnimateDiff, embed: Embed) -> dict[str, tuple[int, ...]]:
    """Shapes of the weights that LoRAs change, by `pairs.plain_name`, as far as the files have diffusers' names."""
    folders = [] if model.motion.single else [weights.path(model.motion)]
    for source, part in ((model.base, "unet"), (embed.base, "text_encoder")):
        if not source.single:
            folders.append(weights.path(part_of(source, part)) / part)
    headers = (read_header(file) for folder in folders for file in sorted(folder.glob("*.safetensors")))
    return {
        plain_name(name.removesuffix(".weight")): tensor.shape
        for header in headers
        for name, tensor in header.tensors.items()
        if name.endswith(".weight")
    }


def _check_lora(where: str, lora: LoraSource, model: AnimateDiff, layers: Mapping[str, tuple[int, ...]]) -> None:
    if lora.source.single or _one_file(weights.path(lora.source)):
        file = safetensors_file(lora.source)
        header = demand(file, "lora", where)
        check_pairs(header, file.name, where)
        _check_width(header, f"{where}: {lora.source.label}", model)
        check_fit(header, file.name, where, layers)


def _one_file(folder: Path) -> bool:
    return folder.is_dir() and len(list(folder.glob("*.safetensors"))) == 1


def _check_embedding(where: str, source: ModelSource, cfg: Embed) -> None:
    header = demand(safetensors_file(source), "embedding", where)
    folder = weights.path(cfg.base_config or part_of(cfg.base, "text_encoder", "tokenizer"))
    wanted = read_json(folder / "text_encoder" / "config.json").get("hidden_size")
    found = {tensor.shape[-1] for tensor in header.tensors.values() if tensor.shape}
    if wanted is not None and wanted not in found:
        raise UserError(
            f"{where}: {source.label} has vectors of {', '.join(map(str, sorted(found)))} numbers, this family's text "
            f"encoder has {wanted}",
            fix="take one made for this family (768 for SD 1.5)",
        )
