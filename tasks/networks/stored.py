"""What the ops hand to one another: stored objects of kind ``latents`` and ``embeddings``.

``latents`` before denoising hold the encoder's mean and standard deviation (unscaled), after it the scaled latents.
Both carry the clip's size and times, so that decoding needs nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from reel.clip import Clip
from reel.errors import UserError
from reel.store import Store, Stored

if TYPE_CHECKING:
    import torch

FILE = "tensors.safetensors"
TIMES = ("width", "height", "count", "time_base", "pts", "color")


def put(store: Store, kind: str, tensors: Mapping[str, torch.Tensor], **meta: Any) -> str:
    """Store tensors; returns the object's digest."""
    from safetensors.torch import save

    with store.draft(kind) as draft:
        draft.add(FILE, save({name: tensor.contiguous() for name, tensor in tensors.items()}))
        return draft.commit(**meta)


def take(store: Store, digest: str, kind: str) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """Tensors and meta of a stored object, its bytes checked.

    Raises:
        UserError: it is of another kind.
    """
    from safetensors.torch import load

    stored: Stored = store.get(digest)
    if stored.kind != kind:
        raise UserError(f"object {digest[:12]} is of kind {stored.kind!r}, {kind!r} is needed")
    return load(stored.read(FILE)), stored.meta


def times(clip: Clip) -> dict[str, Any]:
    """A clip's size and times as JSON."""
    return {
        "width": clip.width,
        "height": clip.height,
        "count": len(clip),
        "time_base": str(clip.time_base),
        "pts": clip.pts,
        "color": clip.color,
    }


def shape_of(meta: Mapping[str, Any]) -> dict[str, Any]:
    """What `reel.clip.ClipWriter` wants to know about a clip of these times."""
    return {
        "width": meta["width"],
        "height": meta["height"],
        "time_base": Fraction(meta["time_base"]),
        "color": meta["color"],
    }
