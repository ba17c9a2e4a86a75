"""A ControlNet's map embedded once for a clip: the embedding, the "hint", is the same at every step."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch


def embed_map(net: Any, picture: torch.Tensor) -> torch.Tensor:
    """The hint ``(N, C, h, w)`` of map pictures ``(N, 3, H, W)`` in 0..1, as the ControlNet then takes it."""
    accept_embedded_hints(net)
    if net.config.controlnet_conditioning_channel_order == "bgr":
        # the model will flip what it is given; flipped twice, the embedding comes through as it is
        return net.controlnet_cond_embedding(picture.flip(1)).flip(1)
    return net.controlnet_cond_embedding(picture)


def accept_embedded_hints(net: Any) -> None:
    """Let a ControlNet take a hint that is embedded already; pictures are embedded as before."""
    module = net.controlnet_cond_embedding
    if getattr(module.forward, "takes_hints", False):
        return
    width, whole = net.conv_in.out_channels, module.forward

    def forward(conditioning: torch.Tensor) -> torch.Tensor:
        return conditioning if conditioning.shape[1] == width else whole(conditioning)

    forward.takes_hints = True  # type: ignore[attr-defined]
    module.forward = forward
