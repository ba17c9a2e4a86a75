"""The op `stylize.embed`: the texts of a render to embeddings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reel.op import Context, op
from reel.work import Work, choices
from tasks.networks import stored
from tasks.networks.retry import retry_offloaded
from tasks.networks.work import LIBRARIES, computing, set_up
from tasks.stylize.engine import embed
from tasks.stylize.job.preflight import check_embed
from tasks.stylize.models.sources import embed_sources
from tasks.stylize.models.text import load_text
from tasks.stylize.settings.embed import Embed


@op(
    "stylize",
    "embed",
    version=2,
    config=Embed,
    inputs=(),
    distributions=LIBRARIES,
    models=embed_sources,
    gives="embeddings",
    work=lambda cfg, given, ctx: Work({"texts": len(cfg.texts)}, choices(cfg)),
)
def embed_texts(cfg: Embed, inputs: Mapping[str, str], ctx: Context) -> str:
    """Embeddings of all texts, padded alike; words that the vocabulary does not hold are said.

    Returns:
        digest of an object of kind ``embeddings``: ``positive`` and ``negative`` ``(K, T, D)``.

    Raises:
        UserError: a text that is too long, or files and settings that do not go together.
    """
    device = set_up(ctx, embed_sources(cfg))
    check_embed(cfg)
    both = [text for pair in cfg.texts for text in pair]
    tokenizer = load_text(cfg, device)[0]  # the encoder is held nowhere, so that it can be freed
    ctx.note(prompt_tokens=embed.report(tokenizer, both))

    def attempt(offload: str) -> Any:
        tokenizer, encoder = load_text(cfg, device)
        with computing([encoder], device, offload):
            return embed.encode_texts(tokenizer, encoder, both, cfg.clip_skip, device).float().cpu()

    found = retry_offloaded(attempt, device, ctx, "compute.device=cpu, or a shorter prompt")
    return stored.put(
        ctx.store,
        "embeddings",
        {"positive": found[0::2], "negative": found[1::2]},
        texts=len(cfg.texts),
        pieces=found.shape[1] // int(tokenizer.model_max_length),
    )
