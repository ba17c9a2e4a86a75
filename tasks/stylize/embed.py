"""The op `stylize.embed`: the texts of a render to embeddings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reel.op import Context, op
from reel.work import Work, choices
from tasks.stylize.engine import embed, models, stored
from tasks.stylize.engine.preflight import check_embed
from tasks.stylize.engine.settings import Embed
from tasks.stylize.engine.work import LIBRARIES, ready, with_room, working


@op(
    "stylize",
    "embed",
    version=1,
    config=Embed,
    inputs=(),
    distributions=LIBRARIES,
    models=models.embed_sources,
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
    device = ready(ctx, models.embed_sources(cfg))
    check_embed(cfg)
    both = [text for pair in cfg.texts for text in pair]
    tokenizer = models.text(cfg, device)[0]  # the encoder is held nowhere, so that it can be freed
    ctx.note(prompt_tokens=embed.report(tokenizer, both))

    def attempt(offload: str) -> Any:
        tokenizer, encoder = models.text(cfg, device)
        with working([encoder], device, offload):
            return embed.encode_texts(tokenizer, encoder, both, cfg.clip_skip, device).float().cpu()

    found = with_room(attempt, device, ctx, "compute.device=cpu, or a shorter prompt")
    return stored.put(
        ctx.store,
        "embeddings",
        {"positive": found[0::2], "negative": found[1::2]},
        texts=len(cfg.texts),
        pieces=found.shape[1] // int(tokenizer.model_max_length),
    )
