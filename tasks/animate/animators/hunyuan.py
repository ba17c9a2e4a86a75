"""HunyuanVideo image-to-video (arXiv:2412.03603): a first picture, which its text encoder looks at, too."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tasks.animate.recipe import READ, Grid, Recipe, Shown, pictures, usual

if TYPE_CHECKING:
    from tasks.animate.settings import Denoise


def arguments(cfg: Denoise, shown: Sequence[Shown]) -> dict[str, Any]:
    """Of `HunyuanVideoImageToVideoPipeline.__call__`.

    Its ``guidance_scale`` is an input of the network, so `model.call` has it; what guides by a negative prompt it calls
    ``true_cfg_scale``.
    """
    return {"image": pictures(shown)[0], **usual(cfg), "true_cfg_scale": cfg.guidance_scale, **cfg.call}


def embedding(call: Mapping[str, Any], shown: Sequence[Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The picture for the positive text, and a black one for the negative, as the pipeline has it.

    Args:
        call: ``image_embed_interleave`` is how many of the picture's tokens one is taken of.
        shown: PIL images.
    """
    from PIL import Image

    black = Image.new("RGB", shown[0].size, 0)
    return {"image": shown[0], "image_embed_interleave": call["image_embed_interleave"]}, {"image": black}


RECIPE = Recipe(
    name="hunyuan",
    pipeline="diffusers:HunyuanVideoImageToVideoPipeline",
    classes={
        "transformer": "diffusers:HunyuanVideoTransformer3DModel",
        "vae": "diffusers:AutoencoderKLHunyuanVideo",
        "text_encoder": "transformers:LlavaForConditionalGeneration",
        "tokenizer": "transformers:AutoTokenizer",
        "text_encoder_2": "transformers:CLIPTextModel",
        "tokenizer_2": "transformers:AutoTokenizer",
        "image_processor": "transformers:CLIPImageProcessor",
    },
    arguments=arguments,
    text=("tokenizer", "text_encoder", "tokenizer_2", "text_encoder_2", "image_processor"),
    embedding=embedding,
    embeddings=3,
    processors=("image_processor",),
    codecs=(),
    grid=Grid(4, 8, (1, 2), "cfhw"),
    guided_apart=True,
    tile=256,
    call=frozenset({"guidance_scale", "image_embed_interleave"}),
    reads=READ & {"encode_tiling", "decode_tiling", "decode_framewise"},
)
