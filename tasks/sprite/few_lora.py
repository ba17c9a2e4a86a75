"""The few-step LoRA on the weights themselves.

An exported family has it inside its UNet and motion adapter, so that a render pays nothing for it; it lies beside them
as well, so that it can be taken off again: with weight -1 as a LoRA of a render, or here.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor, nn

FOLDER = "few_lora"
"""Part of the family once stage `few` is done."""
FILE = "pytorch_lora_weights.safetensors"
CHANGED = ("unet", "motion_adapter")
"""Parts that it changes."""


class Lora:
    """A LoRA's matrices, `<layer>.lora_A.weight` and `<layer>.lora_B.weight`; its scale is 1."""

    def __init__(self, matrices: Mapping[str, Tensor]) -> None:
        self.matrices = {name: matrix.detach().half().cpu().contiguous() for name, matrix in matrices.items()}

    @classmethod
    def load(cls, family: Path) -> Lora:
        """That of an exported family."""
        from safetensors.torch import load_file

        matrices = load_file(family / FOLDER / FILE)
        return cls({name.removeprefix("unet."): matrix for name, matrix in matrices.items()})

    def save_pretrained(self, folder: Path) -> None:
        """fp16, in the file that pipelines look for."""
        from safetensors.torch import save_file

        folder.mkdir(parents=True, exist_ok=True)
        state = {f"unet.{name}": matrix for name, matrix in self.matrices.items()}
        save_file(state, folder / FILE, metadata={"format": "pt"})

    def add_to(self, net: nn.Module, times: float) -> None:
        """Change the weights of the layers that a network has of it; `times` -1 takes it off."""
        import torch

        weights = dict(net.named_parameters())
        with torch.no_grad():
            for name, first in self.matrices.items():
                layer, found, _ = name.partition(".lora_A.")
                if found and f"{layer}.weight" in weights:
                    weight, second = weights[f"{layer}.weight"], self.matrices[f"{layer}.lora_B.weight"]
                    product = second.flatten(1).float() @ first.flatten(1).float()
                    weight += times * product.view_as(weight).to(weight)
