"""Bad input is refused early: nesting, alias bombs, sizes, bytes. The test time-out guards against hanging."""

from __future__ import annotations

from pathlib import Path

import pytest

from reel.errors import UserError
from reel.schedule.dialects.catalogue import DIALECTS
from reel.schedule.findings import Report, ScheduleError, Source
from reel.schedule.fix import fix
from reel.schedule.lint import lint
from reel.schedule.read import MAX_SIZE, load, read
from reel.schedule.yaml_text import node_at

MIB = 1024 * 1024
DEEP = {
    "lists": "keys: " + "[" * MIB,
    "objects": '{"prompt_map": ' + '{"a":' * (MIB // 5),
    "block lists": "- " * (MIB // 2),
    "questions": "? " * (MIB // 2),
    "brackets": "0:(" + "(" * MIB,
    "quotes": '"0": ' + '"' * MIB,
    "backslashes": '"0": "' + "\\" * MIB,
    "commas": '"0": "a"' + "," * MIB,
    "braces": "{" * MIB,
    "backticks": '"0": "' + "`" * MIB + '"',
    "colons": "0" + ":" * MIB,
    "blanks": '"0":' + " " * MIB + '"',
    "keys": '"0": ' * (MIB // 5),
    "minus": "0: " + "-" * MIB,
    "lines": "\n" * MIB + "0: a",
    "curly": "“0” " * (MIB // 4),
    "entries": "0: a;" * (MIB // 5),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", DEEP)
def test_a_mebibyte_of_nesting_is_answered(name: str) -> None:
    found = {f.code for f in lint(DEEP[name], frames=16).findings}
    assert found or name in ("minus", "lines")  # one long prompt, and one key far down: nothing is wrong with them


@pytest.mark.parametrize("dialect", DIALECTS)
def test_no_dialect_recurses_into_hostile_nesting(dialect: str) -> None:
    for name in ("lists", "objects", "brackets", "quotes"):
        result = lint(DEEP[name][:100_000], dialect, frames=16)
        assert result.findings or result.schedule is not None, "neither read nor refused"


def test_nesting_is_named() -> None:
    assert "RS002" in {f.code for f in lint("keys: {0: " + "[" * 100, "yaml").findings}
    assert "RS002" in {f.code for f in lint('{"prompt_map": ' + "[" * 100, "travel").findings}
    assert "RS408" in {f.code for f in lint("0:(" + "(" * 100 + "1" + ")" * 101, "fizz-value").findings}


def test_alias_bombs_are_refused() -> None:
    bomb = "a: &a [x, x]\n" + "".join(
        f"{chr(98 + i)}: &{chr(98 + i)} [{', '.join(['*' + chr(97 + i)] * 9)}]\n" for i in range(20)
    )
    assert [f.code for f in lint(bomb, "yaml").findings] == ["RS003"]
    assert [f.code for f in lint("keys: &k {0: *k}", "yaml").findings] == ["RS003"]


def test_tags_and_second_documents_are_refused() -> None:
    for text in ("keys: !!python/object/apply:os.system [echo]", "keys: {0: a}\n---\nkeys: {0: b}"):
        assert [f.code for f in lint(text, "yaml").findings] == ["RS120"]


def test_what_is_too_large_is_refused(tmp_path: Path) -> None:
    assert [f.code for f in lint("0: a;" * MAX_SIZE).findings] == ["RS001"]
    big = tmp_path / "big.txt"
    with big.open("wb") as file:
        file.truncate(5 * MAX_SIZE)
    with pytest.raises(ScheduleError) as caught:
        load(big)
    assert caught.value.findings[0].code == "RS001"


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    path = tmp_path / "s.txt"
    path.write_bytes(b"0: a\n8: \xff\xfe")
    with pytest.raises(ScheduleError) as caught:
        read(path)
    finding = caught.value.findings[0]
    assert (finding.code, finding.line, finding.column) == ("RS006", 2, 4)
    assert [f.code for f in lint("0: \ud800").findings] == ["RS006"]


def test_a_byte_order_mark_and_windows_lines_are_fine(tmp_path: Path) -> None:
    path = tmp_path / "s.txt"
    path.write_bytes("\ufeffgirl\r\n0: red\r\n8: blue\r\n".encode())
    schedule = read(path)
    assert [key.prompt for key in schedule.keys] == ["red", "blue"]
    assert schedule.head == "girl"


def test_files_that_are_not_there() -> None:
    with pytest.raises(UserError, match="cannot read the schedule"):
        read("@/nowhere/schedule.yaml")


def test_all_mistakes_are_in_the_error() -> None:
    with pytest.raises(ScheduleError) as caught:
        read("{'0': 'a' '8': 'b'}")
    assert {f.code for f in caught.value.findings} >= {"RS101", "RS102", "RS105"}
    assert "1:1: error RS101" in str(caught.value)
    assert "^" in str(caught.value)


def test_a_schedule_of_another_kind_is_refused() -> None:
    with pytest.raises(ScheduleError, match="RS115"):
        read("kind: value\nkeys: {0: 1}", what="prompt")
    assert read("0-6: a --pic b.png", what="prompt").what == "track"


def test_comments_in_a_prompt_travel_file_are_read_over() -> None:
    assert read('{  # walk\n"prompt_map": {"0": "a"}  // end\n}').keys[0].prompt == "a"


def test_hostile_escapes_do_not_reach_the_terminal() -> None:
    shown = lint('"0": "\x1b[2J", 8: \x07').findings
    assert shown
    assert all(c == "\n" or c.isprintable() for f in shown for c in f.render("x"))


def test_places_in_config_files() -> None:
    text = "# dance\ncontrols:\n  lineart:\n    weight_schedule: '0:(0.5'\nlist:\n  - a\n  - b\n"
    report = Report(Source(text))

    def place(key: str) -> tuple[int, int] | None:
        nodes = node_at(report, key)
        return report.source.place(nodes[1].start) if nodes else None

    assert place("controls.lineart.weight_schedule") == (4, 22)
    assert place("list.1") == (7, 5)
    assert place("controls.pose") is None


def test_findings_are_capped_and_counted() -> None:
    result = lint(", ".join(f"'{k}': 'x'" for k in range(2000)))
    assert len(result.findings) <= 510
    assert result.dropped > 1000


def test_fixing_a_hostile_text_ends() -> None:
    for text in ("'" * 3000, '"0": "a" ' * 300):
        repaired = fix(text).text
        assert fix(repaired).text == repaired
