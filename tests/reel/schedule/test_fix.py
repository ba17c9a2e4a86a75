"""Nothing a person types raises; repairs are complete, idempotent, and keep comments and layout."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from reel.schedule.compile import compile_prompts
from reel.schedule.dialects.catalogue import DIALECTS
from reel.schedule.fix import fix
from reel.schedule.lint import lint
from reel.schedule.read import read
from tests.examples import examples

from .corpus import CASES
from .corpus_case import Case
from .strategies import typed


@settings(max_examples=examples(1800), deadline=None, database=None)
@example("0: " + "`" * 9)
@example("\ufeff")
@given(typed())
def test_no_text_raises_and_every_finding_has_a_place(text: str) -> None:
    lines = text.split("\n")
    for finding in lint(text, frames=48).findings:
        assert 1 <= finding.line <= len(lines)
        assert 1 <= finding.column <= len(lines[finding.line - 1]) + 1
        assert finding.excerpt.count("\n") == 1
        assert "^" in finding.excerpt


@settings(max_examples=examples(700), deadline=None, database=None)
@given(typed(), st.sampled_from(sorted(DIALECTS)))
def test_no_forced_dialect_raises(text: str, dialect: str) -> None:
    lint(text, dialect, frames=16)


@settings(max_examples=examples(1000), deadline=None, database=None)
@given(typed(), st.booleans())
def test_fixing_is_idempotent_and_leaves_nothing_certain(text: str, unsafe: bool) -> None:
    once = fix(text, unsafe=unsafe)
    again = fix(once.text, unsafe=unsafe)
    assert again.text == once.text
    assert not [f for f in once.left if f.repair and f.repair.certain and f.repair.edits], once.text


@pytest.mark.parametrize("case", CASES, ids=lambda c: c.id)
def test_the_corpus_is_fixed_once_and_for_all(case: Case) -> None:
    dialect = case.dialect if case.forced else None
    for unsafe in (False, True):
        once = fix(case.text, dialect, unsafe=unsafe)
        assert fix(once.text, dialect, unsafe=unsafe).text == once.text
        left = lint(once.text, dialect or once.dialect).findings
        assert not [f for f in left if f.repair and f.repair.certain and f.repair.edits], once.text


MENDED = [
    ("braces", "{'0': 'a', '8': 'b'}", '"0": "a", "8": "b"'),
    ("Deforum's line break", '{"0": "a\nb", "30.0": "c"}', '{"0": "a b", "30.0": "c"}'),
    ("values without commas", "0:(0.5) 24:(1)", "0:(0.5), 24:(1)"),
    ("quotes", "{'0': 'a', 8: “b”}", '"0": "a", "8": "b"'),
    ("comma", '"0": "a"\n"8": "b"', '"0": "a",\n"8": "b"'),
    ("unclosed", '"0": "a,\n"8": "b"', '"0": "a",\n"8": "b"'),
    ("inner quotes", '"0": "a "b" c", "8": "d"', '"0": "a \\"b\\" c", "8": "d"'),
    ("full width", '"0"：“a”，"8": "b"', '"0":"a","8": "b"'),
    ("escape", r'"0": "a \(b\)", "8": "c"', r'"0": "a \\(b\\)", "8": "c"'),
    ("glued", '"0": "a red\ncoat"', '"0": "a red \ncoat"'),
    ("web UI space", "girl\n0:red\n8: blue", "girl\n0: red\n8: blue"),
    ("web UI empty line", "0: red\n\n8: blue\nend", "0: red\n8: blue\nend"),
    ("bracket", "0:(0.5, 24:(1)", "0:(0.5), 24:(1)"),
    ("YAML space", "keys:\n  0:red\n  8:blue\n", "keys:\n  0: red\n  8: blue\n"),
    ("web UI, all at once", "girl\n0:red\n\n8：blue\nend", "girl\n0: red\n8: blue\nend"),
    ("whole text quoted", "'0: red; 8: blue'", "0: red; 8: blue"),
    ("equals", "0 = red; 8=blue", "0 : red; 8:blue"),
    ("unclosed single quote", "'0': 'a', '8': 'b", '"0": "a", "8": "b"'),
    ("last comma", '{"prompt_map": {"0": "a",}}', '{"prompt_map": {"0": "a"}}'),
]


@pytest.mark.parametrize(("before", "after"), [m[1:] for m in MENDED], ids=[m[0] for m in MENDED])
def test_certain_repairs(before: str, after: str) -> None:
    fixed = fix(before)
    assert fixed.text == after
    assert not [f for f in fixed.left if f.severity == "error"]
    assert f"-{before.splitlines()[0]}" in fixed.diff(before) or before.splitlines()[0] == after.splitlines()[0]


def test_comments_and_layout_stay() -> None:
    before = "# my walk cycle\nthen: blend   # soft\n\nkeys:\n    0:red   # start\n    24:   blue\n"
    assert fix(before, "yaml").text == before.replace("0:red", "0: red")


def test_likely_repairs_need_to_be_asked_for() -> None:
    text = '"0": "red top",\n"24": "blue top"'
    assert fix(text).text == text
    held = fix(text, unsafe=True).text
    assert held == '"0": "red top",\n"23": "red top", "24": "blue top"'
    track = compile_prompts(read(held), 48)
    assert track.blend.max() == 0


def test_a_repair_that_does_not_help_is_taken_back() -> None:
    text = "keys:\n  {red\n  24: {prompt: b\n then:0blend}\n"  # a space there mends nothing
    assert [f.code for f in lint(text).findings if f.repair and f.repair.certain] == ["RS120"]
    fixed = fix(text)
    assert fixed.text == text
    assert not [f for f in fixed.left if f.repair and f.repair.certain]


@pytest.mark.parametrize("unsafe", [False, True])
def test_one_repair_may_uncover_others(unsafe: bool) -> None:
    fixed = fix("girl\n0:red\n\n16: “blue”", unsafe=unsafe)  # the last line was no key, so nothing was said of it
    assert not [f for f in fixed.left if f.severity == "error"]
    assert ("15: red" in fixed.text) == unsafe


def test_what_is_likely_waits_until_the_mistakes_are_gone() -> None:
    broken = "{'0:4': 'a', '8': 'b', '16': 7}"  # nothing can mend the number, so the fade stays as it is
    assert fix(broken, unsafe=True).text == '{"0:4": "a", "8": "b", "16": 7}'


def test_a_broken_yaml_file_is_read_on() -> None:
    fixed = fix("then: hold\nkeys:\n  0:red  # start\n  8: [\n  16:blue\n", "yaml")
    assert fixed.text == "then: hold\nkeys:\n  0: red  # start\n  8: [\n  16: blue\n"
    assert [(f.code, f.line) for f in fixed.left] == [("RS120", 4)]


def test_a_thousand_mistakes_are_repaired_in_rounds() -> None:
    broken = "\n".join(f"'{k}': 'prompt {k}'" for k in range(0, 6000, 6))
    fixed = fix(broken)
    assert not [f for f in fixed.left if f.severity == "error"]
    assert len(read(fixed.text).keys) == 1000
