"""Where a stock pipeline's call is cut into ops: the methods whose results are kept by one op and replayed by another.

A seam is a method that every pipeline of diffusers calls by the same name. What it gives is kept under a digest of what
it was given, so that an op that replays it notices when a pipeline asks for something else: `SeamMoved`.
"""

from __future__ import annotations

import contextlib
import hashlib
import inspect
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

Values = list["torch.Tensor | None"]
Kept = dict[str, dict[str, Values]]
"""Results by seam and by digest of the arguments."""


class SeamMoved(RuntimeError):
    """A pipeline does not do its work where it is cut: diffusers has changed. The parity tests show where."""

    def __init__(self, seam: str, pipe: Any, what: str) -> None:
        import diffusers

        super().__init__(
            f"{type(pipe).__name__} of diffusers {diffusers.__version__}, seam {seam}: {what}. Install the diffusers "
            "release that this version of Rotoscope names, or report it: a parity test of this animator is missing"
        )


@dataclass(frozen=True)
class Seam:
    """One method of a pipeline or of one of its parts.

    Attributes:
        name: ``part.method``, or ``method`` of the pipeline itself.
        key: digest of its arguments.
        keep: what it returned, as tensors (of a distribution its parameters: it is drawn from anew, by the seed).
        give: the inverse of ``keep``; tensors where the call computes.
        blank: the result for a call that only has to get past it; None: there is no such call.
    """

    name: str
    key: Callable[..., str]
    keep: Callable[[Any], Values]
    give: Callable[[Values], Any]
    blank: Callable[[], tuple[Any, ...]] | None = None

    def owner(self, pipe: Any) -> tuple[Any, str]:
        part, _, method = self.name.rpartition(".")
        return (getattr(pipe, part) if part else pipe), method

    def on(self, pipe: Any) -> bool:
        """Whether a pipeline has it."""
        part, _, method = self.name.rpartition(".")
        return getattr(pipe, part, None) is not None if part else hasattr(pipe, method)


@contextlib.contextmanager
def recorded(pipe: Any, seam: Seam, kept: Kept) -> Iterator[None]:
    """The seam does its work inside the block, and what it gives goes into ``kept``."""
    owner, method = seam.owner(pipe)
    real, found = getattr(owner, method), kept.setdefault(seam.name, {})

    def record(*args: Any, **kwargs: Any) -> Any:
        result = real(*args, **kwargs)
        values = seam.keep(result)
        found[seam.key(*args, **kwargs)] = [None if one is None else one.detach().cpu().clone() for one in values]
        return result

    with replaced(owner, method, record):
        yield


@contextlib.contextmanager
def replayed(pipe: Any, seam: Seam, kept: Kept, device: str) -> Iterator[None]:
    """The seam gives inside the block what it gave before.

    Raises:
        SeamMoved: for arguments that were never recorded, and when nothing asked for what was.
    """
    owner, method = seam.owner(pipe)
    found, asked = kept.get(seam.name, {}), set()

    def replay(*args: Any, **kwargs: Any) -> Any:
        key = seam.key(*args, **kwargs)
        if key not in found:
            raise SeamMoved(seam.name, pipe, "it was asked for something that was not recorded")
        asked.add(key)
        return seam.give([None if one is None else one.to(device, copy=True) for one in found[key]])

    with replaced(owner, method, replay):
        yield
    if found and not asked:
        raise SeamMoved(seam.name, pipe, "it was never called")


@contextlib.contextmanager
def blanked(pipe: Any, seam: Seam) -> Iterator[None]:
    """The seam gives something empty inside the block, in the VAE's number format, which some pipelines take over."""
    owner, method = seam.owner(pipe)
    blank, dtype = seam.blank, pipe.vae.dtype
    assert blank is not None
    with replaced(owner, method, lambda *args, **kwargs: tuple(one.to(dtype) for one in blank())):
        yield


@contextlib.contextmanager
def replaced(owner: Any, name: str, function: Callable[..., Any]) -> Iterator[None]:
    """An object's method is another inside the block; models that stay loaded are left as they were."""
    own = vars(owner)
    before = own.get(name)
    setattr(owner, name, function)
    try:
        yield
    finally:
        if before is None:
            own.pop(name, None)
        else:
            setattr(owner, name, before)


def digest_of(*values: Any) -> str:
    """sha256 of tensors and JSON values, shapes and number formats included."""
    import torch

    total = hashlib.sha256()
    for value in values:
        if isinstance(value, torch.Tensor):
            plain = value.detach().cpu().contiguous()
            total.update(f"{plain.dtype} {tuple(plain.shape)}\n".encode())
            total.update(plain.flatten().view(torch.uint8).numpy().tobytes())
        else:
            total.update(f"{json.dumps(value, sort_keys=True)}\n".encode())
    return total.hexdigest()


def text_key(
    prompt: Any = None, negative_prompt: Any = None, do_classifier_free_guidance: bool = True, image: Any = None
) -> str:
    """Key of a pair of texts: a text alone and in a list are the same, and none is an empty one.

    Args:
        image: the picture that they are embedded with, if any.
    """
    texts = [one[0] if isinstance(one, list) and len(one) == 1 else one for one in (prompt, negative_prompt)]
    negative = (texts[1] or "") if do_classifier_free_guidance else None
    return digest_of(texts[0], negative, bool(do_classifier_free_guidance), *_pixels(image))


def _pixels(image: Any) -> list[torch.Tensor]:
    import numpy as np
    import torch

    return [] if image is None else [torch.from_numpy(np.array(image))]


def _prompt_key(*args: Any, **kwargs: Any) -> str:
    names = inspect.signature(text_key).parameters
    return text_key(*args[:3], **{name: value for name, value in kwargs.items() if name in names})


def _distribution(values: Values) -> Any:
    from diffusers.models.autoencoders.vae import DiagonalGaussianDistribution
    from diffusers.models.modeling_outputs import AutoencoderKLOutput

    (parameters,) = values
    return AutoencoderKLOutput(latent_dist=DiagonalGaussianDistribution(parameters))


def _empty(count: int) -> tuple[Any, ...]:
    import torch

    return tuple(torch.zeros(1, 1, 1) for _ in range(count))


def _vision(out: Any) -> Values:
    """Of what a picture encoder gives the three that pipelines take: the last layer's, the one before, the projection.

    Raises:
        AttributeError: an output of another kind.
    """
    layers = getattr(out, "hidden_states", None)
    return [out.last_hidden_state, layers[-2] if layers else None, getattr(out, "image_embeds", None)]


def _seen(values: Values) -> Any:
    last, before, embeds = values
    return SimpleNamespace(last_hidden_state=last, hidden_states=(before, last), image_embeds=embeds)


def prompt(count: int) -> Seam:
    """The seam of texts to embeddings, the text encoder's work, for a pipeline that makes so many tensors of them."""
    return Seam("encode_prompt", _prompt_key, list, tuple, lambda: _empty(count))


PROMPT = prompt(4)
PICTURE = Seam(
    "vae.encode", lambda x, *args, **kwargs: digest_of(x), lambda out: [out.latent_dist.parameters], _distribution
)
"""A picture or clip ``(1, 3, F, H, W)`` to the distribution of its latents: the VAE's work before denoising."""
VISION = Seam("image_encoder.forward", lambda pixel_values, **kwargs: digest_of(pixel_values), _vision, _seen)
"""A picture to what a picture encoder (CLIP, SigLIP) makes of it."""
CONNECTORS = Seam(
    "connectors.forward", lambda embeds, mask, *args, **kwargs: digest_of(embeds, mask), list, tuple, lambda: _empty(3)
)
"""Embeddings to the two sequences that LTX-2 reads for picture and sound."""


def _unread(name: str, *shape: int) -> Seam:
    """A seam whose result an op has no use for: it is neither computed nor kept."""
    import functools

    def blank() -> Any:
        import torch

        return (torch.zeros(shape),)

    return Seam(name, functools.partial(digest_of), list, tuple, blank)


PIXELS = _unread("vae.decode", 1, 3, 1, 8, 8)
"""Latents to frames, in a call that is made for its sound."""
SPECTRUM = _unread("audio_vae.decode", 1, 1, 1, 1)
"""Latents of sound to its spectrum, in a call that is made for its frames."""
VOICE = _unread("vocoder.forward", 1, 1, 1)
"""The spectrum to sound, likewise."""
