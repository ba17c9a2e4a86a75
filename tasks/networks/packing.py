"""A scheduler's state as JSON and tensors: how a checkpoint keeps it."""

from __future__ import annotations

from typing import Any


def pack(value: Any, tensors: dict[str, Any]) -> Any:
    """A JSON plan of nested state; tensors and arrays go into ``tensors`` under names of their own.

    Raises:
        TypeError: something that could not be restored; better no checkpoint than a wrong one.
    """
    import numpy as np
    import torch

    if value is None or isinstance(value, bool | int | str):
        return {"is": "plain", "value": value}
    if isinstance(value, float):
        return {"is": "float", "value": value.hex()}
    if isinstance(value, torch.Tensor):
        name = f"scheduler.{len(tensors)}"
        tensors[name] = _apart(value, tensors)
        return {"is": "tensor", "name": name, "device": value.device.type}
    if isinstance(value, np.ndarray | np.generic):
        name = f"scheduler.{len(tensors)}"
        tensors[name] = torch.from_numpy(np.atleast_1d(np.asarray(value)).copy())
        return {"is": "array", "name": name, "scalar": np.ndim(value) == 0}
    if isinstance(value, list | tuple):
        return {"is": type(value).__name__, "items": [pack(item, tensors) for item in value]}
    if isinstance(value, dict):
        return {"is": "dict", "items": {str(key): pack(item, tensors) for key, item in value.items()}}
    raise TypeError(f"a {type(value).__name__} in a scheduler's state cannot be kept in a checkpoint")


def _apart(value: Any, tensors: dict[str, Any]) -> Any:
    """A tensor that shares no memory with the others: schedulers keep single time steps of their own table."""
    shared = value.untyped_storage().nbytes() > value.nbytes
    return value.clone() if shared or any(value.data_ptr() == one.data_ptr() for one in tensors.values()) else value


def unpack(plan: Any, tensors: dict[str, Any]) -> Any:
    """The inverse of `pack`."""
    match plan["is"]:
        case "plain":
            return plan["value"]
        case "float":
            return float.fromhex(plan["value"])
        case "tensor":
            return tensors[plan["name"]]
        case "array":
            array = tensors[plan["name"]].numpy()
            return array[0] if plan["scalar"] else array
        case "list" | "tuple":
            items = [unpack(item, tensors) for item in plan["items"]]
            return items if plan["is"] == "list" else tuple(items)
        case "dict":
            return {key: unpack(item, tensors) for key, item in plan["items"].items()}
        case other:
            raise ValueError(f"unknown kind {other!r} in a checkpoint")
