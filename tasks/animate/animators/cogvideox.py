"""CogVideoX and CogVideoX 1.5 image-to-video (arXiv:2408.06072): a first picture and long words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tasks.animate.recipe import READ, Grid, Recipe, Shown, pictures, usual

if TYPE_CHECKING:
    from tasks.animate.settings import Denoise


def arguments(cfg: Denoise, shown: Sequence[Shown]) -> dict[str, Any]:
    """Of `CogVideoXImageToVideoPipeline.__call__`."""
    return {"image": pictures(shown)[0], **usual(cfg), **cfg.call}


RECIPE = Recipe(
    name="cogvideox",
    pipeline="diffusers:CogVideoXImageToVideoPipeline",
    classes={
        "transformer": "diffusers:CogVideoXTransformer3DModel",
        "vae": "diffusers:AutoencoderKLCogVideoX",
        "text_encoder": "transformers:T5EncoderModel",
        "tokenizer": "transformers:T5Tokenizer",
    },
    arguments=arguments,
    embeddings=2,
    codecs=(),
    schedulers={name: f"diffusers:{name}" for name in ("CogVideoXDDIMScheduler", "CogVideoXDPMScheduler")},
    grid=Grid(4, 8, (1, 2), "fchw"),
    frames_decoded=8,
    tile=360,
    call=frozenset({"use_dynamic_cfg", "eta"}),
    reads=READ & {"encode_tiling", "decode_tiling"},
)
