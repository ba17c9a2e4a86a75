"""The op `animate.embed`: the texts of a film to embeddings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reel.clip import Clip
from reel.errors import UserError
from reel.op import Context, op
from reel.work import Work, choices
from tasks.animate import parts
from tasks.animate.replay import call
from tasks.animate.settings import Embed
from tasks.animate.stored import put_kept
from tasks.networks.offload import placed
from tasks.networks.quiet import quiet
from tasks.networks.retry import retry_offloaded
from tasks.networks.work import LIBRARIES, set_up


@op(
    "animate",
    "embed",
    version=1,
    config=Embed,
    inputs=("frames_*",),
    distributions=(*LIBRARIES, "ftfy"),
    models=parts.sources,
    gives="embeddings",
    work=lambda cfg, given, ctx: Work({"texts": len(cfg.texts)}, choices(cfg)),
)
def embed(cfg: Embed, inputs: Mapping[str, str], ctx: Context) -> str:
    """Embeddings of all texts. The text encoder is let go afterwards: it can be as large as all the rest.

    Inputs: ``frames_<n>`` of every picture where they are looked at with the text.

    Returns:
        digest of an object of kind ``embeddings``.

    Raises:
        UserError: a text of more tokens than the model reads.
    """
    device = set_up(ctx, parts.sources(cfg))
    recipe = parts.recipe_of(cfg)
    _check_length(cfg, ctx)
    seen: Any = ({}, {})
    if recipe.embedding is not None:
        names = sorted(name for name in inputs if name.startswith("frames_"))
        seen = recipe.embedding(cfg.seen or {}, [_picture(ctx, inputs[name]) for name in names])

    def attempt(offload: str) -> call.Kept:
        texts = {name: parts.built(cfg, name) for name in recipe.text}
        networks = [part for part in texts.values() if hasattr(part, "parameters")]
        found = {**texts, **parts.shells(cfg, recipe.beside_text, device)}
        with placed(networks, device, offload), quiet():
            return call.embed(
                parts.stock_of(recipe),
                found,
                cfg.texts,
                guided=cfg.guided,
                limit=cfg.max_tokens,
                device=device,
                seen=seen,
            )

    kept = retry_offloaded(attempt, device, ctx, "compute.device=cpu, or compute.offload=sequential")
    return put_kept(ctx.store, "embeddings", kept, texts=[list(pair) for pair in cfg.texts])


def _picture(ctx: Context, digest: str) -> Any:
    from PIL import Image

    return Image.fromarray(Clip.open(ctx.store, digest).frame(0))


def _check_length(cfg: Embed, ctx: Context) -> None:
    """Texts in tokens, before the encoder is loaded: pipelines cut off what is longer, with a line in their log."""
    tokenizer = parts.built(cfg, "tokenizer")
    counts = [[len(tokenizer(text).input_ids) for text in pair] for pair in cfg.texts]
    ctx.note(prompt_tokens=counts)
    for pair, count in zip(cfg.texts, counts, strict=True):
        for key, text, tokens in zip(("prompt", "negative_prompt"), pair, count, strict=True):
            if tokens > cfg.max_tokens:
                words = len(text.split())
                raise UserError(
                    f"{key}: {tokens} tokens, {cfg.max_tokens} are the most that the model reads ({words} words): "
                    f"{text[:80]!r}",
                    fix="say it in fewer words",
                )
