"""Prompts to embeddings: emphasis, texts of any length, all padded alike.

A text is cut into pieces that fit the encoder (75 tokens for CLIP), each is encoded by itself between begin and end
marks, and the embeddings are laid end to end. All texts of a render get the same number of pieces, so that they can be
mixed and batched.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from reel.emphasis import parse_emphasis
from reel.errors import UserError
from reel.prompt import EMBEDDING
from tasks.stylize.engine.inversion import expand_inversions

if TYPE_CHECKING:
    import torch

log = logging.getLogger(__name__)

MOST_PIECES = 16
"""Pieces of a text at most (1,200 tokens with CLIP)."""


def pieces(tokenizer: Any, text: str) -> list[list[tuple[int, float]]]:
    """Tokens with weights, cut into pieces that fit the encoder between its marks.

    A cut falls after the last comma in the last fifth of what fits, so that phrases stay whole; where there is none,
    at the end of what fits, be it inside a word.

    Raises:
        UserError: more than `MOST_PIECES` pieces.
    """
    size = int(tokenizer.model_max_length) - 2
    tokens = [
        (token, phrase.weight)
        for phrase in parse_emphasis(text)
        for token in tokenizer(expand_inversions(tokenizer, phrase.text), add_special_tokens=False, verbose=False)[
            "input_ids"
        ]
    ]
    comma = set(tokenizer(",", add_special_tokens=False)["input_ids"])
    found = []
    while tokens:
        cut = min(size, len(tokens))
        if cut < len(tokens):
            late = [i + 1 for i in range(size - size // 5, size) if tokens[i][0] in comma]
            cut = late[-1] if late else cut
        found.append(tokens[:cut])
        tokens = tokens[cut:]
    if len(found) > MOST_PIECES:
        raise UserError(
            f"the text {text[:40]!r}... takes {len(found)} pieces of {size} tokens; {MOST_PIECES} pieces are the most",
            fix="shorten it: it is prompt, negative_prompt, a part of prompt_schedule, or a region's prompt",
        )
    return found or [[]]


def encode_texts(
    tokenizer: Any, encoder: Any, texts: Sequence[str], clip_skip: int | None = None, device: str = "cpu"
) -> torch.Tensor:
    """Embeddings of texts, all padded to the same number of pieces.

    Emphasis moves a token's embedding away from (or towards) the one that an empty prompt has in its place:
    ``empty + weight * (token - empty)``. Texts without emphasis keep the encoder's very numbers.

    Args:
        clip_skip: layers left out at the encoder's end (None or 0: none).
        device: where the encoder computes; its weights may lie elsewhere until then.

    Returns:
        ``(K, P * L, D)`` in the encoder's type: K texts, P pieces of L tokens.
    """
    import torch

    cut = [pieces(tokenizer, text) for text in texts]
    most = max(len(piece) for piece in cut)
    empty = _hidden(encoder, _ids(tokenizer, [[]], device), clip_skip)[0]
    rows = []
    for text in cut:
        padded = text + [[]] * (most - len(text))
        states = [_hidden(encoder, _ids(tokenizer, [piece], device), clip_skip)[0] for piece in padded]
        rows.append(_weighed(torch.stack(states), empty, padded).flatten(0, 1))
    return torch.stack(rows)


def report(tokenizer: Any, texts: Sequence[str]) -> list[int]:
    """Tokens of each text. Words that the vocabulary does not hold, and texts of several pieces, are logged."""
    counts = []
    for text in dict.fromkeys(texts):
        cut = pieces(tokenizer, text)
        counts.append(sum(map(len, cut)))
        if len(cut) > 1:
            log.info("prompt of %d tokens: encoded in %d pieces, none is dropped", counts[-1], len(cut))
        words = [EMBEDDING.sub("", phrase.text) for phrase in parse_emphasis(text)]
        unknown = dict.fromkeys(word for part in words for word in _unknown(tokenizer, part))
        if unknown:
            log.warning("not in the model's vocabulary, so without effect: %s", " ".join(map(repr, unknown)))
    return counts


def _unknown(tokenizer: Any, text: str) -> list[str]:
    found = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True, verbose=False)
    pairs = zip(found["input_ids"], found["offset_mapping"], strict=True)
    return [text[start:end] for token, (start, end) in pairs if token == tokenizer.unk_token_id and end > start]


def _weighed(hidden: torch.Tensor, empty: torch.Tensor, text: list[list[tuple[int, float]]]) -> torch.Tensor:
    """``(P, L, D)`` with emphasis applied; untouched where every weight is 1."""
    import torch

    weights = torch.ones(hidden.shape[:2], device=hidden.device)
    for row, piece in enumerate(text):
        for place, (_, weight) in enumerate(piece):
            weights[row, place + 1] = weight
    if bool((weights == 1).all()):
        return hidden
    moved = empty.float() + weights[..., None] * (hidden.float() - empty.float())
    return torch.where(weights[..., None] == 1, hidden, moved.to(hidden.dtype))


def _ids(tokenizer: Any, rows: list[list[tuple[int, float]]], device: Any) -> torch.Tensor:
    """Token ids ``(P, L)`` between begin and end mark, padded as the tokenizer pads."""
    import torch

    length, pad = int(tokenizer.model_max_length), tokenizer.pad_token_id
    pad = tokenizer.eos_token_id if pad is None else pad
    ids = [[tokenizer.bos_token_id, *(token for token, _ in row), tokenizer.eos_token_id] for row in rows]
    return torch.tensor([row + [pad] * (length - len(row)) for row in ids], device=device)


def _hidden(encoder: Any, ids: torch.Tensor, clip_skip: int | None) -> torch.Tensor:
    """``(P, L, D)``: the last layer's states, or an earlier layer's behind the final norm."""
    if not clip_skip:
        return encoder(ids)[0]
    states = encoder(ids, output_hidden_states=True).hidden_states[-(clip_skip + 1)]
    return getattr(encoder, "text_model", encoder).final_layer_norm(states)


def encode_sdxl(
    tokenizers: Sequence[Any],
    encoders: Sequence[Any],
    texts: Sequence[str],
    clip_skip: int | None = None,
    device: str = "cpu",
) -> tuple[torch.Tensor, torch.Tensor]:
    """SDXL's two encoders side by side, and the second one's pooled embedding of each text's first piece.

    Returns:
        ``(K, P * L, D1 + D2)`` of the last but one layer (clip_skip: further ones), and ``(K, D)``.
    """
    import torch

    layer = -(2 + (clip_skip or 0))
    every = [[pieces(tokenizer, text) for text in texts] for tokenizer in tokenizers]
    most = max(len(text) for cut in every for text in cut)
    halves, pooled = [], []
    for tokenizer, encoder, cut in zip(tokenizers, encoders, every, strict=True):
        empty = encoder(_ids(tokenizer, [[]], device), output_hidden_states=True).hidden_states[layer][0]
        rows = []
        for text in cut:
            padded = text + [[]] * (most - len(text))
            outputs = [encoder(_ids(tokenizer, [piece], device), output_hidden_states=True) for piece in padded]
            hidden = torch.stack([output.hidden_states[layer][0] for output in outputs])
            rows.append(_weighed(hidden, empty, padded).flatten(0, 1))
            if encoder is encoders[-1]:
                pooled.append(outputs[0].text_embeds[0])
        halves.append(torch.stack(rows))
    return torch.cat(halves, dim=-1), torch.stack(pooled)
