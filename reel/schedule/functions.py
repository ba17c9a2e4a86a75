"""What formulas are made of: functions and operators, each a numpy function over all frames at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np


def _smoothstep(low: Any, high: Any, x: Any) -> Any:
    u = np.clip((x - low) / (high - low), 0.0, 1.0)
    return u * u * (3.0 - 2.0 * u)


# name -> (function, smallest and largest number of arguments)
FUNCTIONS: dict[str, tuple[Callable[..., Any], int, int]] = {
    **{name: (getattr(np, name), 1, 1) for name in
       ("sin", "cos", "tan", "arcsin", "arccos", "arctan", "sinh", "cosh", "tanh", "arcsinh", "arccosh", "arctanh",
        "exp", "expm1", "log", "log10", "log2", "log1p", "sqrt", "floor", "ceil", "trunc", "sign", "degrees",
        "radians")},
    "abs": (np.abs, 1, 1), "round": (np.round, 1, 1), "int": (np.trunc, 1, 1), "float": (lambda x: x, 1, 1),
    "asin": (np.arcsin, 1, 1), "acos": (np.arccos, 1, 1), "atan": (np.arctan, 1, 1),
    "arctan2": (np.arctan2, 2, 2), "atan2": (np.arctan2, 2, 2), "hypot": (np.hypot, 2, 2),
    "mod": (np.mod, 2, 2), "fmod": (np.fmod, 2, 2), "pow": (np.power, 2, 2),
    "min": (lambda *a: _fold(np.minimum, a), 2, 8), "max": (lambda *a: _fold(np.maximum, a), 2, 8),
    "where": (lambda c, a, b: np.where(np.not_equal(c, 0), a, b), 3, 3),
    "clip": (lambda x, low, high: np.minimum(np.maximum(x, low), high), 3, 3),
    "clamp": (lambda x, low, high: np.minimum(np.maximum(x, low), high), 3, 3),
    "lerp": (lambda a, b, u: a + (b - a) * u, 3, 3),
    "smoothstep": (_smoothstep, 3, 3),
}  # fmt: skip


def _fold(function: Callable[[Any, Any], Any], values: tuple[Any, ...]) -> Any:
    result = values[0]
    for value in values[1:]:
        result = function(result, value)
    return result


def _truth(function: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    return lambda a, b: function(np.not_equal(a, 0), np.not_equal(b, 0)).astype(float)


def _compare(function: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    return lambda a, b: np.asarray(function(a, b), float)


OPERATORS: dict[str, tuple[int, Callable[[Any, Any], Any]]] = {
    "or": (1, _truth(np.logical_or)), "and": (2, _truth(np.logical_and)),
    "<": (4, _compare(np.less)), "<=": (4, _compare(np.less_equal)), ">": (4, _compare(np.greater)),
    ">=": (4, _compare(np.greater_equal)), "==": (4, _compare(np.equal)), "!=": (4, _compare(np.not_equal)),
    "|": (5, _truth(np.logical_or)), "&": (6, _truth(np.logical_and)),
    "+": (7, np.add), "-": (7, np.subtract),
    "*": (8, np.multiply), "/": (8, np.divide), "//": (8, np.floor_divide), "%": (8, np.mod),
    "**": (10, np.power),
}  # fmt: skip
COMPARISONS = {"<", "<=", ">", ">=", "==", "!="}
