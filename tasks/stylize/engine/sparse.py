"""SparseCtrl: pictures on some frames only, read by a net with motion modules of its own (arXiv:2311.16933).

The net sees no latents, only the pictures and which frames have one; its motion modules carry them to the frames
between. They run in the same windows as the UNet's: a window without any picture is told that there is none.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tasks.stylize.engine.controls import add_scaled
from tasks.stylize.engine.walk import Pass, Walk, per_picture

if TYPE_CHECKING:
    import torch

    from tasks.stylize.engine.network import Extra


@dataclass(frozen=True)
class SparseTrack:
    """One SparseCtrl over the clip.

    Attributes:
        net: a SparseControlNetModel.
        pictures: ``(P, C, H, W)``: pixels 0..1, or scaled latents for a net of the simplified embedding.
        at: (P,) the frame that each stands on.
        strength: (F,) factor of the residuals for each frame of the clip.
    """

    name: str
    net: Any
    pictures: torch.Tensor
    at: Sequence[int]
    strength: np.ndarray

    def condition(self, frames: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
        """The pictures of frames by number ``(N, C, H, W)``, zero where there is none, and which have one
        ``(N, 1, H, W)``.
        """
        place = {int(frame): index for index, frame in enumerate(self.at)}
        _, _, height, width = self.pictures.shape
        pictures = self.pictures.new_zeros(len(frames), *self.pictures.shape[1:])
        known = self.pictures.new_zeros(len(frames), 1, height, width)
        for index, frame in enumerate(frames.tolist()):
            if frame in place:
                pictures[index], known[index] = self.pictures[place[frame]], 1
        return pictures, known

    def residuals(
        self, sample: torch.Tensor, made: Pass, frames: np.ndarray
    ) -> Callable[[list[torch.Tensor], torch.Tensor], torch.Tensor] | None:
        """What adds the net's residuals to a pass; None where it counts for none of its frames.

        Args:
            sample: ``(S, F, C, h, w)``; its shape alone counts.
            frames: (F,) int, the clip's numbers of the frames of the pass.
        """
        import torch

        if not self.strength[frames].any():
            return None
        factor = torch.as_tensor(self.strength[frames], dtype=sample.dtype, device=sample.device)
        return sparse_residuals(self.net, sample, made, lambda block: self.condition(frames[block]), factor, self.name)


def all_residuals(tracks: Sequence[SparseTrack]) -> Extra | None:
    """What `Network.extra` asks for the residuals of all SparseCtrls; None: there are none."""

    def extra(sample: torch.Tensor, made: Pass, frames: np.ndarray, step: int, steps: int) -> Any:
        found = [one.residuals(sample, made, frames) for one in tracks]
        live = [add for add in found if add is not None]

        def every(skips: list[torch.Tensor], middle: torch.Tensor) -> torch.Tensor:
            for add in live:
                middle = add(skips, middle)
            return middle

        return every if live else None

    return extra if tracks else None


def strengths(at: Sequence[int], strength: Sequence[float], count: int, *, closed: bool = False) -> np.ndarray:
    """(F,) strength of each frame: a picture's own on its frame, and between two pictures on a line from one to the
    other; of a closed loop also from the last to the first.

    Args:
        at: ascending.
    """
    return shares(at, count, closed=closed) @ np.asarray(strength, np.float64)


def shares(at: Sequence[int], count: int, *, closed: bool) -> np.ndarray:
    """(F, P) share of each picture in a frame: 1 on its own frame, falling along a line to 0 on the next one's.

    Args:
        at: frame of each picture, ascending.
        closed: after the last picture comes the first again; else the first and the last hold to the clip's ends.
    """
    places, frames = np.asarray(at, np.float64), np.arange(count, dtype=np.float64)
    if closed:
        places, frames = np.append(places, at[0] + count), (frames - at[0]) % count + at[0]
    own = np.stack([np.interp(frames, places, row) for row in np.eye(len(places))], axis=1)
    if closed:
        own[:, 0] += own[:, -1]
    return own[:, : len(at)]


Condition = Callable[[slice], "tuple[torch.Tensor, torch.Tensor]"]
"""Pictures and which frames have one, of a block of the pass's frames."""


def sparse_residuals(
    net: Any, sample: torch.Tensor, made: Pass, condition: Condition, factor: torch.Tensor, name: str = "sparse"
) -> Callable[[list[torch.Tensor], torch.Tensor], torch.Tensor]:
    """Residuals of a SparseControlNetModel, its motion modules in the pass's windows.

    Args:
        factor: (F,) of the residuals, by frame.
    """
    import torch

    kind = f"controlnet:{name}"

    def add(skips: list[torch.Tensor], middle: torch.Tensor) -> torch.Tensor:
        walk = Walk(net, sample, made)

        def enter(part: torch.Tensor, block: slice) -> torch.Tensor:
            picture, known = condition(block)
            if net.config.controlnet_conditioning_channel_order == "bgr":
                picture = picture.flip(1)
            told = torch.cat([picture, known], dim=1) if net.concat_conditioning_mask else picture
            # the net sees no latents: zeros of their shape, as it was trained
            hint = net.controlnet_cond_embedding(told.to(sample.dtype))
            return net.conv_in(torch.zeros_like(part)) + hint.repeat(walk.branches, 1, 1, 1)

        states, inner = walk.down(walk.spatial(kind, enter, sample))
        inner.append(walk.middle(states))
        heads = [*net.controlnet_down_blocks, net.controlnet_mid_block]
        index = torch.arange(walk.frames, device=sample.device)
        for head, state, target in zip(heads, inner, [*skips, middle], strict=True):
            add_scaled(walk.spatial(kind, per_picture(head), state), target, index, factor, None, 1.0)
        return middle

    return add
