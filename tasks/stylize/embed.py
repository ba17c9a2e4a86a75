"""The op `stylize.embed`: the texts of a render to embeddings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from reel.op import Context, op
from reel.work import Extent, Work
from tasks.networks import stored
from tasks.networks.retry import retry_offloaded
from tasks.networks.work import LIBRARIES, computing, set_up
from tasks.stylize.engine import embed
from tasks.stylize.job.preflight import check_embed
from tasks.stylize.models.sources import embed_sources
from tasks.stylize.models.text import load_text
from tasks.stylize.settings.embed import Embed


def _work(cfg: Embed, given: Mapping[str, Extent], ctx: Context) -> Work:
    """Texts; SDXL's take two encoders, one of them large."""
    apart = {"architecture": cfg.architecture} if cfg.architecture != "sd15" else {}
    return Work({"texts": len(cfg.texts)}, {"dtype": cfg.dtype, **apart})


@op(
    "stylize",
    "embed",
    version=2,
    config=Embed,
    inputs=(),
    distributions=LIBRARIES,
    models=embed_sources,
    gives="embeddings",
    work=_work,
)
def embed_texts(cfg: Embed, inputs: Mapping[str, str], ctx: Context) -> str:
    """Embeddings of all texts, padded alike; words that the vocabulary does not hold are said.

    Returns:
        digest of an object of kind ``embeddings``: ``positive`` and ``negative`` ``(K, T, D)``; for SDXL families
        ``pooled_positive`` and ``pooled_negative`` ``(K, P)``, too.

    Raises:
        UserError: a text that is too long, or files and settings that do not go together.
    """
    device = set_up(ctx, embed_sources(cfg))
    check_embed(cfg)
    both = [text for pair in cfg.texts for text in pair]
    tokenizer = load_text(cfg, device)[0][0]  # the encoders are held nowhere, so that they can be freed
    ctx.note(prompt_tokens=embed.report(tokenizer, both))

    def attempt(offload: str) -> dict[str, Any]:
        tokenizers, encoders = load_text(cfg, device)
        with computing(encoders, device, offload):
            return _encoded(cfg, tokenizers, encoders, both, device)

    found = retry_offloaded(attempt, device, ctx, "compute.device=cpu, or a shorter prompt")
    return stored.put(
        ctx.store,
        "embeddings",
        found,
        texts=len(cfg.texts),
        pieces=found["positive"].shape[1] // int(tokenizer.model_max_length),
    )


def _encoded(
    cfg: Embed, tokenizers: Sequence[Any], encoders: Sequence[Any], both: Sequence[str], device: str
) -> dict[str, Any]:
    """The object's tensors; ``both``: positive and negative texts by turns."""
    if cfg.architecture == "sd15":
        found = embed.encode_texts(tokenizers[0], encoders[0], both, cfg.clip_skip, device).float().cpu()
        return {"positive": found[0::2], "negative": found[1::2]}
    texts, pooled = (one.float().cpu() for one in embed.encode_sdxl(tokenizers, encoders, both, cfg.clip_skip, device))
    # No negative prompt is zeros, not an empty text: diffusers' pipelines take it so (force_zeros_for_empty_prompt).
    none = [index for index, text in enumerate(both) if index % 2 and not text.strip()]
    texts[none], pooled[none] = 0.0, 0.0
    return {
        "positive": texts[0::2],
        "negative": texts[1::2],
        "pooled_positive": pooled[0::2],
        "pooled_negative": pooled[1::2],
    }
