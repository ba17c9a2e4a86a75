"""The facts of a render that its film carries in its metadata."""

from __future__ import annotations

from tasks.assemble import Assemble


def with_facts(cfg: Assemble, wanted: bool, *, prompt: str, seed: int, model: str) -> Assemble:
    """The last stage's settings with prompt, seed and model in the metadata if ``wanted``; the user's own stand."""
    facts = {"prompt": prompt, "seed": str(seed), "model": model} if wanted else {}
    return cfg.model_copy(update={"metadata": {**facts, **cfg.metadata}})
