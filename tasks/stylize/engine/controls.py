"""ControlNets with a weight for every frame, step, layer and place (ControlNet: arXiv:2302.05543).

A control's residuals are multiplied by ``weight[frame] * keyframes(progress) * layer_weights[layer] * mask[frame, y,
x]``, and nothing is computed where the first two give zero: outside start and end, and for frames of weight zero.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from reel.errors import UserError
from tasks.stylize.engine.buffers import blocks, to_device
from tasks.stylize.engine.control_weights import Keyframe, is_active, keyframe_scale
from tasks.stylize.engine.hints import embed_map
from tasks.stylize.engine.reuse import Residuals, add_again
from tasks.stylize.engine.walk import Pass

if TYPE_CHECKING:
    import torch

Read = Callable[[np.ndarray], np.ndarray]
"""Frames of a map by number: (N,) int -> (N, H, W, 3) uint8 RGB."""

ReadMask = Callable[[np.ndarray], np.ndarray]
"""Where a control counts: (N,) int -> (N, H, W) float32 in 0..1."""


@dataclass
class ControlTrack:
    """One control over the clip.

    Attributes:
        net: a ControlNetModel.
        read: the map, read when it is needed.
        weight: (F,) float, per frame.
        start, end: parts of the denoising between which it counts, as control_guidance_start and _end.
        keyframes: factors over the denoising, ascending in ``at``; empty: none.
        layer_weights: (L,) factor per residual, the middle block's last; None: all 1.
        mask: where it counts; None: everywhere.
        on: ``both`` guidance branches, or ``cond``: the prompted one alone (half the control's work).
    """

    name: str
    net: Any
    read: Read
    weight: np.ndarray
    start: float = 0.0
    end: float = 1.0
    keyframes: Sequence[Keyframe] = ()
    layer_weights: Sequence[float] | None = None
    mask: ReadMask | None = None
    on: str = "both"
    _hints: dict[int, torch.Tensor] = field(default_factory=dict, repr=False)
    _places: dict[int, torch.Tensor] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        layers = len(self.net.controlnet_down_blocks) + 1
        if self.layer_weights is not None and len(self.layer_weights) != layers:
            raise UserError(
                f"controls.{self.name}.layer_weights: {len(self.layer_weights)} values, its ControlNet has {layers} "
                "(from the input's to the middle's)"
            )

    def scale(self, step: int, steps: int) -> np.ndarray:
        """(F,) factor of each frame at a step."""
        if not is_active(step, steps, self.start, self.end):
            return np.zeros_like(self.weight)
        return self.weight * keyframe_scale(self.keyframes, step / steps)

    def hint(self, frames: np.ndarray, made: Pass, like: torch.Tensor) -> torch.Tensor:
        """The map's embedding ``(N, C, h, w)``, computed once per clip.

        It is always computed in the same blocks, whatever frames are asked for, so that a resumed render has the very
        same bits.
        """
        import torch

        size = made.block
        for start in sorted({int(f) // size * size for f in frames if int(f) not in self._hints}):
            numbers = np.arange(start, min(start + size, len(self.weight)))
            picture = torch.from_numpy(self.read(numbers)).to(like.device).permute(0, 3, 1, 2)
            embedded = embed_map(self.net, (picture.float() / 255).to(like.dtype))
            kept = made.buffers.empty(tuple(embedded.shape), embedded.dtype, embedded.device).copy_(embedded)
            self._hints.update(zip(numbers.tolist(), kept, strict=True))
        return torch.stack([to_device(self._hints[int(f)], like.device) for f in frames])

    def places(self, frames: np.ndarray, size: tuple[int, ...], like: torch.Tensor) -> torch.Tensor | None:
        """Where the control counts ``(N, h, w)`` at the latents' size, made once per clip; None: everywhere."""
        import torch
        import torch.nn.functional as functional

        if self.mask is None:
            return None
        for frame in (int(f) for f in frames if int(f) not in self._places):
            whole = torch.from_numpy(self.mask(np.array([frame])))
            self._places[frame] = functional.interpolate(whole[None], size=size, mode="area")[0, 0]
        return torch.stack([self._places[int(f)] for f in frames]).to(like)


class Controls:
    """All controls of a clip: adds their residuals to a prediction.

    Args:
        every: their residuals are computed every so many steps and used again in between.
    """

    def __init__(self, tracks: Sequence[ControlTrack], every: int = 1) -> None:
        self.tracks = list(tracks)
        self.reuse = Residuals(every)

    def scales(self, frames: np.ndarray, step: int, steps: int) -> list[np.ndarray]:
        """(N,) factor of each of these frames at a step, for every control."""
        return [track.scale(step, steps)[frames] for track in self.tracks]

    def residuals(
        self, sample: torch.Tensor, made: Pass, frames: np.ndarray, step: int, steps: int
    ) -> Callable[[list[torch.Tensor], torch.Tensor], torch.Tensor] | None:
        """What adds the live controls' residuals; None when no control counts at this step.

        Args:
            sample: scaled noisy latents ``(S, F, C, H, W)`` of the frames in this pass.
            frames: (F,) int, the clip's numbers of these frames.
        """
        scales = self.scales(frames, step, steps)
        live = [(track, scale) for track, scale in zip(self.tracks, scales, strict=True) if scale.any()]
        held = self.reuse.find(frames, scales)
        if not live:
            return None

        def compute(targets: list[torch.Tensor]) -> None:
            for block in blocks(len(frames), made.block):
                for track, scale in live:
                    with made.clock.measure(f"controlnet:{track.name}"):
                        chosen = np.flatnonzero(scale[block]) + block.start
                        if len(chosen):
                            _add(track, scale, sample, made, frames, chosen, targets)

        def add(skips: list[torch.Tensor], middle: torch.Tensor) -> torch.Tensor:
            targets = [*skips, middle]
            if self.reuse.every == 1:
                compute(targets)
                return middle
            fresh = held
            if fresh is None:
                fresh = [made.buffers.empty(tuple(t.shape), t.dtype, sample.device).zero_() for t in targets]
                compute(fresh)
                self.reuse.hold(frames, scales, fresh)
            add_again(fresh, targets, made.block)
            return middle

        return add


def _add(
    track: ControlTrack,
    scale: np.ndarray,
    sample: torch.Tensor,
    made: Pass,
    frames: np.ndarray,
    chosen: np.ndarray,
    targets: list[torch.Tensor],
) -> None:
    """One control's residuals for the chosen frames of a pass, added in place."""
    import torch

    index = torch.as_tensor(chosen, device=sample.device)
    text = _rows(made, chosen, sample.shape[0])
    branches = 1 if track.on == "cond" else sample.shape[0]  # the prompted branch is the last
    part = sample[-branches:].index_select(1, index).flatten(0, 1)
    hint = track.hint(frames[chosen], made, sample)
    text = text[-branches * len(chosen) :]
    added = {
        k: v[-branches:].repeat_interleave(len(chosen), dim=0) for k, v in made.added.items() if k != "image_embeds"
    }
    timestep = torch.as_tensor(made.timestep, device=sample.device)
    down, middle = track.net(
        made.laid_out(part),
        timestep,
        encoder_hidden_states=text,
        controlnet_cond=hint.repeat(branches, 1, 1, 1),
        added_cond_kwargs=added or None,
        return_dict=False,
    )
    mask = track.places(frames[chosen], tuple(sample.shape[-2:]), part)
    factor = torch.as_tensor(scale[chosen], dtype=part.dtype, device=part.device)
    for layer, (residual, target) in enumerate(zip([*down, middle], targets, strict=True)):
        add_scaled(residual.unflatten(0, (branches, -1)), target[-branches:], index, factor, mask, _layer(track, layer))


def add_scaled(
    residual: torch.Tensor,
    target: torch.Tensor,
    index: torch.Tensor,
    factor: torch.Tensor,
    mask: torch.Tensor | None,
    layer: float,
) -> None:
    """``target[:, index] += residual * factor * layer * mask``, in place.

    Args:
        residual: ``(S, N, C, h, w)``; h = w = 1 for nets that pool their result.
        factor: (N,).
        mask: ``(N, h', w')``, averaged down to the residual's size.
    """
    import torch.nn.functional as functional

    weight = (factor * layer)[:, None, None, None]
    if mask is not None:
        small = functional.interpolate(mask[:, None], size=tuple(target.shape[-2:]), mode="area")
        weight = weight * small
    change = (residual * weight).expand(-1, -1, -1, *target.shape[-2:])
    target.index_add_(1, index.to(target.device), to_device(change, target.device))


def _rows(made: Pass, chosen: np.ndarray, branches: int) -> torch.Tensor:
    """Text of chosen frames ``(S * N, T, D)``."""
    text = made.text(slice(int(chosen[0]), int(chosen[-1]) + 1))
    if len(chosen) == int(chosen[-1]) - int(chosen[0]) + 1:
        return text
    return text.unflatten(0, (branches, -1))[:, chosen - chosen[0]].flatten(0, 1)


def _layer(track: ControlTrack, layer: int) -> float:
    return 1.0 if track.layer_weights is None else float(track.layer_weights[layer])
