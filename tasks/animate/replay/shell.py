"""A model's class without its weights, for the parts of a pipeline that an op does not run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch


class Stop(Exception):
    """A call came to a network that this op does not run: what comes after is not its work."""


def shell(
    kind: type,
    config: Mapping[str, Any],
    *,
    dtype: torch.dtype,
    device: str = "cpu",
    buffers: Mapping[str, torch.Tensor] | None = None,
) -> Any:
    """A model on the meta device that knows its configuration, and says that it is on ``device`` in ``dtype``.

    Pipelines read sizes, compression ratios and position tables of parts that they do not run at that moment; they find
    them here, in no memory.

    Args:
        kind: a model class of diffusers or transformers.
        buffers: small tensors that the model keeps beside its weights and pipelines read (``latents_mean``), by name.

    Returns:
        the model; its forward raises `Stop`.
    """
    import torch

    own = {"device": property(lambda _: torch.device(device)), "dtype": property(lambda _: dtype)}
    named = {"__module__": kind.__module__, "__qualname__": kind.__qualname__}
    subclass: Any = type(kind.__name__, (kind,), {**own, **named})
    with torch.device("meta"):
        model = torch.nn.Module.to(of_config(subclass, config), dtype)  # its own `to` would speak of float32
    for name, tensor in (buffers or {}).items():
        owner, _, leaf = name.rpartition(".")
        setattr(model.get_submodule(owner), leaf, tensor.to(device))
    model.forward = _refused
    return model.eval().requires_grad_(False)


def of_config(kind: Any, config: Mapping[str, Any]) -> Any:
    """A model of its settings, its weights as they are drawn."""
    if hasattr(kind, "from_config"):
        return kind.from_config(dict(config))
    return kind(kind.config_class.from_dict(dict(config)))


def buffer_names(model: Any) -> list[str]:
    """Names of the buffers that a model's files hold."""
    kept = model.state_dict().keys()
    return [name for name, _ in model.named_buffers() if name in kept]


def _refused(*args: Any, **kwargs: Any) -> Any:
    raise Stop
