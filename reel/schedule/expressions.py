"""Arithmetic over frames, read and computed by our own small evaluator: no ``eval``, bounded in every direction.

An expression is a formula such as ``0.5 + 0.3*sin(2*pi*t/24)``. It is parsed once into a tree of at most
`MAX_NODES` nodes and `MAX_DEPTH` levels and then computed with numpy over all frames at once, in float64.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from reel.schedule.functions import COMPARISONS, FUNCTIONS, OPERATORS

MAX_TEXT = 2_000
MAX_NODES = 300
MAX_DEPTH = 40
MAX_EXPONENT = 64.0
"""Largest constant exponent: nothing a schedule needs, and a typing slip beyond it."""

VARIABLES = {
    "t": "the frame, from 0",
    "max_f": "the last frame (number of frames - 1)",
    "s": "the seed",
    "fps": "frames per second",
    "seconds": "t / fps",
    "pi": "3.14159...",
    "tau": "2 * pi",
    "e": "2.71828...",
}
CONSTANTS = {"pi": np.pi, "tau": 2 * np.pi, "e": np.e}


class ExpressionError(ValueError):
    """A formula that cannot be read. ``start`` and ``stop`` are offsets in its text; ``code`` is one of RS4xx."""

    def __init__(
        self, code: str, message: str, start: int, stop: int, *, fix: str | None = None, new: str | None = None
    ) -> None:
        super().__init__(message)
        self.code, self.message, self.start, self.stop, self.fix, self.new = code, message, start, stop, fix, new


_UNARY_POWER = 9
_NOT_POWER = 3


@dataclass(frozen=True, slots=True)
class Node:
    """One node: ``op`` is ``num``, ``name``, ``call``, ``neg``, ``not`` or an operator of `OPERATORS`."""

    op: str
    value: Any = None
    args: tuple[Node, ...] = ()


@dataclass(frozen=True)
class Expression:
    """A formula that was read without mistakes."""

    text: str
    root: Node
    names: frozenset[str]

    def evaluate(self, env: Mapping[str, Any]) -> np.ndarray:
        """Compute over the frames in ``env["t"]``.

        Returns: float64 of the shape of ``env["t"]``; not finite where the formula is undefined.
        Raises: KeyError for a variable that ``env`` does not hold (the reader checks names beforehand).
        """
        with np.errstate(all="ignore"):
            return np.broadcast_to(np.asarray(_compute(self.root, env), float), np.shape(env["t"])).copy()

    def replace(self, name: str, new: Node) -> Expression:
        """The same formula with every ``name`` replaced by the tree ``new``."""
        root = _replace(self.root, name, new)
        return Expression(format_node(root), root, frozenset(_names(root)))

    @property
    def constant(self) -> bool:
        return not self.names - CONSTANTS.keys()


def _compute(node: Node, env: Mapping[str, Any]) -> Any:
    if node.op == "num":
        return node.value
    if node.op == "name":
        return CONSTANTS[node.value] if node.value in CONSTANTS else env[node.value]
    args = [np.asarray(_compute(arg, env), float) for arg in node.args]
    if node.op == "call":
        return FUNCTIONS[node.value][0](*args)
    if node.op == "neg":
        return np.negative(args[0])
    if node.op == "not":
        return np.asarray(np.equal(args[0], 0), float)
    return OPERATORS[node.op][1](*args)


def _replace(node: Node, name: str, new: Node) -> Node:
    if node.op == "name":
        return new if node.value == name else node
    return Node(node.op, node.value, tuple(_replace(arg, name, new) for arg in node.args))


def _names(node: Node) -> set[str]:
    return {node.value} if node.op == "name" else set().union(*(_names(arg) for arg in node.args))


def format_node(node: Node, outer: int = 0) -> str:
    """The formula as text with no more brackets than it needs; reading it again gives the same tree."""
    if node.op == "num":
        return repr(int(node.value)) if float(node.value).is_integer() and abs(node.value) < 1e15 else repr(node.value)
    if node.op == "name":
        return str(node.value)
    if node.op == "call":
        return f"{node.value}({', '.join(format_node(arg) for arg in node.args)})"
    if node.op in ("neg", "not"):
        power, sign = (_UNARY_POWER, "-") if node.op == "neg" else (_NOT_POWER, "not ")
        text = sign + format_node(node.args[0], power)
    else:
        power = OPERATORS[node.op][0]
        right_first = node.op == "**"
        left = format_node(node.args[0], power + 1 if right_first or node.op in COMPARISONS else power)
        right = format_node(node.args[1], _UNARY_POWER if right_first else power + 1)
        text = f"{left}{node.op}{right}" if power >= 8 else f"{left} {node.op} {right}"
    return f"({text})" if power < outer else text


_TOKEN = re.compile(
    r"\s*(?:(?P<num>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)|(?P<name>[A-Za-z_]\w*)"
    r"|(?P<op>\*\*|//|<=|>=|==|!=|&&|\|\||[-+*/%<>()&|~^!,=?:])|(?P<bad>\S))",
    re.ASCII,
)
_SLIPS = {"^": "**", "&&": "&", "||": "|", "=": "==", "!": "~"}


class _Parser:
    """Precedence climbing over the tokens of one text."""

    def __init__(self, text: str, names: frozenset[str]) -> None:
        self.text, self.allowed = text, names
        self.tokens = [m for m in _TOKEN.finditer(text) if m.lastgroup]
        self.position = self.nodes = self.depth = 0
        self.names: set[str] = set()

    def fail(self, code: str, message: str, match: re.Match[str] | None, **extra: Any) -> ExpressionError:
        start, stop = match.span(match.lastgroup) if match and match.lastgroup else (len(self.text), len(self.text) + 1)
        return ExpressionError(code, message, start, stop, **extra)

    def peek(self) -> re.Match[str] | None:
        return self.tokens[self.position] if self.position < len(self.tokens) else None

    def symbol(self) -> str | None:
        """The next token's text where it is an operator, a bracket, a comma or a word operator."""
        match = self.peek()
        if match is None:
            return None
        word = match[match.lastgroup or 0]
        return word if match.lastgroup == "op" or word in ("and", "or", "not") else None

    def make(self, op: str, value: Any = None, args: tuple[Node, ...] = ()) -> Node:
        self.nodes += 1
        if self.nodes > MAX_NODES:
            raise self.fail("RS408", f"the expression has more than {MAX_NODES} parts", self.peek())
        return Node(op, value, args)

    def parse(self) -> Node:
        root = self.expression(0)
        if (match := self.peek()) is not None:
            raise self.unexpected(match)
        return root

    def unexpected(self, match: re.Match[str]) -> ExpressionError:
        word = match[match.lastgroup or 0]
        if word in _SLIPS:
            meant = _SLIPS[word]
            what = {"^": "a power is written **", "=": "a comparison is written =="}.get(word, f"write {meant}")
            return self.fail("RS404", f"'{word}' is not an operator here: {what}", match, fix=f"'{meant}'", new=meant)
        if word == ")":
            return self.fail("RS401", "a ')' without its '('", match)
        return self.fail("RS401", f"'{word}' does not belong here", match)

    def expression(self, lowest: int) -> Node:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise self.fail("RS408", f"the expression is nested more than {MAX_DEPTH} levels deep", self.peek())
        left = self.unary()
        while (op := self.symbol()) in OPERATORS and OPERATORS[op][0] >= lowest:
            match, power = self.peek(), OPERATORS[op][0]
            self.position += 1
            right = self.expression(power if op == "**" else power + 1)
            if op == "**" and right.op == "num" and right.value > MAX_EXPONENT:
                raise self.fail("RS408", f"an exponent above {MAX_EXPONENT:g} is refused", match)
            left = self.make(op, None, (left, right))
            if op in COMPARISONS and self.symbol() in COMPARISONS:
                raise self.fail("RS401", "comparisons cannot be chained: write (a < b) & (b < c)", self.peek())
        self.depth -= 1
        return left

    def unary(self) -> Node:
        op = self.symbol()
        if op in ("-", "+", "not", "~"):
            self.position += 1
            inner = self.expression(_NOT_POWER + 1 if op == "not" else _UNARY_POWER)
            return inner if op == "+" else self.make("neg" if op == "-" else "not", None, (inner,))
        return self.atom()

    def atom(self) -> Node:
        match = self.peek()
        if match is None:
            raise self.fail("RS401", "the expression ends too early", None)
        self.position += 1
        if match.lastgroup == "num":
            if not np.isfinite(value := float(match["num"])):
                raise self.fail("RS408", "the number is too large", match)
            return self.make("num", value)
        if match.lastgroup == "name" and self.symbol() == "(":
            return self.call(match)
        if match.lastgroup == "name":
            return self.variable(match)
        if match["op"] == "(":
            inner = self.expression(0)
            self.expect_close(match)
            return inner
        self.position -= 1
        raise self.unexpected(match)

    def expect_close(self, opened: re.Match[str]) -> None:
        if self.symbol() != ")":
            if (match := self.peek()) is not None:
                raise self.unexpected(match)
            raise self.fail("RS401", "a '(' is never closed", opened)
        self.position += 1

    def variable(self, match: re.Match[str]) -> Node:
        name = match["name"]
        if name not in self.allowed:
            kind = "a function: give it its argument in ( )" if name in FUNCTIONS else "not known"
            raise self.fail("RS402", f"'{name}' is {kind}; known are {', '.join(sorted(self.allowed))}", match)
        self.names.add(name)
        return self.make("name", name)

    def call(self, match: re.Match[str]) -> Node:
        name = match["name"]
        if name not in FUNCTIONS:
            from reel.config import suggest

            raise self.fail("RS402", f"there is no function '{name}'{suggest(name, FUNCTIONS)}", match)
        opened = self.peek()
        assert opened is not None
        self.position += 1
        args = [self.expression(0)] if self.symbol() != ")" else []
        while self.symbol() == ",":
            self.position += 1
            args.append(self.expression(0))
        self.expect_close(opened)
        _, least, most = FUNCTIONS[name]
        if not least <= len(args) <= most:
            wanted = f"{least}" if least == most else f"{least} to {most}"
            raise self.fail("RS403", f"{name}() takes {wanted} argument(s), got {len(args)}", match)
        return self.make("call", name, tuple(args))


@lru_cache(maxsize=4096)
def parse_expression(text: str, extra: frozenset[str] = frozenset()) -> Expression:
    """Read a formula.

    Args:
        extra: names of further variables, such as the ``pw_a`` .. ``pw_d`` of FizzNodes.

    Raises:
        ExpressionError: what is wrong and where; codes RS401 to RS408.
    """
    if len(text) > MAX_TEXT:
        raise ExpressionError("RS408", f"the expression is longer than {MAX_TEXT} characters", MAX_TEXT, len(text))
    parser = _Parser(text, frozenset(VARIABLES) | extra)
    root = parser.parse()
    return Expression(text.strip(), root, frozenset(parser.names))


def number(value: float) -> Expression:
    """A constant as an expression."""
    root = Node("num", float(value)) if value >= 0 else Node("neg", None, (Node("num", -float(value)),))
    return Expression(format_node(root), root, frozenset())
