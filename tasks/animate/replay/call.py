"""The four parts of one stock pipeline call: texts embedded, pictures encoded, denoised, decoded.

Each makes the very same call of the pipeline, by the same arguments and seed. What is not its part is replayed at the
seams (`tasks.animate.replay.seams`), skipped (`journal`), or never reached (`shell.Stop`). So no line of any pipeline
is written anew here, and what comes out is what the stock pipeline gives, to the bit (`docs/adr/`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tasks.animate.replay.journal import Checkpoint, Journal
from tasks.animate.replay.seams import (
    CONNECTORS,
    PICTURE,
    PROMPT,
    VISION,
    Kept,
    Seam,
    SeamMoved,
    blanked,
    prompt,
    recorded,
    replayed,
)
from tasks.animate.replay.segments import Segment
from tasks.animate.replay.shell import Stop

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Stock:
    """A pipeline of diffusers, and which of its parts do what.

    Attributes:
        pipeline: its class.
        init: arguments of its constructor beside the parts.
        denoisers: names of the parts that the loop runs.
        embeddings: how many tensors ``encode_prompt`` gives.
    """

    pipeline: type
    init: Mapping[str, Any] = field(default_factory=dict)
    denoisers: Sequence[str] = ("transformer",)
    embeddings: int = 4

    def made(self, parts: Mapping[str, Any]) -> Any:
        """The pipeline of these parts; those that are not given are None."""
        import inspect

        taken = inspect.signature(self.pipeline.__init__).parameters  # type: ignore[misc]
        absent = {name: None for name in taken if name != "self" and taken[name].default is inspect.Parameter.empty}
        pipe = self.pipeline(**{**absent, **parts, **self.init})
        pipe.set_progress_bar_config(disable=True)
        return pipe


def embed(
    stock: Stock,
    parts: Mapping[str, Any],
    texts: Sequence[tuple[str, str]],
    *,
    guided: bool,
    limit: int,
    device: str,
    seen: tuple[Mapping[str, Any], Mapping[str, Any]] = ({}, {}),
) -> Kept:
    """Texts to embeddings.

    Args:
        parts: tokenizer and text encoder, and connectors where the pipeline has them.
        texts: positive and negative ones.
        guided: whether the negative ones are read.
        limit: tokens of a text.
        seen: further arguments with the positive one and with the negative one: the picture in view.
    """
    import inspect

    import torch

    kept: Kept = {}
    pipe = stock.made(parts)
    taken = inspect.signature(pipe.encode_prompt).parameters
    usual = {"device": torch.device(device), "max_sequence_length": limit, "do_classifier_free_guidance": guided}
    common = {name: value for name, value in usual.items() if name in taken}
    with torch.no_grad(), recorded(pipe, PROMPT, kept):
        for positive, negative in texts:
            if "negative_prompt" not in taken:  # called once for each
                for text, more in list(zip((positive, negative), seen, strict=True))[: 2 if guided else 1]:
                    pipe.encode_prompt(prompt=text, **common, **more)
                continue
            found = pipe.encode_prompt(prompt=positive, negative_prompt=negative if guided else None, **common)
            if CONNECTORS.on(pipe):
                _connected(pipe, found, kept)
    return kept


def _connected(pipe: Any, found: Sequence[Any], kept: Kept) -> None:
    """What the connectors make of embeddings, put together as the call does it: negative before positive."""
    import torch

    embeds, mask, negative, negative_mask = found
    if negative is not None:
        embeds, mask = torch.cat([negative, embeds]), torch.cat([negative_mask, mask])
    with recorded(pipe, CONNECTORS, kept):
        pipe.connectors(embeds, mask, padding_side=pipe.tokenizer_padding_side)


def encode(
    stock: Stock,
    parts: Mapping[str, Any],
    arguments: Mapping[str, Any],
    seed: int = 0,
    segment: Segment | None = None,
) -> Kept:
    """Pictures to the distributions of their latents, and to what picture encoders make of them.

    Args:
        parts: the VAE and the picture encoder, the scheduler, and shells of the denoisers, at which the call stops.
        arguments: of the call; the texts do not matter.
        seed: of the denoising, for pipelines that draw noise over a picture first.
        segment: which one of the film's the call is for, where a pipeline makes several.
    """
    import torch

    kept: Kept = {}
    pipe = stock.made(parts)
    with ExitStack() as stack:
        for seam in (prompt(stock.embeddings), CONNECTORS):
            if seam.on(pipe):
                stack.enter_context(blanked(pipe, seam))
        for seam in (PICTURE, VISION):
            if seam.on(pipe):
                stack.enter_context(recorded(pipe, seam, kept))
        if segment is not None:
            stack.enter_context(segment.alone(pipe, decoding=False))
            stack.enter_context(segment.passed(pipe, stock.denoisers))
        try:
            pipe(**arguments, generator=torch.Generator().manual_seed(seed), output_type="latent")
        except Stop:
            return kept
    raise SeamMoved("denoiser.forward", pipe, "it was never called")


def denoise(
    stock: Stock,
    parts: Mapping[str, Any],
    arguments: Mapping[str, Any],
    journal: Journal,
    kept: Kept,
    device: str,
    segment: Segment | None = None,
) -> list[torch.Tensor]:
    """Everything up to the last step.

    Args:
        parts: the denoisers and the scheduler, and a shell of the VAE.
        kept: embeddings and encoded pictures.
        segment: as in `encode`.

    Returns:
        what the pipeline returns for ``output_type="latent"``: latents, and those of the sound where it makes any; of
        a film in sections that grows the latents of all of it; of a segment what its decoder is handed.
    """
    own = {**arguments, "generator": journal.generator, "output_type": "latent"}
    with _call(stock, parts, journal, kept, device) as pipe, _cut(segment, pipe, decoding=False):
        found = _outputs(pipe(**own)) if segment is None else [segment.denoised(pipe, own)]
        journal.end = journal.state()  # in here: outside PyTorch's generator is as the process had it
    if not journal.calls:
        raise SeamMoved("scheduler.step", pipe, "it was never called")
    return found


def decode(
    stock: Stock,
    parts: Mapping[str, Any],
    arguments: Mapping[str, Any],
    end: Checkpoint,
    kept: Kept,
    seed: int,
    device: str,
    unread: Sequence[Seam] = (),
    segment: Segment | None = None,
) -> list[Any]:
    """What comes after the last step: latents to frames ``(1, F, H, W, 3)`` in 0 to 1, and to sound.

    Args:
        parts: the VAE and what else decodes, the scheduler, and shells of the denoisers.
        end: the journal's state after the last step.
        seed: of the denoising; what it draws before its last step is drawn again.
        unread: what is not computed, since only the other part of the result is wanted.
        segment: as in `encode`; its frames are in it afterwards, too.
    """
    import torch

    journal = Journal(torch.Generator().manual_seed(seed), resumed=end)
    own = {**arguments, "generator": journal.generator, "output_type": "np"}
    with _call(stock, parts, journal, kept, device) as pipe, _cut(segment, pipe, decoding=True), ExitStack() as stack:
        for seam in unread:
            stack.enter_context(blanked(pipe, seam))
        found = _outputs(pipe(**own)) if segment is None else [segment.decoded(pipe, own)]
    if journal.forwards or journal.calls != end.calls:
        raise SeamMoved("scheduler.step", pipe, f"{journal.calls} steps, {end.calls} were recorded")
    return found


@contextmanager
def _call(stock: Stock, parts: Mapping[str, Any], journal: Journal, kept: Kept, device: str) -> Iterator[Any]:
    """The pipeline with every seam replayed and every step watched; PyTorch's common generator is left as it was."""
    import torch

    own = {name: journal.watched(part) if name.endswith("scheduler") else part for name, part in parts.items()}
    pipe = stock.made(own)
    with ExitStack() as stack:
        stack.enter_context(torch.random.fork_rng(devices=[]))
        torch.default_generator.manual_seed(journal.generator.initial_seed())
        for seam in (PROMPT, CONNECTORS, PICTURE, VISION):
            if seam.on(pipe) and (kept.get(seam.name) or seam in (PROMPT, CONNECTORS)):
                stack.enter_context(replayed(pipe, seam, kept, device))
        for name in stock.denoisers:
            stack.enter_context(journal.denoising(parts[name]))
        yield pipe


def _cut(segment: Segment | None, pipe: Any, *, decoding: bool) -> AbstractContextManager[None]:
    """The call cut to a segment, where there are any."""
    return nullcontext() if segment is None else segment.alone(pipe, decoding=decoding)


def _outputs(result: Any) -> list[Any]:
    """What a pipeline returns: frames, and sound where there is any."""
    frames, sound = result.frames, getattr(result, "audio", None)
    if isinstance(frames, list):  # of FramePack: what there was after each section
        frames = frames[-1]
    return [frames] if sound is None else [frames, sound]


def upsample(stock: Stock, parts: Mapping[str, Any], arguments: Mapping[str, Any]) -> torch.Tensor:
    """Latents to larger ones: a call that is one part from beginning to end."""
    return stock.made(parts)(**arguments, output_type="latent").frames
