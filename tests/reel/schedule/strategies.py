"""Hypothesis strategies for schedules, formulas and the texts people type."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

from hypothesis import strategies as st

from reel.schedule.expressions import Expression, Node, format_node, number, parse_expression
from reel.schedule.functions import FUNCTIONS
from reel.schedule.model import BLEND, HOLD, Key, Schedule, Then
from reel.schedule.times import Time, frame

FRAMES = 48
WORDS = [
    "red",
    "blue top",
    "a cat",
    "smile, (wide:1.2)",
    "1girl",
    "don't",
    "naïve café",
    "猫",
    "rain: heavy",
    "a/b",
    "50% off",
    "x_y",
]
HARD = [
    'say "hi"',
    "back\\slash",
    "semi; colon",
    "# hash",
    "- dash",
    "yes",
    "null",
    "0",
    "1e3",
    "[b]",
    "{c}",
    "@d",
    "& e",
    "!f",
    "\u00a0g",
    "h\u2028i",
    "😀",
]

# Each case is built by a seeded generator from one drawn number: drawing every choice through hypothesis took three
# times as long as the code under test. A failing case is printed whole, and found again by its seed.
Build = Callable[[Random], Any]


def seeded(build: Build) -> st.SearchStrategy[Any]:
    return st.integers(0, 2**48).map(lambda seed: build(Random(seed)))


def text(dice: Random, words: list[str]) -> str:
    return " ".join(" ".join(dice.choices(words, k=dice.randint(1, 2))).split())


def any_then(dice: Random) -> Then:
    over = frame(dice.randint(1, 9)) if dice.random() < 0.4 else None
    mode = dice.choice(["hold", "blend", "ease"])
    if mode == "hold":
        return HOLD
    return (
        Then("blend", over=over)
        if mode == "blend"
        else Then("ease", dice.choice(["in", "out", "in-out", "sine", "compound"]), over)
    )


def plain_then(dice: Random) -> Then:
    return dice.choice([HOLD, BLEND])


def compound_then(dice: Random) -> Then:
    return dice.choice([HOLD, Then("ease", "compound")])


def places(dice: Random, fancy: bool) -> list[tuple[Time, Time | None]]:
    """Up to 6 places in order of time; with ``fancy`` also percent, seconds and counts from the end."""
    starts = sorted(dice.sample(range(FRAMES + 7), dice.randint(1, 6)))
    result: list[tuple[Time, Time | None]] = []
    for at, following in zip(starts, [*starts[1:], starts[-1] + 8], strict=True):
        until = frame(dice.randint(at + 1, following)) if dice.random() < 0.5 else None
        start = frame(at)
        if fancy and until is None and dice.random() < 0.2 and 0 < at < FRAMES:
            start = dice.choice(
                [Time("end", float(at - FRAMES)), Time("seconds", at / 12), Time("percent", at * 100 / FRAMES)]
            )
        result.append((start, until))
    return result


def prompt_schedules(words: list[str] = WORDS + HARD, then: Callable[[Random], Then] = any_then, fancy: bool = True,
                     negatives: bool = True, loops: bool = True) -> st.SearchStrategy[Schedule]:  # fmt: skip
    def build(dice: Random) -> Schedule:
        keys = tuple(
            Key(
                at,
                until,
                prompt=text(dice, words),
                negative=text(dice, words) if negatives and dice.random() < 0.25 else "",
                then=then(dice) if dice.random() < 0.5 else None,
            )
            for at, until in places(dice, fancy)
        )
        more = {"head": text(dice, words), "joiner": dice.choice([", ", " ", ","])} if dice.random() < 0.25 else {}
        ratio = dice.choice([None, None, 0.0, 0.25, 0.5, 1.0]) if fancy else None
        return Schedule(
            "prompt",
            keys,
            then(dice),
            loop=loops and dice.random() < 0.5,
            mixing=dice.choice(["lerp", "slerp"]),
            hold_ratio=ratio,
            **more,
        )

    return seeded(build)


FORMULAS = ["0.5+0.3*sin(t/6)", "t/max_f", "where(t>12, 1, t/12)", "abs(-2)**2", "clip(t-8, 0, 1)", "seconds*2"]


def value_schedules(then: Callable[[Random], Then] = any_then) -> st.SearchStrategy[Schedule]:
    def build(dice: Random) -> Schedule:
        def value() -> Expression:
            return (
                parse_expression(dice.choice(FORMULAS))
                if dice.random() < 0.4
                else number(dice.choice([0.0, 1.0, dice.uniform(-4, 4)]))
            )

        keys = tuple(
            Key(at, until, value=value(), then=then(dice) if dice.random() < 0.5 else None)
            for at, until in places(dice, True)
        )
        return Schedule("value", keys, then(dice), outside=dice.choice([None, None, 0.0, 0.5]))

    return seeded(build)


def tracks() -> st.SearchStrategy[Schedule]:
    def build(dice: Random) -> Schedule:
        keys = []
        for at, until in places(dice, True):
            prompt = text(dice, WORDS) if dice.random() < 0.6 else None
            picture = dice.choice(["a.png", "b c.png", "dir/d.jpg"]) if prompt is None or dice.random() < 0.5 else None
            strength = (
                parse_expression(dice.choice(["0.5", "t/max_f", "1.25"])) if picture and dice.random() < 0.5 else None
            )
            keys.append(
                Key(
                    at,
                    until,
                    prompt=prompt,
                    picture=picture,
                    strength=strength,
                    then=any_then(dice) if dice.random() < 0.5 else None,
                )
            )
        return Schedule("track", tuple(keys), any_then(dice))

    return seeded(build)


_NAMES = ["t", "max_f", "s", "fps", "seconds", "pi", "e", "tau"]
_BY_ARGUMENTS = [[name for name, (_, least, _) in FUNCTIONS.items() if least == n] for n in (1, 2, 3)]
_TWO = ["+", "-", "*", "/", "//", "%", "<", "<=", ">", ">=", "==", "!=", "and", "or", "&", "|"]


def node(dice: Random, depth: int) -> Node:
    kind = dice.randint(0, 7 if depth else 1)
    if kind == 0:
        return Node("num", dice.choice([float(dice.randint(0, 20)), dice.uniform(0, 50), 10.0 ** dice.randint(-9, 9)]))
    if kind == 1:
        return Node("name", dice.choice(_NAMES))
    few = [node(dice, depth - 1) for _ in range(3)]
    if kind in (2, 3):
        return Node(dice.choice(_TWO), None, (few[0], few[1]))
    if kind == 4:
        return Node("**", None, (few[0], Node("num", float(dice.randint(0, 5)))))
    if kind == 5:
        return Node(dice.choice(["neg", "not"]), None, (few[0],))
    count = 0 if kind == 6 else dice.randint(1, 2)
    return Node("call", dice.choice(_BY_ARGUMENTS[count]), tuple(few[: count + 1]))


def expressions() -> st.SearchStrategy[Expression]:
    def build(dice: Random) -> Expression:
        root = node(dice, dice.randint(0, 3))
        return Expression(format_node(root), root, frozenset())

    return seeded(build)


SEEDS = [
    '"0": "red top",\n"24": "blue top --neg blurry"',
    "{'0': 'a', '8': 'b'}",
    '0:(0.5), 24:(0.8), "max_f-2":(sin(t/6))',
    '0 = "a", 8:16 = "b", -1 = "c"',
    '"0:8": "x", "0.5": "y"',
    "girl\n0: red\n8: blue\nsmile",
    "0:closed\n\n8: open",
    '{"prompt_map": {"0": "a", "16": "b"}, "head_prompt": "h", "prompt_fixed_ratio": 0.5}',
    "0, 8:16=0.5, -1",
    "then: blend; 0: red top; 24-36 hold: blue top --neg dog --pic a.png --strength 0.5",
    "keys:\n  0: red\n  24: {prompt: b, then: blend}\n",
    "kind: value\nkeys: {0: 0.2, 50%: 'sin(t)'}\n",
    "“0”：“a”，\n“8”：“b”",
    '"0": "(a:`0.5*sin(t)`)", "9": "b"',
]
PIECES = [
    '"',
    "'",
    ",",
    ":",
    "=",
    "{",
    "}",
    "(",
    ")",
    "\n",
    " ",
    ";",
    "`",
    "“",
    "”",
    "：",
    "，",
    "0",
    "12",
    "-4",
    "0.5",
    "8:16",
    "t",
    "--neg",
    "\\",
    "#",
    "//",
    "sin(",
    "max_f",
    "\t",
    "\r\n",
    "&a",
    "*a",
    "%",
    "blend",
    "keys:",
    "prompt_map",
    "é",
    "猫",
    "\u0000",
    "[",
    "]",
    "|",
    "- ",
]


def typed() -> st.SearchStrategy[str]:
    """What a person might type: a good text with some pieces put in, taken out or doubled."""

    def build(dice: Random) -> str:
        body = dice.choice(SEEDS)
        for _ in range(dice.randint(0, 6)):
            at = dice.randint(0, len(body))
            body = body[:at] + dice.choice(["", *PIECES]) + body[at + dice.randint(0, 3) :]
        return body

    return seeded(build)
