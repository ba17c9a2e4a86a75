"""Hypothesis strategies for schedules, formulas and the texts people type."""

from __future__ import annotations

from hypothesis import strategies as st

from reel.schedule.expressions import Expression, Node, format_node, number, parse_expression
from reel.schedule.model import BLEND, HOLD, Key, Schedule, Then
from reel.schedule.times import Time, frame

FRAMES = 48
WORDS = ["red", "blue top", "a cat", "smile, (wide:1.2)", "1girl", "don't", "naïve café", "猫", "rain: heavy", "a/b", "50% off", "x_y"]
HARD = ['say "hi"', "back\\slash", "semi; colon", "# hash", "- dash", "yes", "null", "0", "1e3", "[b]", "{c}", "@d", "& e", "!f", "\u00a0g", "h\u2028i", "😀"]  # noqa: E501

words = st.sampled_from(WORDS)
hard_words = st.sampled_from(WORDS + HARD)


def texts(word: st.SearchStrategy[str] = words) -> st.SearchStrategy[str]:
    return st.lists(word, min_size=1, max_size=2).map(" ".join).map(lambda t: " ".join(t.split()))


thens = st.one_of(
    st.just(HOLD),
    st.just(BLEND),
    st.sampled_from(["in", "out", "in-out", "sine", "compound"]).map(lambda c: Then("ease", c)),
    st.integers(1, 9).map(lambda n: Then("blend", over=frame(n))),
    st.tuples(st.sampled_from(["in-out", "out-cubic"]), st.integers(1, 9)).map(lambda p: Then("ease", p[0], frame(p[1]))),
)
plain_thens = st.sampled_from([HOLD, BLEND])


@st.composite
def places(draw: st.DrawFn, count: int, fancy: bool) -> list[tuple[Time, Time | None]]:
    """``count`` places in order of time; with ``fancy`` also percent, seconds and counts from the end."""
    starts = sorted(draw(st.sets(st.integers(0, FRAMES + 6), min_size=count, max_size=count)))
    result: list[tuple[Time, Time | None]] = []
    for i, at in enumerate(starts):
        room = (starts[i + 1] if i + 1 < count else at + 8) - at
        until = frame(at + draw(st.integers(1, room))) if draw(st.booleans()) else None
        start = frame(at)
        if fancy and until is None and draw(st.integers(0, 4)) == 0 and 0 < at < FRAMES:
            start = draw(st.sampled_from([Time("end", float(at - FRAMES)), Time("seconds", at / 12), Time("percent", at * 100 / FRAMES)]))
        result.append((start, until))
    return result


@st.composite
def prompt_schedules(draw: st.DrawFn, *, word: st.SearchStrategy[str] = hard_words, then: st.SearchStrategy[Then] = thens,
                     fancy: bool = True, negatives: bool = True, loops: bool = True, head: bool = True) -> Schedule:  # fmt: skip
    count = draw(st.integers(1, 6))
    keys = tuple(
        Key(at, until, prompt=draw(texts(word)), negative=draw(texts(word)) if negatives and draw(st.integers(0, 3)) == 0 else "",
            then=draw(st.none() | then))
        for at, until in draw(places(count, fancy))
    )  # fmt: skip
    more = {"head": draw(texts(word)), "joiner": draw(st.sampled_from([", ", " ", ","]))} if head and draw(st.integers(0, 3)) == 0 else {}
    return Schedule("prompt", keys, draw(then), loop=loops and draw(st.booleans()), mixing=draw(st.sampled_from(["lerp", "slerp"])),
                    hold_ratio=draw(st.none() | st.sampled_from([0.0, 0.25, 0.5, 1.0])) if fancy else None, **more)  # fmt: skip


@st.composite
def value_schedules(draw: st.DrawFn, then: st.SearchStrategy[Then] = thens, fancy: bool = True) -> Schedule:
    count = draw(st.integers(1, 6))
    value = st.one_of(st.floats(-4, 4, width=32).map(number), st.sampled_from(
        ["0.5+0.3*sin(t/6)", "t/max_f", "where(t>12, 1, t/12)", "abs(-2)**2", "clip(t-8, 0, 1)", "seconds*2"]).map(parse_expression))  # fmt: skip
    keys = tuple(Key(at, until, value=draw(value), then=draw(st.none() | then)) for at, until in draw(places(count, fancy)))
    return Schedule("value", keys, draw(then), outside=draw(st.none() | st.sampled_from([0.0, 0.5])) if fancy else None)


@st.composite
def tracks(draw: st.DrawFn) -> Schedule:
    count = draw(st.integers(1, 5))
    keys = []
    for at, until in draw(places(count, True)):
        strength = draw(st.none() | st.sampled_from(["0.5", "t/max_f", "1.25"]).map(parse_expression))
        prompt = draw(st.none() | texts())
        picture = draw(st.sampled_from(["a.png", "b c.png", "dir/d.jpg"])) if prompt is None or draw(st.booleans()) else None
        keys.append(Key(at, until, prompt=prompt, picture=picture, strength=strength if picture else None, then=draw(st.none() | thens)))
    return Schedule("track", tuple(keys), draw(thens))


_NAMES = ["t", "max_f", "s", "fps", "seconds", "pi", "e", "tau"]
_ONE = ["sin", "cos", "tan", "sqrt", "abs", "floor", "ceil", "exp", "log", "log1p", "arctan", "tanh", "sign", "round", "int"]
_TWO = ["+", "-", "*", "/", "//", "%", "<", "<=", ">", ">=", "==", "!=", "and", "or", "&", "|"]


def nodes(depth: int = 3) -> st.SearchStrategy[Node]:
    leaf = st.one_of(
        st.integers(0, 20).map(lambda n: Node("num", float(n))),
        st.floats(0, 50, allow_subnormal=False).map(lambda x: Node("num", x)),
        st.sampled_from(_NAMES).map(lambda n: Node("name", n)),
    )
    if depth == 0:
        return leaf
    inner = nodes(depth - 1)
    return st.one_of(
        leaf,
        st.tuples(st.sampled_from(_TWO), inner, inner).map(lambda p: Node(p[0], None, p[1:])),
        st.tuples(inner, st.integers(0, 5)).map(lambda p: Node("**", None, (p[0], Node("num", float(p[1]))))),
        st.tuples(st.sampled_from(["neg", "not"]), inner).map(lambda p: Node(p[0], None, (p[1],))),
        st.tuples(st.sampled_from(_ONE), inner).map(lambda p: Node("call", p[0], (p[1],))),
        st.tuples(st.sampled_from(["arctan2", "hypot", "mod", "fmod", "min", "max"]), inner, inner).map(lambda p: Node("call", p[0], p[1:])),
        st.tuples(st.sampled_from(["where", "clip", "lerp"]), inner, inner, inner).map(lambda p: Node("call", p[0], p[1:])),
    )


def expressions() -> st.SearchStrategy[Expression]:
    return nodes(2).map(lambda n: Expression(format_node(n), n, frozenset()))


SEEDS = [
    '"0": "red top",\n"24": "blue top --neg blurry"', "{'0': 'a', '8': 'b'}", '0:(0.5), 24:(0.8), "max_f-2":(sin(t/6))',
    '0 = "a", 8:16 = "b", -1 = "c"', '"0:8": "x", "0.5": "y"', "girl\n0: red\n8: blue\nsmile", "0:closed\n\n8: open",
    '{"prompt_map": {"0": "a", "16": "b"}, "head_prompt": "h", "prompt_fixed_ratio": 0.5}', "0, 8:16=0.5, -1",
    "then: blend; 0: red top; 24-36 hold: blue top --neg dog --pic a.png --strength 0.5", "keys:\n  0: red\n  24: {prompt: b, then: blend}\n",
    "kind: value\nkeys: {0: 0.2, 50%: 'sin(t)'}\n", "“0”：“a”，\n“8”：“b”", '"0": "(a:`0.5*sin(t)`)", "9": "b"',
]  # fmt: skip
PIECES = ['"', "'", ",", ":", "=", "{", "}", "(", ")", "\n", " ", ";", "`", "“", "”", "：", "，", "0", "12", "-4", "0.5", "8:16", "t", "--neg",
          "\\", "#", "//", "sin(", "max_f", "\t", "\r\n", "&a", "*a", "%", "blend", "keys:", "prompt_map", "é", "猫", "\u0000", "[", "]", "|", "- "]  # fmt: skip


@st.composite
def typed(draw: st.DrawFn) -> str:
    """What a person might type: a good text with some pieces put in, taken out or doubled."""
    text = draw(st.sampled_from(SEEDS))
    for _ in range(draw(st.integers(0, 6))):
        at = draw(st.integers(0, len(text)))
        cut = draw(st.integers(0, 3))
        text = text[:at] + draw(st.sampled_from(["", *PIECES])) + text[at + cut :]
    return text
