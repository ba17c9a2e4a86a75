"""Optimiser and averaged weights: Muon for matrices, AdamW for the rest, an EMA of all."""

from __future__ import annotations

import math
from collections.abc import Iterable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn


def orthogonalise(matrices: Tensor, steps: int = 5) -> Tensor:
    """Nearest semi-orthogonal matrices `(N, R, C)` by a quintic Newton-Schulz iteration (Jordan et al., Muon,
    https://kellerjordan.github.io/posts/muon/)."""
    a, b, c = 3.4445, -4.7750, 2.0315
    x = matrices / (matrices.flatten(1).norm(dim=1).view(-1, 1, 1) + 1e-7)
    wide = x.shape[1] <= x.shape[2]
    x = x if wide else x.mT
    for _ in range(steps):
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x if wide else x.mT


class Muon(torch.optim.Optimizer):
    """Momentum + orthogonalised updates for 2-D and convolution weights.

    Updates are scaled to AdamW's usual size (0.2 * sqrt(max side), https://arxiv.org/abs/2502.16982), so that both
    optimisers share one learning rate. Equal shapes are orthogonalised as one batch, in the number format `products`:
    bfloat16 is as good, as only directions are asked for, and takes half as long where the CPU computes it.
    """

    def __init__(
        self, params: Iterable[nn.Parameter], lr: float, momentum: float = 0.95, weight_decay: float = 0.0,
        products: torch.dtype = torch.float32,
    ) -> None:  # fmt: skip
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})
        self.products = products

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:
        for group in self.param_groups:
            shapes: dict[tuple[int, int], list[nn.Parameter]] = {}
            for p in group["params"]:
                if p.grad is not None:
                    shapes.setdefault((p.shape[0], p[0].numel()), []).append(p)
            for (rows, columns), params in shapes.items():
                updates = torch.stack([self._momentum(p, group["momentum"]).reshape(rows, columns) for p in params])
                updates = orthogonalise(updates.to(self.products)).to(updates.dtype) * (0.2 * max(rows, columns) ** 0.5)
                for p, update in zip(params, updates, strict=True):
                    p.mul_(1 - group["lr"] * group["weight_decay"]).add_(update.view_as(p), alpha=-group["lr"])

    def _momentum(self, p: nn.Parameter, beta: float) -> Tensor:
        state = self.state[p]
        if "momentum" not in state:
            state["momentum"] = torch.zeros_like(p)
        state["momentum"].lerp_(p.grad, 1 - beta)
        return p.grad.lerp(state["momentum"], beta)  # Nesterov


class Optimizers:
    """Muon for hidden matrices and AdamW for embeddings, biases, norms and the outermost layers.

    muon: the longest short side of a matrix that Muon takes; those beyond are AdamW's as well. A step of Muon costs
        fifteen products of a matrix with itself, more than the gradients where matrices are large and batches small.
    products: number format of these.
    """

    def __init__(
        self, modules: dict[str, nn.Module], lr: float, weight_decay: float = 1e-3, muon: float = math.inf,
        products: torch.dtype = torch.float32,
    ) -> None:  # fmt: skip
        matrices: list[nn.Parameter] = []
        large: list[nn.Parameter] = []
        rest: list[nn.Parameter] = []
        for module in modules.values():
            for name, p in module.named_parameters():
                if p.requires_grad and _is_hidden_matrix(name, p):
                    (matrices if min(p.shape[0], p[0].numel()) <= muon else large).append(p)
                elif p.requires_grad:
                    rest.append(p)
        self.params = matrices + large + rest
        adam = partial(torch.optim.AdamW, lr=lr, betas=(0.9, 0.99), fused=True)
        self.each: list[torch.optim.Optimizer] = [
            *([Muon(matrices, lr, weight_decay=weight_decay, products=products)] if matrices else []),
            *([adam(large, weight_decay=weight_decay)] if large else []),
            adam(rest, weight_decay=0.0),
        ]

    def step(self, lr: float, max_norm: float = 1.0) -> float:
        """Clip, step with this learning rate, zero the gradients; returns the gradient's norm."""
        norm = torch.nn.utils.clip_grad_norm_(self.params, max_norm)
        for optimizer in self.each:
            for group in optimizer.param_groups:
                group["lr"] = lr
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        return float(norm)

    def state_dict(self) -> list[dict[str, Any]]:
        return [o.state_dict() for o in self.each]

    def load_state_dict(self, states: list[dict[str, Any]]) -> None:
        for optimizer, state in zip(self.each, states, strict=True):
            optimizer.load_state_dict(state)


def _is_hidden_matrix(name: str, p: nn.Parameter) -> bool:
    outer = ("conv_in.", "conv_out.", "embedding", "embed_tokens", "controlnet_", "quant_conv", "cond_embedding",
             "lora_")  # fmt: skip
    outermost = name.startswith(("proj_in.", "proj_out.", "shared.")) or any(word in name for word in outer)
    return p.ndim >= 2 and min(p.shape[0], p[0].numel()) >= 8 and not outermost


class Ema:
    """Exponential moving average of parameters, with a short memory at first."""

    def __init__(self, params: list[nn.Parameter], decay: float) -> None:
        self.params, self.decay = params, decay
        self.average = [p.detach().clone() for p in params]

    @torch.no_grad()
    def update(self, step: int) -> None:
        decay = min(self.decay, (1 + step) / (10 + step))
        torch._foreach_lerp_(self.average, [p.data for p in self.params], 1 - decay)

    @torch.no_grad()
    def swap(self) -> None:
        """Exchange live and averaged weights; call twice to restore."""
        for p, average in zip(self.params, self.average, strict=True):
            live = p.data.clone()
            p.data.copy_(average)
            average.copy_(live)
