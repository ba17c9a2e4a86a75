"""The text encoders of a family, loaded, with LoRAs and textual inversions applied."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from reel.errors import UserError
from reel.models.source import LoraSource, ModelSource, part_of
from tasks.networks.files import BYTES, builder, not_a_model, safetensors_file, source_bytes
from tasks.networks.quiet import quiet
from tasks.stylize.engine.inversion import token_names
from tasks.stylize.models.checkpoint import load_part
from tasks.stylize.models.lora import read_lora, say_lost, told_misfits
from tasks.stylize.models.lycoris import apply_lycoris, is_lycoris
from tasks.stylize.models.sources import ENCODERS, TOKENIZERS, embed_sources, text_base
from tasks.stylize.settings.embed import Embed
from tasks.weights import fetch as weights
from tasks.weights.memory import LOADED

if TYPE_CHECKING:
    import torch

PREFIX = "text_encoder."
"""What a LoRA's names for the text encoder begin with."""


def load_text(cfg: Embed, device: str) -> tuple[list[Any], list[Any]]:
    """Tokenizers and text encoders, shared by all settings that are made of the same files: one each, SDXL's two.

    Raises:
        UserError: files that are not such a model, or do not fit it.
    """
    parts = [weights.content_id(source) for source in embed_sources(cfg)]
    weighed = [lora.weight for lora in cfg.loras]
    key = f"text {cfg.architecture} {parts} {weighed} {[*cfg.embeddings]} {cfg.dtype} {device}"
    size = source_bytes(part_of(cfg.base, *ENCODERS[cfg.architecture]), BYTES[cfg.dtype])
    with quiet():
        return LOADED.get(key, size, lambda: _build_both(cfg) if cfg.architecture == "sdxl" else _build(cfg))


def _build_both(cfg: Embed) -> tuple[list[Any], list[Any]]:
    """SDXL's two encoders; nothing is applied to them (`tasks.stylize.settings.sdxl`)."""
    from transformers import CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

    root, kinds = weights.path(text_base(cfg)), (CLIPTextModel, CLIPTextModelWithProjection)
    names = ENCODERS[cfg.architecture]
    encoders = [builder(kind, root / name, cfg.dtype, cfg.base)() for kind, name in zip(kinds, names, strict=True)]
    tokenizers = [
        CLIPTokenizer.from_pretrained(str(root / name), local_files_only=True) for name in TOKENIZERS[cfg.architecture]
    ]
    return tokenizers, [encoder.eval().requires_grad_(False) for encoder in encoders]


def _build(cfg: Embed) -> tuple[list[Any], list[Any]]:
    from transformers import CLIPTextModel, CLIPTokenizer

    if cfg.base.single:
        assert cfg.base_config is not None
        root = weights.path(cfg.base_config)
        encoder = load_part(cfg.base, cfg.base_config, "text_encoder", cfg.dtype)
    else:
        root = weights.path(text_base(cfg))
        encoder = builder(CLIPTextModel, root / "text_encoder", cfg.dtype, cfg.base)()
    tokenizer = CLIPTokenizer.from_pretrained(str(root / "tokenizer"), local_files_only=True)
    add_inversions(tokenizer, encoder, cfg.embeddings)
    _apply_loras(encoder, cfg.loras)
    return [tokenizer], [encoder.eval().requires_grad_(False)]


def add_inversions(tokenizer: Any, encoder: Any, sources: Mapping[str, ModelSource]) -> None:
    """Give tokenizer and encoder the vectors of these textual inversions, by name.

    Raises:
        UserError: a file that holds no vectors, or vectors for another encoder.
    """
    import torch

    for name, source in sources.items():
        table = encoder.get_input_embeddings().weight
        found = vectors(source)
        if found.shape[1] != table.shape[1]:
            raise UserError(
                f"{source.label}: vectors of {found.shape[1]} numbers, this family's text encoder has {table.shape[1]}",
                fix="take one made for this family (768 for SD 1.5)",
            )
        tokens = token_names(name, len(found))
        tokenizer.add_tokens(tokens)
        encoder.resize_token_embeddings(len(tokenizer), mean_resizing=False)
        with torch.no_grad():
            table = encoder.get_input_embeddings().weight
            table[tokenizer.convert_tokens_to_ids(tokens)] = found.to(table)


def vectors(source: ModelSource) -> torch.Tensor:
    """``(N, D)`` of a file as the AUTOMATIC1111 web UI, ComfyUI or diffusers write it.

    Raises:
        UserError: it holds something else.
    """
    from safetensors.torch import load_file

    tensors = load_file(str(safetensors_file(source)))
    found = next((tensors[name] for name in ("emb_params", "string_to_param.*") if name in tensors), None)
    found = next(iter(tensors.values())) if found is None and len(tensors) == 1 else found
    if found is None or found.ndim not in (1, 2):
        raise UserError(
            f"{source.label}: not a textual inversion for this family (it holds {', '.join(sorted(tensors)[:4])})",
            fix="SD 1.5 needs one set of vectors; files with clip_l and clip_g are for SDXL",
        )
    return found.reshape(-1, found.shape[-1]).float()


def _apply_loras(encoder: Any, loras: Sequence[LoraSource]) -> None:
    """Apply what LoRAs hold for the text encoder; most hold nothing."""
    from diffusers.loaders import StableDiffusionLoraLoaderMixin as Loader
    from diffusers.utils import set_adapter_layers, set_weights_and_activate_adapters

    applied = []
    for lora in loras:
        if is_lycoris(lora.source):
            apply_lycoris(lora, encoder, PREFIX)
    for index, lora in enumerate(loras):
        if is_lycoris(lora.source):
            continue
        own = read_lora(Loader, lora.source)[PREFIX]
        if not own.matrices:
            continue
        if not told_misfits(lora.source, own, encoder, PREFIX):
            say_lost(lora.source, sorted(own.layers()), len(own.layers()), PREFIX)
            continue
        name = f"lora{index}"
        state = {f"{PREFIX}{_linear(key)}": value for key, value in own.matrices.items()}
        alphas = None if own.alpha is None else {f"{PREFIX}alpha": own.alpha}
        try:
            Loader.load_lora_into_text_encoder(state, network_alphas=alphas, text_encoder=encoder, adapter_name=name)
        except (ValueError, KeyError, RuntimeError) as error:
            raise not_a_model(lora.source, "a LoRA for this text encoder", error) from None
        applied.append((name, lora.weight))
    if applied:
        names, scales = zip(*applied, strict=True)
        set_weights_and_activate_adapters(encoder, list(names), list(scales))
        set_adapter_layers(encoder, enabled=True)


def _linear(name: str) -> str:
    """A matrix under the name that diffusers knows in a text encoder, whichever layers a LoRA has."""
    return name.replace(".lora_A.", ".lora_linear_layer.down.").replace(".lora_B.", ".lora_linear_layer.up.")
