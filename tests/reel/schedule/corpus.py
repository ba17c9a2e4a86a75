"""Schedules of all dialects, valid, broken and trapped, each with what must come of it. All texts are our own."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Case:
    """``findings``: exactly these (code, line, column). ``weights``: frame -> {positive prompt: weight}."""

    id: str
    text: str
    dialect: str
    findings: tuple[tuple[str, int, int], ...] = ()
    frames: int | None = None
    weights: dict[int, dict[str, float]] = field(default_factory=dict)
    values: dict[int, float] = field(default_factory=dict)
    forced: bool = False
    what: str | None = None
    lint: dict[str, object] = field(default_factory=dict)


def case(id: str, dialect: str, text: str, *findings: tuple[str, int, int], **more: object) -> Case:
    return Case(id, text, dialect, findings, **more)  # type: ignore[arg-type]


LONG = "a dancer in a red coat on a wet street at night, " * 9

FIZZ = [
    case(
        "fizz-plain",
        "fizz",
        '"0": "red top",\n"4": "blue top"',
        ("RS301", 1, 1),
        frames=8,
        weights={
            0: {"red top": 1},
            1: {"red top": 0.75, "blue top": 0.25},
            3: {"red top": 0.25, "blue top": 0.75},
            7: {"blue top": 1},
        },
    ),
    case(
        "fizz-hold",
        "fizz",
        '"0": "red top", "7": "red top",\n"8": "blue top",',
        frames=16,
        weights={7: {"red top": 1}, 8: {"blue top": 1}},
    ),
    case(
        "fizz-first-late",
        "fizz",
        '"4": "a", "6": "b"',
        ("RS208", 1, 1),
        frames=8,
        weights={0: {"a": 1}, 4: {"a": 1}, 5: {"a": 0.5, "b": 0.5}},
    ),
    case(
        "fizz-beyond",
        "fizz",
        '"0": "a", "16": "b"',
        ("RS203", 1, 11),
        ("RS301", 1, 1),
        frames=8,
        weights={7: {"a": 9 / 16, "b": 7 / 16}},
    ),
    case("fizz-negative-part", "fizz", '"0": "cat --neg dog", "2": "cat --neg dog"', frames=4, weights={0: {"cat": 1}}),
    case(
        "fizz-max-f",
        "fizz",
        '"0": "a", "max_f/2": "b"',
        ("RS301", 1, 1),
        frames=16,
        weights={4: {"a": 0.5, "b": 0.5}, 8: {"b": 1}},
    ),
    case("fizz-braces", "fizz", '{"0": "a", "2": "b"}', ("RS101", 1, 1), frames=4, weights={2: {"b": 1}}),
    case(
        "fizz-single-quotes",
        "fizz",
        "'0': 'a', '2': 'b'",
        ("RS102", 1, 1),
        ("RS102", 1, 6),
        ("RS102", 1, 11),
        ("RS102", 1, 16),
    ),
    case(
        "fizz-apostrophe",
        "fizz",
        "'0': 'it's a cat', '2': 'b'",
        ("RS102", 1, 1),
        ("RS102", 1, 6),
        ("RS102", 1, 20),
        ("RS102", 1, 25),
    ),
    case("fizz-curly", "fizz", "“0”: “a”", ("RS103", 1, 1), ("RS103", 1, 6), frames=2, weights={0: {"a": 1}}),
    case("fizz-full-width", "fizz", '"0"："a"，"2": "b"', ("RS110", 1, 4), ("RS110", 1, 8)),
    case("fizz-unquoted-key", "fizz", '0: "a", 2: "b"', ("RS104", 1, 1), ("RS104", 1, 9)),
    case("fizz-missing-comma", "fizz", '"0": "a"\n"2": "b"', ("RS105", 1, 9)),
    case("fizz-equals", "fizz", '"0" = "a", "2": "b"', ("RS106", 1, 5), forced=True),
    case(
        "fizz-unclosed",
        "fizz",
        '"0": "red top,\n"2": "blue top"',
        ("RS107", 1, 6),
        frames=4,
        weights={0: {"red top": 1}},
    ),
    case("fizz-unclosed-last", "fizz", '"0": "a",\n"2": "b', ("RS107", 2, 6), frames=4, weights={3: {"b": 1}}),
    case(
        "fizz-inner-quotes",
        "fizz",
        '"0": "a "big" dog", "2": "b"',
        ("RS119", 1, 9),
        frames=4,
        weights={0: {'a "big" dog': 1}},
    ),
    case("fizz-escaped", "fizz", r'"0": "a \"big\" dog", "2": "b"', frames=4, weights={0: {'a "big" dog': 1}}),
    case("fizz-bad-escape", "fizz", r'"0": "yoimiya \(genshin\)", "2": "b"', ("RS113", 1, 15), ("RS113", 1, 24)),
    case("fizz-tab", "fizz", '"0": "a\tb"', ("RS112", 1, 8)),
    case("fizz-comment", "fizz", '"0": "a", # first\n"2": "b"', ("RS111", 1, 11)),
    case("fizz-double-comma", "fizz", '"0": "a",, "2": "b"', ("RS109", 1, 10)),
    case(
        "fizz-glued", "fizz", '"0": "a red\ncoat", "2": "b"', ("RS302", 1, 12), frames=4, weights={0: {"a redcoat": 1}}
    ),
    case("fizz-unquoted-prompt", "fizz", '"0": red top, smiling,\n"2": "b"', ("RS117", 1, 6)),
    case("fizz-list", "fizz", '"0": ["a"], "2": "b"', ("RS114", 1, 6)),
    case("fizz-value-inside", "fizz", '"0": 0.5, "2": "b"', ("RS115", 1, 6)),
    case("fizz-fraction", "fizz", '"0": "a", "12.5": "b"', ("RS202", 1, 11), forced=True),
    case("fizz-range", "fizz", '"0": "a", "12-22": "b"', ("RS201", 1, 11)),
    case(
        "fizz-negative-key",
        "fizz",
        '"0": "a", "-4": "b"',
        ("RS209", 1, 11),
        ("RS301", 1, 11),
        forced=True,
        frames=8,
        weights={0: {"a": 1}},
    ),
    case("fizz-duplicate", "fizz", '"0": "a", "2": "b", "2": "c"', ("RS204", 1, 21), frames=4, weights={3: {"c": 1}}),
    case("fizz-neg-twice", "fizz", '"0": "a --neg b --neg c"', ("RS311", 1, 17)),
    case("fizz-letter-t", "fizz", '"0": "(a:`sqrt(t)`)"', ("RS405", 1, 11)),
    case("fizz-formula", "fizz", '"0": "(a:`0.5+t/8`)"', frames=5, weights={0: {"(a:0.5)": 1}, 4: {"(a:1)": 1}}),
    case("fizz-formula-undefined", "fizz", '"0": "(a:`1/(t-2)`)"', ("RS407", 1, 7), frames=4),
    case("fizz-input", "fizz", '"0": "(a:`pw_a`)"', ("RS314", 1, 11), frames=2, weights={0: {"(a:0)": 1}}),
    case("fizz-backtick", "fizz", '"0": "(a:`t)"', ("RS401", 1, 10)),
    case("fizz-typography", "fizz", '"0": "（red：1.2） top"', ("RS306", 1, 7)),
    case("fizz-chunks", "fizz", f'"0": "{LONG}", "2": "short"', ("RS305", 1, 7)),
    case("fizz-pre-text", "fizz", '"0": "a"', ("RS311", 1, 1), lint={"options": ("x --neg y --neg z", "")}),
    case(
        "fizz-everything",
        "fizz",
        '{\'0\': “a”\n2: "b",, "4" = "c}',
        ("RS101", 1, 1),
        ("RS102", 1, 2),
        ("RS103", 1, 7),
        ("RS105", 1, 10),
        ("RS104", 2, 1),
        ("RS109", 2, 8),
        ("RS106", 2, 14),
        ("RS107", 2, 16),
    ),
]

VALUES = [
    case("value-linear", "fizz-value", "0:(0), 4:(1)", frames=8, values={0: 0, 1: 0.25, 4: 1, 7: 1}),
    case("value-formula", "fizz-value", "0:(t*2), 4:(1), 6:(3)", frames=8, values={3: 6, 4: 1, 5: 2, 7: 3}),
    case("value-to-formula", "fizz-value", "0:(0), 4:(t+6), 6:(0)", frames=8, values={2: 5, 4: 10, 5: 11, 6: 0}),
    case("value-ignored-key", "fizz-value", "0:(0), 4:(1), 99:(9)", ("RS203", 1, 15), frames=8, values={4: 1, 7: 1}),
    case("value-quoted-key", "fizz-value", '0:(0), "max_f-2":(1)', frames=8, values={5: 1, 7: 1}),
    case("value-first-late", "fizz-value", "4:(0.5)", ("RS208", 1, 1), frames=8),
    case("value-two-arguments", "fizz-value", "0:(where(t>2,1,0))", ("RS406", 1, 13), ("RS406", 1, 15)),
    case("value-second-colon", "fizz-value", "0:(1:2), 4:(1)", ("RS118", 1, 3), ("RS316", 1, 5)),
    case("value-unclosed", "fizz-value", "0:(0.5, 4:(1)", ("RS118", 1, 3)),
    case("value-full-width", "fizz-value", "0：（0.5）", ("RS110", 1, 2), ("RS110", 1, 3), ("RS110", 1, 7)),
    case("value-last-comma", "fizz-value", "0:(0.5), 4:(1),", ("RS116", 1, 15)),
    case("value-caret", "fizz-value", "0:(t^2)", ("RS404", 1, 5)),
    case("value-unknown", "fizz-value", "0:(sinus(t))", ("RS402", 1, 4)),
    case("value-arguments", "fizz-value", "0:(sin())", ("RS403", 1, 4)),
    case("value-broken", "fizz-value", "0:(2*)", ("RS401", 1, 6), forced=True),
    case("value-undefined", "fizz-value", "0:(sqrt(3-t))", ("RS407", 1, 4), frames=8),
    case("value-range", "fizz-value", "0:(0.5), 4:(2.5)", ("RS307", 1, 13), frames=8, lint={"value_range": (0.0, 2.0)}),
    case("value-huge-exponent", "fizz-value", "0:(2**999)", ("RS408", 1, 5)),
    case("value-braces", "fizz-value", "{0:(1), 4:(2)}", ("RS101", 1, 1), forced=True),
    case("value-empty-piece", "fizz-value", "0:(1),, 4:(2)", ("RS109", 1, 7)),
    case("value-text", "fizz-value", '0:("Euler a")', ("RS115", 1, 3)),
    case("deforum-seed", "deforum", "0:(s), 2:(-1)", forced=True, frames=4, lint={"seed": 7}, values={2: -1, 3: -1}),
]

EVOLVED = [
    case(
        "evolved-pythonic",
        "evolved",
        '0 = "a", 4 = "b"',
        ("RS301", 1, 1),
        ("RS309", 1, 1),
        frames=8,
        weights={
            0: {"a": 1},
            1: {"a": 0.75, "b": 0.25},
            2: {"a": 0.375, "b": 0.625},
            3: {"a": 0.09375, "b": 0.90625},
            4: {"b": 1},
        },
    ),
    case(
        "evolved-json-range",
        "evolved-json",
        '"0:4": "a", "4:8": "b"',
        frames=8,
        weights={3: {"a": 1}, 4: {"b": 1}, 7: {"b": 1}},
    ),
    case(
        "evolved-braces-allowed", "evolved-json", '{"0:4": "a", "4": "b"}', frames=8, weights={3: {"a": 1}, 4: {"b": 1}}
    ),
    case("evolved-from-the-end", "evolved", '0:7 = "a", -1 = "b"', frames=8, weights={6: {"a": 1}, 7: {"b": 1}}),
    case(
        "evolved-share",
        "evolved",
        '0.0 = "a", 0.5 = "b", 1.0 = "c"',
        ("RS301", 1, 1),
        ("RS309", 1, 1),
        frames=8,
        weights={4: {"b": 1}, 7: {"c": 1}},
    ),
    case("evolved-share-too-large", "evolved", '0 = "a", 1.5 = "b"', ("RS210", 1, 10)),
    case("evolved-hold", "evolved", '0: = "a", 4 = "b"', ("RS308", 1, 1), frames=8, weights={3: {"a": 1}, 4: {"b": 1}}),
    case("evolved-colon-first", "evolved-json", '":4": "a", "8": "b"', ("RS211", 1, 1)),
    case("evolved-two-colons", "evolved-json", '"0:4:2": "a", "8": "b"', ("RS211", 1, 1)),
    case(
        "evolved-backwards",
        "evolved",
        '4:0 = "a", 4 = "b"',
        ("RS206", 1, 1),
        frames=8,
        weights={0: {"a": 1}, 3: {"a": 1}},
    ),
    case("evolved-order", "evolved", '4 = "b", 2 = "a"', ("RS205", 1, 10), ("RS208", 1, 10)),
    case(
        "evolved-colon-in-pythonic",
        "evolved",
        '0: "a", 8 = "b"',
        ("RS106", 1, 2),
        ("RS301", 1, 1),
        ("RS309", 1, 1),
        forced=True,
    ),
    case("evolved-no-comma", "evolved", '0 = "a" 3 = "b"', ("RS105", 1, 8)),
    case("evolved-value", "evolved", "0 = 0.0, 4 = 1.0", frames=8, values={1: 0.25, 4: 1, 7: 1}),
    case("evolved-value-hold", "evolved", "0: = 0.2, 4 = 1.0", frames=8, values={3: 0.2, 4: 1}),
    case("evolved-value-text", "evolved", "0 = 0.2, 4 = high", ("RS115", 1, 14)),
    case("evolved-value-formula", "evolved-json", '"0": 0.5, "4": 2*3', ("RS115", 1, 16)),
]

WEBUI = [
    case(
        "webui-plain",
        "webui",
        "1girl, street\n0: red top\n4: blue top\nbest quality",
        ("RS301", 2, 1),
        frames=8,
        weights={
            2: {"1girl, street, red top, best quality": 0.5, "1girl, street, blue top, best quality": 0.5},
            7: {"1girl, street, blue top, best quality": 1},
        },
    ),
    case("webui-no-space", "webui", "1girl\n0:closed mouth\n8: open mouth\nsmile", ("RS303", 2, 3)),
    case(
        "webui-no-space-later", "webui", "0: a\n2:b\n4: c", ("RS303", 2, 3), frames=8, weights={5: {"a, 2:b, 4: c": 1}}
    ),
    case("webui-empty-line", "webui", "0: a\n\n3: b", ("RS312", 2, 1)),
    case("webui-indented", "webui", "0: a\n  3: b", ("RS303", 2, 1)),
    case("webui-words-between", "webui", "0: a\nsmiling\n3: b", ("RS312", 2, 1)),
    case("webui-beyond", "webui", "0: a\n9: b", ("RS203", 2, 1), ("RS301", 1, 1), frames=8),
    case("webui-order", "webui", "3: a\n0: b", ("RS205", 2, 1)),
    case("webui-quotes", "webui", '0: "a"\n3: "b"', ("RS313", 1, 4), ("RS313", 2, 4)),
    case("webui-full-width", "webui", "0: a\n3：b", ("RS110", 2, 1)),
    case("webui-negative", "webui", "0: a\n-3: b", ("RS209", 2, 1)),
    case("webui-duplicate", "webui", "0: a\n3: b\n3: c", ("RS204", 3, 1), frames=8, weights={5: {"c": 1}}),
]

TRAVEL = [
    case(
        "travel-plain",
        "travel",
        '{"prompt_map": {"0": "a", "4": "b"}, "prompt_fixed_ratio": 0.5}',
        ("RS304", 1, 27),
        frames=8,
        weights={2: {"a": 1}, 3: {"a": 0.5, "b": 0.5}, 6: {"b": 1}, 7: {"b": 0.5, "a": 0.5}},
    ),
    case(
        "travel-ratio-zero",
        "travel",
        '{"prompt_map": {"0": "a", "4": "b"}, "prompt_fixed_ratio": 0}',
        ("RS304", 1, 27),
        frames=8,
        weights={1: {"a": 0.75, "b": 0.25}, 4: {"b": 1}, 5: {"b": 0.75, "a": 0.25}},
    ),
    case(
        "travel-ratio-one",
        "travel",
        '{"prompt_map": {"0": "a", "4": "b"}, "prompt_fixed_ratio": 1.0}',
        frames=8,
        weights={3: {"a": 1}, 4: {"b": 1}, 7: {"b": 1}},
    ),
    case(
        "travel-head",
        "travel",
        '{"head_prompt": "h", "prompt_map": {"0": "a"}, "tail_prompt": "t", "n_prompt": ["n"]}',
        frames=4,
        weights={0: {"h,a,t": 1}},
    ),
    case(
        "travel-dropped",
        "travel",
        '{"prompt_map": {"0": "a", "99": "b"}}',
        ("RS203", 1, 27),
        frames=8,
        weights={7: {"a": 1}},
    ),
    case("travel-comment", "travel", '{\n  "prompt_map": {  # frames\n    "0": "a"\n  }\n}', ("RS111", 2, 20)),
    case("travel-last-comma", "travel", '{"prompt_map": {"0": "a",}}', ("RS116", 1, 25)),
    case("travel-line-break", "travel", '{"prompt_map": {"0": "a\nb"}}', ("RS112", 1, 24)),
    case("travel-old", "travel", '{"name": "x", "base": "m", "prompt": ["a"]}', ("RS315", 1, 38)),
    case("travel-wildcard", "travel", '{"prompt_map": {"0": "a __hair__"}}', ("RS310", 1, 25)),
    case("travel-no-map", "travel", '{"head_prompt": "a"}', ("RS123", 1, 2)),
    case("travel-fraction", "travel", '{"prompt_map": {"0": "a", "2.5": "b"}}', ("RS202", 1, 27)),
    case("travel-ratio-wrong", "travel", '{"prompt_map": {"0": "a"}, "prompt_fixed_ratio": 2}', ("RS122", 1, 50)),
    case("travel-missing-comma", "travel", '{"prompt_map": {"0": "a"} "tail_prompt": "t"}', ("RS105", 1, 26)),
]

LATENT = [
    case(
        "latent-plain", "latent", "0, 2:4 = 0.5, -1=0.25", frames=8, values={0: 1, 1: 0, 2: 0.5, 3: 0.5, 4: 0, 7: 0.25}
    ),
    case("latent-text", "latent", "0, 2 = strong", ("RS115", 1, 7), forced=True),
    case("latent-empty-range", "latent", "0, 4:4 = 1", ("RS206", 1, 4)),
    case("latent-negative-strength", "latent", "0, 2 = -1", ("RS307", 1, 7), forced=True),
    case("latent-overlap", "latent", "0:6, 4:8=0.5", ("RS207", 1, 6), frames=8, values={3: 1, 4: 0.5, 7: 0.5}),
]

OWN = [
    case("short-hold", "short", "0: red top; 4: blue top", frames=8, weights={3: {"red top": 1}, 4: {"blue top": 1}}),
    case(
        "short-blend",
        "short",
        "then: blend; 0: red top; 4: blue top",
        frames=8,
        weights={1: {"red top": 0.75, "blue top": 0.25}, 4: {"blue top": 1}},
    ),
    case(
        "short-blend-over",
        "short",
        "then: blend(2); 0: a; 6: b",
        frames=8,
        weights={4: {"a": 1}, 5: {"a": 0.5, "b": 0.5}, 6: {"b": 1}},
    ),
    case("short-ease", "short", "0 ease(in): a; 4: b", frames=8, weights={2: {"a": 0.75, "b": 0.25}}),
    case("short-range", "short", "0-3 blend: a; 6: b", frames=8, weights={2: {"a": 1}, 4: {"a": 0.5, "b": 0.5}}),
    case(
        "short-loop",
        "short",
        "loop: on; then: blend; 0: a; 4: b",
        frames=8,
        weights={4: {"b": 1}, 6: {"b": 0.5, "a": 0.5}},
    ),
    case("short-percent", "short", "0: a; 50%: b; -1: c", frames=8, weights={3: {"a": 1}, 4: {"b": 1}, 7: {"c": 1}}),
    case("short-time", "short", "0: a; 0.5s: b; 0:01: c", frames=20, weights={5: {"a": 1}, 6: {"b": 1}, 12: {"c": 1}}),
    case("short-head", "short", "head: best; tail: end; 0: a", frames=2, weights={0: {"best, a, end": 1}}),
    case("short-value", "short", "0: 0.2; 4: 1.0; 6 hold: sin(0)", frames=8, values={2: 0.6, 4: 1, 5: 0.5, 6: 0}),
    case("short-typo", "short", "heda: best; 0: a", ("RS121", 1, 1)),
    case("short-bad-then", "short", "then: fade; 0: a", ("RS122", 1, 1)),
    case("short-bad-curve", "short", "0 ease(inout): a; 4: b", ("RS122", 1, 3)),
    case("short-commas", "short", "0: a, 8: b", ("RS105", 1, 5)),
    case("short-empty", "short", "0: ; 4: b", ("RS123", 1, 1)),
    case("short-beyond", "short", "0: a; 99: b", ("RS203", 1, 7), frames=8, weights={7: {"a": 1}}),
    case("short-reversed", "short", "22-12: a", ("RS206", 1, 1)),
    case("short-lora", "short", "0: a; 4: b <lora:x:1>", ("RS318", 1, 10)),
    case("short-open-bracket", "short", "head: best (art; 0: a", ("RS318", 1, 18)),
    case("short-formula-in-emphasis", "short", "0: (smile:`t/max_f`)", frames=3, weights={1: {"(smile:0.5)": 1}}),
    case("short-lone-formula", "short", "0.5+t/8", what="value", frames=8, values={0: 0.5, 4: 1}),
    case("short-overlap", "short", "0-6: a; 4-8: b", ("RS207", 1, 9), frames=8, weights={3: {"a": 1}, 4: {"b": 1}}),
    case(
        "yaml-plain",
        "yaml",
        "then: blend\nkeys:\n  0: red top\n  4: {prompt: blue top, negative: dog}\n",
        frames=8,
        weights={2: {"red top": 0.5, "blue top": 0.5}},
    ),
    case(
        "yaml-track",
        "yaml",
        "kind: track\nkeys:\n  0-6: {prompt: eyes closed, picture: closed.png}\n  6-12: open.png\n",
    ),
    case("yaml-value", "yaml", "kind: value\nkeys: {0: 0.2, 50%: 0.8}\n", frames=8, values={2: 0.5, 4: 0.8}),
    case("yaml-only-keys", "yaml", "{0: red top, 4: blue top}", frames=8, weights={5: {"blue top": 1}}),
    case("yaml-no-space", "yaml", "keys:\n  0:red\n", ("RS120", 2, 5)),
    case("yaml-syntax", "yaml", "keys:\n  0: [a\n", ("RS120", 3, 1)),
    case("yaml-alias", "yaml", "keys: {0: &x a, 4: *x}", ("RS003", 1, 11)),
    case("yaml-duplicate", "yaml", "keys:\n  0: a\n  0: b\n", ("RS204", 3, 3), frames=2, weights={0: {"b": 1}}),
    case("yaml-unknown-field", "yaml", "keys:\n  0: {promt: a}\n", ("RS121", 2, 7), ("RS123", 2, 3)),
    case("yaml-unknown-setting", "yaml", "lop: true\nkeys: {0: a}\n", ("RS121", 1, 1)),
    case("yaml-wrong-number", "yaml", "frames: many\nkeys: {0: a}\n", ("RS122", 1, 9)),
    case("yaml-bad-place", "yaml", "keys:\n  soon: a\n", ("RS201", 2, 3)),
    case("yaml-bad-formula", "yaml", "kind: value\nkeys:\n  0: 2*sni(t)\n", ("RS402", 3, 8)),
    case("yaml-value-in-prompt", "yaml", "kind: prompt\nkeys:\n  0: {value: 1}\n", ("RS115", 3, 14), ("RS123", 3, 3)),
    case("yaml-no-keys", "yaml", "kind: prompt\n", ("RS123", 1, 1)),
    case(
        "yaml-two-mistakes",
        "yaml",
        "then: fade\nkeys:\n  0: {prompt: a, then: later}\n  x9: b\n",
        ("RS122", 1, 7),
        ("RS122", 3, 24),
        ("RS201", 4, 3),
    ),
    case("empty", "short", " \n ", ("RS004", 1, 1)),
    case("nul", "short", "0: a\0b", ("RS006", 1, 5)),
    case("wrong-dialect", "webui", '"0": "a", "2": "b"', ("RS005", 1, 1), ("RS303", 1, 1), forced=True),
]

CASES = [*FIZZ, *VALUES, *EVOLVED, *WEBUI, *TRAVEL, *LATENT, *OWN]
