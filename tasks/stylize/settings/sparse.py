"""Settings of one SparseCtrl in use: which frames have a picture, and how firmly each frame is held to them."""

from __future__ import annotations

import itertools
from collections.abc import Mapping

from pydantic import model_validator

from reel.config import Config, Field, suggest
from reel.errors import UserError
from reel.models.animatediff import AnimateDiff
from tasks.stylize.settings.controls import PerFrame


class Sparse(Config):
    """One SparseCtrl (arXiv:2311.16933), as the op `denoise` takes it; its pictures are the op's input
    `sparse_<name>`."""

    kind: str
    """Which of the family's SparseCtrls reads the pictures: rgb, scribble."""
    at: list[int] = Field(min_length=1)
    """The frame that each picture stands on, ascending."""
    strength: PerFrame
    """Factor of what it adds, for each frame of the clip."""

    @model_validator(mode="after")
    def _on_frames(self) -> Sparse:
        if self.at[0] < 0 or any(b <= a for a, b in itertools.pairwise(self.at)):
            raise ValueError(f"at: frames from 0 on, ascending, got {self.at}")
        if not any(self.strength or ()):
            raise ValueError("strength: one value for each frame is needed, and one of them above 0")
        return self


def check_sparse(sparse: Mapping[str, Sparse], model: AnimateDiff) -> None:
    """Raises: UserError when the family has no SparseCtrl of a kind in use."""
    for name, one in sparse.items():
        if one.kind not in model.sparsectrls:
            raise no_sparsectrl(f"sparse.{name}.kind", one.kind, model)


def no_sparsectrl(key: str, kind: str, model: AnimateDiff) -> UserError:
    """The error for a family without a SparseCtrl of a kind."""
    known = sorted(model.sparsectrls)
    other = [f"{key}={known[0]}"] if known else []
    return UserError(
        f"{key}: model {model.name} has no SparseCtrl {kind!r}{suggest(kind, model.sparsectrls)}; "
        f"it has: {', '.join(known) or 'none'}",
        fix=", or ".join([*other, "model=sd15 or another family that has one (rotoscope models NAME)"]),
    )
