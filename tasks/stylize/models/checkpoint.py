"""A base that is one checkpoint file, as Civitai's are."""

from __future__ import annotations

from typing import Any

from reel.models.source import ModelSource
from tasks.networks.files import not_a_model, safetensors_file
from tasks.weights import fetch as weights


def checkpoint(base: ModelSource, base_config: ModelSource | None, dtype: str) -> dict[str, Any]:
    """Parts of a base that is one checkpoint file (Civitai's layout); settings and tokenizer from ``base_config``.

    Raises:
        UserError: it is not a checkpoint of SD 1.5's architecture.
    """
    import torch
    from diffusers import StableDiffusionPipeline

    assert base_config is not None
    file, settings = safetensors_file(base), weights.path(base_config)
    try:
        pipe = StableDiffusionPipeline.from_single_file(
            str(file),
            config=str(settings),
            torch_dtype=getattr(torch, dtype),
            local_files_only=True,
            safety_checker=None,
        )
    except (ValueError, KeyError, RuntimeError, OSError) as error:
        raise not_a_model(base, "a checkpoint of this family's architecture", error) from None
    return dict(pipe.components)
