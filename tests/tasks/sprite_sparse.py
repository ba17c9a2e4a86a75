"""A SparseCtrl of the embedded family's shape with random weights, for tests of what reads one."""

from __future__ import annotations

from pathlib import Path

from benchmarks.runs import ROOT

SETTING = "model.sparsectrls={rgb: {kind: embedded, id: random_sparsectrl}}"
"""What makes `model=sprite` use it."""


def write(models: Path) -> Path:
    """Folder of embedded families with `sprite` and the SparseCtrl in it."""
    models.mkdir(parents=True, exist_ok=True)
    (models / "sprite").symlink_to(ROOT / "data" / "models" / "sprite")
    save(models / "random_sparsectrl")
    return models


def save(folder: Path) -> None:
    """The SparseCtrl alone."""
    import torch

    from tasks.sprite.networks import build_sparsectrl

    torch.manual_seed(0)
    net = build_sparsectrl()
    with torch.no_grad():
        for name, parameter in net.named_parameters():
            if "controlnet" in name and not parameter.any():
                parameter.normal_(0, 0.05)  # fresh ones end in zeros, and nothing they see would change a picture
    net.half().save_pretrained(folder)
