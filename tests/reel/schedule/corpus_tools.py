"""AnimateDiff-Evolved, the web UI, prompt-travel and latent keyframes."""

from __future__ import annotations

from .corpus_case import case

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
    case(
        "evolved-inner-quotes-and-no-comma",
        "evolved",
        '0:3 = "a "big" dog"\n3 = "b", :9 = "c"',
        ("RS119", 1, 10),
        ("RS105", 1, 20),
        ("RS211", 2, 10),
        frames=8,
        weights={0: {'a "big" dog': 1}, 3: {"b": 1}},
    ),
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
        "webui-infotext",
        "webui",
        "a sailor\n0: open eyes\n10: closed eyes\nNegative prompt: render, 3d\nSteps: 22, Sampler: Euler a, Seed: 394",
        ("RS321", 4, 1),
        ("RS301", 2, 1),
        frames=12,
        weights={0: {"a sailor, open eyes": 1}, 10: {"a sailor, closed eyes": 1}},
    ),
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
    case(
        "webui-reads-on",
        "webui",
        'girl\n0:a\n2: b\n\n\n4: "c"\nwalking\n6：d\n8: e\nbest',
        ("RS303", 2, 3),
        ("RS312", 4, 1),
        ("RS313", 6, 4),
        ("RS312", 7, 1),
        ("RS110", 8, 1),
    ),
    case("webui-empty-line", "webui", "0: a\n\n3: b", ("RS312", 2, 1)),
    case("webui-indented", "webui", "0: a\n  3: b", ("RS303", 2, 1)),
    case("webui-no-colon", "webui", "0: a\n4 b", ("RS320", 2, 1)),
    case("webui-no-colon-first", "webui", "0 a\n4: b", ("RS320", 1, 1), ("RS208", 2, 1)),
    case("webui-words-between", "webui", "0: a\nsmiling\n3: b", ("RS312", 2, 1)),
    case("webui-beyond", "webui", "0: a\n9: b", ("RS203", 2, 1), ("RS301", 1, 1), frames=8),
    case("webui-order", "webui", "3: a\n0: b", ("RS205", 2, 1)),
    case("webui-quotes", "webui", '0: "a"\n3: "b"', ("RS313", 1, 4), ("RS313", 2, 4)),
    case("webui-full-width", "webui", "0: a\n3：b", ("RS110", 2, 1)),
    case("webui-negative", "webui", "0: a\n-3: b", ("RS209", 2, 1)),
    case("webui-fraction", "webui", "0: a\n2.5: b\n3: c", ("RS202", 2, 1)),
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
    case(
        "travel-regions",
        "travel",
        '{"prompt_map": {"0": "a"}, "region_map": {"0": {"enable": true, "condition": {"prompt_map": {"0": "b"}}}, '
        '"background": {"hint": "x"}}}',
        ("RS323", 1, 42),
        frames=8,
        weights={0: {"a": 1}},
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
