"""Pictures and texts as vectors of networks from the hub: what the metrics built on them share.

The networks' weights could not be fetched where this was written: loading and arithmetic are tested with the same
classes at a tiny size and random weights, the figures are not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any, Literal

from reel.config import Config
from reel.models.source import ModelSource
from reel.op import Context

if TYPE_CHECKING:
    import numpy as np

AT_A_TIME = 16
"""Frames that a network sees at once; fixed, because a sum of floats depends on how many are summed together."""
_LICENSES = {"openai/clip-vit-large-patch14": "MIT", "laion/CLIP-ViT-B-32-laion2B-s34B-b79K": "MIT"}
_CLIP_FILES = ["config.json", "model.safetensors", "preprocessor_config.json", "vocab.json", "merges.txt"]


class ClipNetwork(Config):
    """Which CLIP reads pictures and texts. Figures of different ones are not to be compared."""

    model: Literal["openai/clip-vit-large-patch14", "laion/CLIP-ViT-B-32-laion2B-s34B-b79K"] = (
        "openai/clip-vit-large-patch14"
    )
    """Hub id: OpenAI's ViT-L/14 (428 M parameters) or OpenCLIP's ViT-B/32 (151 M, quicker)."""


def clip_source(cfg: ClipNetwork) -> ModelSource:
    return ModelSource(
        kind="hub",
        id=cfg.model,
        files=_CLIP_FILES,
        license=_LICENSES[cfg.model],
        instead="measure=[...] without clip_text and clip_image; probe_attributes is there for the embedded family",
    )


class ClipReader:
    """CLIP (Radford et al., arXiv 2103.00020) through transformers: unit vectors `(N, D)` float32.

    Raises:
        ModelAbsent: the weights are not on this machine and cannot be fetched.
    """

    def __init__(self, cfg: ClipNetwork, ctx: Context) -> None:
        import torch
        from transformers import CLIPImageProcessorPil, CLIPModel, CLIPTokenizer

        from tasks.preprocess.annotators import device
        from tasks.weights import fetch as weights
        from tasks.weights.files import parameter_bytes
        from tasks.weights.memory import LOADED

        source = clip_source(cfg)
        folder, self.device = weights.path(source), device(ctx)

        def build() -> Any:
            network = CLIPModel.from_pretrained(
                folder, local_files_only=True, use_safetensors=True, dtype=torch.float32
            )
            return network.eval().to(self.device)

        key = f"clip {weights.content_id(source)} {self.device}"
        self.network = LOADED.get(key, parameter_bytes(folder, 4), build)
        self.prepare = CLIPImageProcessorPil.from_pretrained(folder, local_files_only=True)
        self.tokenizer = CLIPTokenizer.from_pretrained(folder, local_files_only=True)

    def pictures(self, frames: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        """One vector `(D,)` for each frame `(H, W, 3)` uint8, in order; the frame's middle square, as CLIP does."""
        import torch

        for part in _parts(frames):
            pixels = self.prepare(part, return_tensors="pt")["pixel_values"]
            with torch.inference_mode():
                found = self.network.get_image_features(pixels.to(self.device)).pooler_output
            yield from unit(found)

    def text(self, text: str) -> tuple[np.ndarray, bool]:
        """The vector `(D,)` of a text, and whether its end was cut off (CLIP reads 77 tokens)."""
        import torch

        limit = self.network.config.text_config.max_position_embeddings
        whole = len(self.tokenizer(text)["input_ids"])
        tokens = self.tokenizer(text, truncation=True, max_length=limit, return_tensors="pt").to(self.device)
        with torch.inference_mode():
            found = self.network.get_text_features(**tokens).pooler_output
        return unit(found)[0], whole > limit


DINO = ModelSource(
    kind="hub",
    id="timm/vit_base_patch16_224.dino",
    files=["config.json", "model.safetensors"],
    license="Apache-2.0",
    instead="measure=[...,palette], which needs no weights",
)
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # ImageNet's, as trained
PATCH = 16


def dino_reader(ctx: Context) -> Callable[[Iterable[np.ndarray]], Iterator[np.ndarray]]:
    """DINO ViT-B/16 (Caron et al., arXiv 2104.14294) through timm; its class token as a unit vector for each frame.

    As in VBench the frame's short side becomes 224 px, nothing is cut off.

    Raises:
        ModelAbsent: the weights are not on this machine and cannot be fetched.
    """
    import timm
    import torch
    from torch.nn.functional import interpolate

    from tasks.preprocess.annotators import device
    from tasks.weights import fetch as weights
    from tasks.weights.files import parameter_bytes
    from tasks.weights.memory import LOADED

    folder, place = weights.path(DINO), device(ctx)

    def build() -> Any:
        network = timm.create_model(f"local-dir:{folder}", pretrained=True, num_classes=0, dynamic_img_size=True)
        return network.eval().to(place)

    network = LOADED.get(f"dino {weights.content_id(DINO)} {place}", parameter_bytes(folder, 4), build)
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (_MEAN, _STD))

    def read(frames: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        for part in _parts(frames):
            pixels = torch.stack([torch.from_numpy(frame).permute(2, 0, 1) for frame in part]).float()
            scale = 224 / min(pixels.shape[-2:])
            size = [max(224, int(side * scale)) for side in pixels.shape[-2:]]
            pixels = interpolate(pixels, size=size, mode="bilinear", align_corners=False, antialias=True)
            height, width = (side - side % PATCH for side in size)  # DINO's own first layer passes over the rest
            pixels = pixels[..., :height, :width]
            with torch.inference_mode():
                yield from unit(network(((pixels / 255 - mean) / std).to(place)))

    return read


def _parts(frames: Iterable[np.ndarray]) -> Iterator[list[np.ndarray]]:
    waiting = iter(frames)
    while part := list(islice(waiting, AT_A_TIME)):
        yield part


def unit(vectors: Any) -> np.ndarray:
    """Torch vectors `(N, D)` as numpy float32 of length 1."""
    from torch.nn.functional import normalize

    return normalize(vectors.float(), dim=-1).cpu().numpy()
