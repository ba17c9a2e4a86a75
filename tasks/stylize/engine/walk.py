"""The layers of a UNetMotionModel, applied to a clip of any length.

The spatial layers and the ControlNets run once per frame, in blocks of frames sized to memory; only the motion modules,
which alone look across frames, run in overlapping windows (AnimateDiff: arXiv:2307.04725). The walk through the model's
own sub-modules follows diffusers' ``UNetMotionModel.forward`` step by step; tests hold the two equal.

Tensors of a whole clip are ``(S, F, C, H, W)``: S guidance branches (negative first when there are two), F frames.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from tasks.stylize.engine.buffers import Buffers, blocks, to_device
from tasks.stylize.engine.clock import Clock
from tasks.stylize.engine.motion import windowed
from tasks.stylize.engine.prompts import Text
from tasks.stylize.engine.regions import Bias
from tasks.stylize.engine.windows import Window

if TYPE_CHECKING:
    import torch

PerFrame = Callable[["torch.Tensor", slice], "torch.Tensor"]
"""A function of a block ``(S * Fb, C, H, W)`` and of the frames that it holds."""


@dataclass
class Pass:
    """What one prediction is made with.

    Attributes:
        timestep: the scheduler's timestep.
        text: embeddings of a block of frames.
        windows: the motion modules' windows.
        block: frames that the spatial layers take at a time; in the cache key, since it changes last bits.
        added: SDXL's ``text_embeds`` and ``time_ids``, IP-Adapter's ``image_embeds``, each with S rows; ``text_embeds``
            may have S rows of a text for each frame.
        timestep_cond: guidance embedding ``(S, D)`` of distilled models.
        bias: which places read which part of the text; None: every place reads all of it.
        channels_last: layers get pictures with their channels side by side in memory and keep them so; the weights
            stay as they lie in their files.
    """

    timestep: Any
    text: Text
    windows: Sequence[Window]
    block: int
    buffers: Buffers = field(default_factory=Buffers)
    clock: Clock = field(default_factory=Clock)
    added: Mapping[str, Any] = field(default_factory=dict)
    timestep_cond: torch.Tensor | None = None
    bias: Bias | None = None
    channels_last: bool = False

    def laid_out(self, part: torch.Tensor) -> torch.Tensor:
        """A block ``(N, C, H, W)`` as the layers are to have it."""
        import torch

        return part.contiguous(memory_format=torch.channels_last) if self.channels_last else part


class Walk:
    """Layers of a UNetMotionModel or a SparseControlNetModel, applied to a whole clip."""

    def __init__(self, model: Any, sample: torch.Tensor, made: Pass) -> None:
        self.model = model
        self.made = made
        self.branches, self.frames = sample.shape[:2]
        self.blocks = blocks(self.frames, made.block)
        self.device = sample.device
        self.time = time_embedding(model, made, self.branches, sample)

    def spatial(self, kind: str, function: PerFrame, states: torch.Tensor) -> torch.Tensor:
        """Apply a function that looks at single frames, block by block."""
        out = None
        for block in self.blocks:
            with self.made.clock.measure(kind):
                part = function(self.made.laid_out(to_device(states[:, block], self.device).flatten(0, 1)), block)
            if len(self.blocks) == 1:
                return self.made.laid_out(part).unflatten(0, (self.branches, -1))
            part = part.unflatten(0, (self.branches, -1))
            if out is None:
                shape = (self.branches, self.frames, *part.shape[2:])
                out = self.empty(shape, part.dtype)
            out[:, block] = part
        assert out is not None
        return out

    def motion(self, module: Any, states: torch.Tensor) -> torch.Tensor:
        """Apply a motion module, in windows and blocks where there are several; ``states`` is used up."""
        with self.made.clock.measure("motion"):
            windows = self.made.windows
            if len(windows) == len(self.blocks) == 1 and windows[0].is_whole(self.frames):
                whole = to_device(states, self.device).flatten(0, 1)
                return module(whole, num_frames=self.frames).unflatten(0, (self.branches, -1))
            return windowed(module, states, windows, self.blocks, self._room, self.device)

    def _room(self, shape: tuple[int, ...], dtype: torch.dtype) -> torch.Tensor:
        return self.made.buffers.empty(shape, dtype, self.device)

    def empty(self, shape: tuple[int, ...], dtype: torch.dtype) -> torch.Tensor:
        """Room for activations of all frames ``(S, F, C, H, W)``, laid out as the layers work."""
        if not self.made.channels_last:
            return self._room(shape, dtype)
        branches, frames, channels, height, width = shape
        flat = self._room((branches, frames, height, width, channels), dtype)
        return flat.permute(0, 1, 4, 2, 3)

    def resnet(self, resnet: Any, attention: Any = None, skip: torch.Tensor | None = None) -> PerFrame:
        """A residual block, with what follows it at the same size and the skip connection that it takes in."""
        import torch

        def apply(part: torch.Tensor, block: slice) -> torch.Tensor:
            if skip is not None:
                part = torch.cat([part, to_device(skip[:, block], self.device).flatten(0, 1)], dim=1)
            part = resnet(input_tensor=part, temb=self.temb(block))
            return part if attention is None else self.attend(attention, part, block)

        return apply

    def attend(self, attention: Any, part: torch.Tensor, block: slice) -> torch.Tensor:
        """A spatial transformer, with the text of a block of frames."""
        bias = None if self.made.bias is None else self.made.bias(block, (part.shape[-2], part.shape[-1]))
        return attention(
            hidden_states=part,
            encoder_hidden_states=self.made.text(block),
            encoder_attention_mask=bias,
            return_dict=False,
        )[0]

    def temb(self, block: slice) -> torch.Tensor:
        """The time embedding, repeated for the frames of a block: ``(S * Fb, D)``."""
        if self.time.ndim == 3:
            return self.time[:, block].flatten(0, 1)
        return self.time.repeat_interleave(block.stop - block.start, dim=0)

    def layer(self, resnet: Any, attention: Any, module: Any, states: torch.Tensor, skip: Any = None) -> torch.Tensor:
        """A residual block with its attention, and the motion module behind them."""
        return self.motion(module, self.spatial("resnet+attention", self.resnet(resnet, attention, skip), states))

    def first(self, states: torch.Tensor) -> torch.Tensor:
        """The encoder's first layer alone."""
        return self.layer(*_layers(self.model.down_blocks[0])[0], states)

    def down(self, states: torch.Tensor, first: torch.Tensor | None = None) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """The encoder half: the result and all skip connections, the input's first.

        Args:
            first: the first layer's output, if it is known already.
        """
        skips = [states]
        for stage in self.model.down_blocks:
            for resnet, attention, module in _layers(stage):
                known, first = first, None
                states = self.layer(resnet, attention, module, states) if known is None else known
                skips.append(states)
            for sampler in stage.downsamplers or ():
                states = self.spatial("sampling", per_picture(sampler), states)
                skips.append(states)
        return states, skips

    def middle(self, states: torch.Tensor) -> torch.Tensor:
        """The middle, with or without motion modules (v3 adapters have none there)."""
        stage = self.model.mid_block
        modules = getattr(stage, "motion_modules", None) or [None] * len(stage.attentions)
        states = self.spatial("resnet+attention", self.resnet(stage.resnets[0]), states)
        for attention, resnet, module in zip(stage.attentions, stage.resnets[1:], modules, strict=True):
            states = self.spatial("resnet+attention", partial(self.attend, attention), states)
            if module is not None:
                states = self.motion(module, states)
            states = self.spatial("resnet+attention", self.resnet(resnet), states)
        return states

    def up(self, states: torch.Tensor, skips: list[torch.Tensor]) -> torch.Tensor:
        """The decoder half; the skip connections are used up from the end."""
        factor = 2**self.model.num_upsamplers
        odd = any(side % factor for side in skips[0].shape[-2:])
        for stage in self.model.up_blocks:
            for resnet, attention, module in _layers(stage):
                states = self.layer(resnet, attention, module, states, skips.pop())
            size = tuple(skips[-1].shape[-2:]) if odd and skips else None
            for sampler in stage.upsamplers or ():
                states = self.spatial("sampling", per_picture(sampler, output_size=size), states)
        return states

    def finish(self, states: torch.Tensor) -> torch.Tensor:
        """The output layers."""
        unet = self.model

        def out(part: torch.Tensor, block: slice) -> torch.Tensor:
            if unet.conv_norm_out:
                part = unet.conv_act(unet.conv_norm_out(part))
            return unet.conv_out(part)

        return self.spatial("sampling", out, states)


def _layers(stage: Any) -> list[tuple[Any, Any, Any]]:
    """(residual block, its attention or None, its motion module) of a stage, in order."""
    attentions = getattr(stage, "attentions", None) or [None] * len(stage.resnets)
    return list(zip(stage.resnets, attentions, stage.motion_modules, strict=True))


def per_picture(module: Any, **more: Any) -> PerFrame:
    """A module that looks at nothing but the pictures."""
    return lambda part, _: module(part, **more)


def time_embedding(model: Any, made: Pass, branches: int, sample: torch.Tensor) -> torch.Tensor:
    """``(S, D)``: the timestep, and for SDXL the pooled text and sizes; ``(S, F, D)`` where texts vary."""
    import torch

    timestep = torch.as_tensor(made.timestep, device=sample.device).reshape(-1).expand(branches)
    embedded = model.time_embedding(model.time_proj(timestep).to(sample.dtype), made.timestep_cond)
    if getattr(model.config, "addition_embed_type", None) != "text_time":
        return embedded
    sizes = model.add_time_proj(made.added["time_ids"].flatten()).reshape(branches, -1)
    pooled = made.added["text_embeds"]
    if pooled.ndim == 3:
        embedded, sizes = embedded[:, None], sizes[:, None].expand(-1, pooled.shape[1], -1)
    joined = torch.cat([pooled, sizes], dim=-1).to(embedded.dtype)
    return embedded + model.add_embedding(joined)
