"""The evaluator agrees with numpy, reads back what it writes, and is bounded."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings

from reel.schedule.expressions import MAX_DEPTH, MAX_TEXT, Expression, ExpressionError, Node, number, parse_expression
from tests.examples import examples

from .strategies import expressions

T = np.arange(-4.0, 30.0, 1.7)
ENV = {"t": T, "max_f": 29.0, "s": 7.0, "fps": 12.0, "seconds": T / 12, "pi": np.pi, "tau": 2 * np.pi, "e": np.e}
BINARY: dict[str, Callable[[Any, Any], Any]] = {
    "+": np.add,
    "-": np.subtract,
    "*": np.multiply,
    "/": np.true_divide,
    "//": np.floor_divide,
    "%": np.remainder,
    "**": np.power,
    "<": np.less,
    "<=": np.less_equal,
    ">": np.greater,
    ">=": np.greater_equal,
    "==": np.equal,
    "!=": np.not_equal,
    "and": np.logical_and,
    "&": np.logical_and,
    "or": np.logical_or,
    "|": np.logical_or,
    "arctan2": np.arctan2,
    "hypot": np.hypot,
    "mod": np.mod,
    "fmod": np.fmod,
    "min": np.minimum,
    "max": np.maximum,
    "atan2": np.arctan2,
    "pow": np.power,
}
UNARY = {
    "neg": np.negative,
    "not": np.logical_not,
    "int": np.trunc,
    "float": np.float64,
    "abs": np.absolute,
    "asin": np.arcsin,
    "acos": np.arccos,
    "atan": np.arctan,
}


def with_numpy(node: Node) -> Any:
    """The same formula, computed by numpy's functions one by one."""
    if node.op == "num":
        return np.float64(node.value)
    if node.op == "name":
        return ENV[node.value]
    args = [np.asarray(with_numpy(a), float) for a in node.args]
    name = node.value if node.op == "call" else node.op
    if name == "where":
        return np.where(args[0].astype(bool), args[1], args[2])
    if name in ("clip", "clamp"):
        return np.clip(args[0], args[1], args[2])
    if name == "smoothstep":
        u = np.clip((args[2] - args[0]) / (args[1] - args[0]), 0, 1)
        return u * u * (3 - 2 * u)
    if name == "lerp":
        return args[0] + (args[1] - args[0]) * args[2]
    if len(args) == 2:
        return BINARY[name](*args)
    return UNARY[name](args[0]) if name in UNARY else getattr(np, name)(args[0])


@settings(max_examples=examples(4000), deadline=None, database=None)
@given(expressions())
def test_agrees_with_numpy(formula: Expression) -> None:
    read = parse_expression(formula.text)
    with np.errstate(all="ignore"):
        expected = np.broadcast_to(np.asarray(with_numpy(formula.root), float), T.shape)
    np.testing.assert_array_equal(read.evaluate(ENV), expected)


@settings(max_examples=examples(1500), deadline=None, database=None)
@given(expressions())
def test_written_formulas_read_back_to_the_same_tree(formula: Expression) -> None:
    assert parse_expression(formula.text).root == formula.root


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2+3*4", 14),
        ("-2**2", -4),
        ("2**-1", 0.5),
        ("2**3**2", 512),
        ("(1,)[0]", None),
        ("7//2", 3),
        ("-7 % 3", 2),
        ("not 0", 1),
        ("1 < 2 and 3 < 2", 0),
        ("max(1, 5, 3)", 5),
        ("1e2", 100),
        (".5", 0.5),
        ("round(2.5)", 2),
        ("smoothstep(0, 2, 1)", 0.5),
        ("smoothstep(0, 2, 5)", 1),
        ("smoothstep(0, 2, -1)", 0),
        ("degrees(pi)", 180),
    ],
)
def test_precedence_and_forms(text: str, expected: float | None) -> None:
    if expected is None:
        with pytest.raises(ExpressionError):
            parse_expression(text)
    else:
        assert float(parse_expression(text).evaluate({"t": 0.0})) == expected


@pytest.mark.parametrize(
    ("text", "code", "start"),
    [
        ("2 +", "RS401", 3),
        ("(2", "RS401", 0),
        ("2)", "RS401", 1),
        ("q + 1", "RS402", 0),
        ("sni(t)", "RS402", 0),
        ("sin", "RS402", 0),
        ("sin(1, 2)", "RS403", 0),
        ("t ^ 2", "RS404", 2),
        ("t = 2", "RS404", 2),
        ("2**65", "RS408", 1),
        ("1 < 2 < 3", "RS401", 6),
        ("__import__('os')", "RS402", 0),
        ("t.real", "RS401", 1),
        ("lambda: 1", "RS402", 0),
        ("", "RS401", 0),
    ],
)
def test_mistakes_have_a_code_and_a_place(text: str, code: str, start: int) -> None:
    with pytest.raises(ExpressionError) as caught:
        parse_expression(text)
    assert (caught.value.code, caught.value.start) == (code, start)


@pytest.mark.parametrize(
    "text",
    [
        "(" * 500 + "1" + ")" * 500,
        "-" * 500 + "1",
        "sin(" * 200 + "1" + ")" * 200,
        "+".join("1" * 400),
        "9" * (MAX_TEXT + 1),
        "2**" * 100 + "2",
        "not " * 400 + "1",
        "1e999",
    ],
)
def test_size_depth_and_exponents_are_bounded(text: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        parse_expression(text)
    assert caught.value.code == "RS408"


def test_depth_that_is_allowed_is_read() -> None:
    depth = MAX_DEPTH - 2
    assert float(parse_expression("(" * depth + "1" + ")" * depth).evaluate({"t": 0.0})) == 1


def test_undefined_is_not_finite_and_raises_nothing() -> None:
    values = parse_expression("sqrt(t - 2) + 1/t").evaluate({"t": np.arange(5.0)})
    assert np.isfinite(values).tolist() == [False, False, True, True, True]


def test_numbers_become_formulas_and_back() -> None:
    for value in (0.0, -0.25, 1e-7, 12345.678):
        assert float(number(value).evaluate({"t": 0.0})) == value
        assert parse_expression(number(value).text).root == number(value).root
