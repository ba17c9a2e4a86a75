"""Prompts to embeddings: emphasis, texts of any length, all padded alike.

A text is cut into pieces that fit the encoder (75 tokens for CLIP), each is encoded by itself between begin and end
marks, and the embeddings are laid end to end. All texts of a render get the same number of pieces, so that they can be
mixed and batched.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from reel.errors import UserError

if TYPE_CHECKING:
    import torch

STRONGER, WEAKER = 1.1, 1 / 1.1
"""What ``(text)`` and ``[text]`` multiply the weight by, as in the AUTOMATIC1111 web UI."""
MOST_PIECES = 16
"""Pieces of a text at most (1,200 tokens with CLIP)."""

_TOKEN = re.compile(r"\\([()\[\]\\])|([(\[])|:\s*([+-]?(?:\d+\.?\d*|\.\d+))\s*\)|([)\]])|([^\\()\[\]:]+|\\|:)")


@dataclass(frozen=True)
class Phrase:
    """A stretch of a prompt with its weight; 1 as it is."""

    text: str
    weight: float


def parse_emphasis(text: str) -> list[Phrase]:
    r"""Split a prompt at its emphasis: ``(text:1.3)``, ``(text)`` = 1.1, ``[text]`` = 1/1.1, nested; ``\(`` is text.

    >>> parse_emphasis("a (red:1.5) coat")
    [Phrase(text='a ', weight=1.0), Phrase(text='red', weight=1.5), Phrase(text=' coat', weight=1.0)]

    Raises:
        UserError: a bracket without its partner, with its place.
    """
    parts: list[list[Any]] = []
    opened: list[tuple[str, int, int]] = []  # bracket, place in the text, first part inside
    for match in _TOKEN.finditer(text):
        escaped, opening, weight, closing, plain = match.groups()
        if opening:
            opened.append((opening, match.start(), len(parts)))
        elif weight is not None and opened and opened[-1][0] == "(":
            _multiply(parts, opened.pop()[2], float(weight))
        elif closing or weight is not None:
            bracket = closing or ")"
            if not opened or {"(": ")", "[": "]"}[opened[-1][0]] != bracket:
                raise _unpaired(text, match.end() - 1, bracket)
            _multiply(parts, opened.pop()[2], STRONGER if bracket == ")" else WEAKER)
        else:
            parts.append([escaped or plain, 1.0])
    if opened:
        raise _unpaired(text, opened[-1][1], opened[-1][0])
    return _joined(parts)


def pieces(tokenizer: Any, text: str) -> list[list[tuple[int, float]]]:
    """Tokens with weights, cut into pieces that fit the encoder between its marks.

    A phrase is not torn between pieces within a word's tokens only by chance: the cut falls after the last comma of
    the piece's last fifth, when there is one.

    Raises:
        UserError: more than `MOST_PIECES` pieces.
    """
    size = int(tokenizer.model_max_length) - 2
    tokens = [
        (token, phrase.weight)
        for phrase in parse_emphasis(text)
        for token in tokenizer(phrase.text, add_special_tokens=False, verbose=False)["input_ids"]
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
        raise UserError(f"a prompt of {len(found)} x {size} tokens; {MOST_PIECES} x {size} are the most")
    return found or [[]]


def encode_texts(tokenizer: Any, encoder: Any, texts: Sequence[str], clip_skip: int | None = None) -> torch.Tensor:
    """Embeddings of texts, all padded to the same number of pieces.

    Emphasis moves a token's embedding away from (or towards) the one that an empty prompt has in its place:
    ``empty + weight * (token - empty)``. Texts without emphasis keep the encoder's very numbers.

    Args:
        clip_skip: layers left out at the encoder's end (None or 0: none).

    Returns:
        ``(K, P * L, D)`` in the encoder's type: K texts, P pieces of L tokens.
    """
    import torch

    cut = [pieces(tokenizer, text) for text in texts]
    most = max(len(piece) for piece in cut)
    empty = _hidden(encoder, _ids(tokenizer, [[]], encoder.device), clip_skip)[0]
    rows = []
    for text in cut:
        padded = text + [[]] * (most - len(text))
        states = [_hidden(encoder, _ids(tokenizer, [piece], encoder.device), clip_skip)[0] for piece in padded]
        rows.append(_weighed(torch.stack(states), empty, padded).flatten(0, 1))
    return torch.stack(rows)


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
    tokenizers: Sequence[Any], encoders: Sequence[Any], texts: Sequence[str], clip_skip: int | None = None
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
        empty = encoder(_ids(tokenizer, [[]], encoder.device), output_hidden_states=True).hidden_states[layer][0]
        rows = []
        for text in cut:
            padded = text + [[]] * (most - len(text))
            outputs = [encoder(_ids(tokenizer, [piece], encoder.device), output_hidden_states=True) for piece in padded]
            hidden = torch.stack([output.hidden_states[layer][0] for output in outputs])
            rows.append(_weighed(hidden, empty, padded).flatten(0, 1))
            if encoder is encoders[-1]:
                pooled.append(outputs[0].text_embeds[0])
        halves.append(torch.stack(rows))
    return torch.cat(halves, dim=-1), torch.stack(pooled)


def _multiply(parts: list[list[Any]], first: int, factor: float) -> None:
    for part in parts[first:]:
        part[1] *= factor


def _joined(parts: list[list[Any]]) -> list[Phrase]:
    """Neighbours of equal weight as one phrase."""
    joined: list[Phrase] = []
    for text, weight in parts:
        if joined and joined[-1].weight == weight:
            joined[-1] = Phrase(joined[-1].text + text, weight)
        else:
            joined.append(Phrase(text, weight))
    return joined


def _unpaired(text: str, at: int, bracket: str) -> UserError:
    start = max(0, at - 30)
    return UserError(
        f"prompt: {bracket!r} at character {at + 1} has no partner: ...{text[start : at + 10]}...",
        fix=f"close it, or write \\{bracket} for a bracket that is just text",
    )
