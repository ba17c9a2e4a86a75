"""Textual inversion: learned vectors as words of a prompt (arXiv:2208.01618).

Every vector becomes a token of its own behind the tokenizer's vocabulary; `spelled` writes those tokens where a prompt
says ``embedding:NAME``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from reel.errors import UserError
from reel.models.source import ModelSource
from reel.prompt import EMBEDDING
from tasks.stylize.files import safetensors_file

if TYPE_CHECKING:
    import torch

_TOKEN = re.compile(r"<embedding:(.+):\d+>")


def learn(tokenizer: Any, encoder: Any, sources: Mapping[str, ModelSource]) -> None:
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
        tokens = [f"<embedding:{name}:{number}>" for number in range(len(found))]
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
    found = tensors.get("emb_params", next(iter(tensors.values())) if len(tensors) == 1 else None)
    if found is None or found.ndim not in (1, 2):
        raise UserError(
            f"{source.label}: not a textual inversion for this family (it holds {', '.join(sorted(tensors)[:4])})",
            fix="SD 1.5 needs one set of vectors; files with clip_l and clip_g are for SDXL",
        )
    return found.reshape(-1, found.shape[-1]).float()


def spelled(tokenizer: Any, text: str) -> str:
    """The text with ``embedding:NAME`` written as the tokens that stand for its vectors."""
    known: dict[str, list[str]] = {}
    for token, _ in sorted(tokenizer.get_added_vocab().items(), key=lambda item: item[1]):
        if match := _TOKEN.fullmatch(token):
            known.setdefault(match[1], []).append(token)
    return EMBEDDING.sub(lambda found: "".join(known.get(found["name"], [found[0]])), text)
