"""The documentation shows what the program really prints, and the published schema takes what the reader takes."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest
import yaml
from hypothesis import example, given, settings

from flows.commands.schedule import main
from reel.schedule.codes import CODES, page
from reel.schedule.compile import compile_pictures, compile_prompts, compile_values
from reel.schedule.curves import NAMES, steps_of
from reel.schedule.dialects.base import Target
from reel.schedule.dialects.catalogue import DIALECTS
from reel.schedule.expressions import VARIABLES
from reel.schedule.functions import FUNCTIONS
from reel.schedule.lint import lint
from reel.schedule.model import Key, Schedule, What
from reel.schedule.read import read
from reel.schedule.times import frame
from reel.schedule.yaml_text import quote
from tests.examples import examples

from .corpus import CASES
from .strategies import prompt_schedules, tracks, value_schedules

DOCS = Path(__file__).parents[3] / "docs" / "schedules"
PAGES = sorted(DOCS.glob("*.md"))
SCHEMA = json.loads((DOCS / "schema.json").read_text(encoding="utf-8"))


def sessions() -> list[tuple[str, str, str]]:
    """(page, command, output) of every console block; a command may run over several lines that begin with ``$``."""
    found: list[tuple[str, str, str]] = []
    for path in PAGES:
        for block in re.findall(r"```console\n(.*?)\n```", path.read_text(encoding="utf-8"), re.DOTALL):
            command, output = "", []
            for line in block.split("\n"):
                if line.startswith("$ rotoscope") and command:
                    found.append((path.name, command, "\n".join(output)))
                    command, output = "", []
                if line.startswith("$ "):
                    command += ("\n" if command else "") + line[2:]
                else:
                    output.append(line)
            found.append((path.name, command, "\n".join(output)))
    return found


@pytest.mark.parametrize(("name", "command", "output"), sessions(), ids=lambda v: v[:50].replace("\n", " "))
def test_examples_print_what_the_page_shows(
    name: str, command: str, output: str, capsys: pytest.CaptureFixture[str]
) -> None:
    main(shlex.split(command)[2:])
    assert capsys.readouterr().out.rstrip("\n") == output


def test_there_are_examples_on_every_page() -> None:
    assert len(sessions()) >= 15
    assert {name for name, _, _ in sessions()} == {p.name for p in PAGES} - {"codes.md"}


def schedules_in_commands() -> list[tuple[What, str, int]]:
    """Kind and text of the schedules that commands in README, pages and helps pass, and the clip's frames."""
    root = DOCS.parents[1]
    pages = [root / "README.md", *root.glob("docs/**/*.md"), *root.glob("flows/*.py")]
    given = re.compile(r"""(\w+)_schedule=(?:'([^'@$]+)'|"([^"@$]+)")""")
    found: list[tuple[What, str, int]] = []
    for text in (path.read_text("utf-8") for path in pages):
        for match in given.finditer(text):
            name, single, double = match.groups()
            command = text[max(0, text.rfind("rotoscope", 0, match.start())) : match.start()]
            frames = re.search(r"\bframes=(\d+)", command)
            found.append(
                ("prompt" if name == "prompt" else "value", single or double, int(frames[1]) if frames else 48)
            )
    return found


def test_examples_of_schedules_have_no_finding() -> None:
    assert len(schedules_in_commands()) >= 4
    for what, text, frames in schedules_in_commands():
        assert lint(text, what=what, frames=frames).findings == [], text


def traps() -> list[tuple[str, str]]:
    """(page, code) of every finding that the trap table of a dialect's page names for reading."""
    found: list[tuple[str, str]] = []
    for path in PAGES:
        text = path.read_text(encoding="utf-8") + "\n\n"
        if "| trap | finding | in our form |" in text:
            rows = text[text.index("| trap | finding") :].split("\n\n")[0].strip().split("\n")[2:]
            found += [(path.name, code) for row in rows for code in re.findall(r"RS[0-4]\d\d", row.split(" | ")[1])]
    return found


@pytest.mark.parametrize(("page", "code"), traps())
def test_every_documented_trap_is_found_in_the_corpus(page: str, code: str) -> None:
    told = {(DIALECTS[case.dialect].page, code) for case in CASES for code, _, _ in case.findings}
    assert (page, code) in told


def test_every_dialect_of_another_tool_documents_its_traps() -> None:
    assert len(traps()) >= 50
    assert {page for page, _ in traps()} == {d.page for d in DIALECTS.values()} - {"index.md"}


def test_every_dialect_has_its_page() -> None:
    assert {d.page for d in DIALECTS.values()} <= {p.name for p in PAGES}


def test_the_page_of_codes_is_current() -> None:
    assert (DOCS / "codes.md").read_text(encoding="utf-8") == page(), (
        "run: python -m reel.schedule.codes > docs/schedules/codes.md"
    )
    named = {code for p in PAGES for code in re.findall(r"RS\d{3}", p.read_text(encoding="utf-8"))}
    assert named == set(CODES)


def test_yaml_examples_are_read_and_match_the_schema() -> None:
    import jsonschema

    blocks = [b for p in PAGES for b in re.findall(r"```yaml\n(.*?)\n```", p.read_text(encoding="utf-8"), re.DOTALL)]
    assert len(blocks) >= 2
    for block in blocks:
        schedule = read(block, "yaml", "track" if "picture:" in block else "prompt")
        jsonschema.validate(_strings(yaml.safe_load(block)), SCHEMA)
        assert compile_prompts(schedule, 48).texts
        assert bool(compile_pictures(schedule, 48)) == schedule.has_pictures


def _strings(data: object) -> object:
    """Keys as an editor sees them: JSON knows texts only."""
    return {str(k): _strings(v) for k, v in data.items()} if isinstance(data, dict) else data


NUMBERLIKE = ["0", "-3.5", "1984", "1e3", "0x1f", "0o17", "017", "1_000", "1:30", ".5", "5.", "+1", ".inf", "-.Inf",
              ".NaN", "~", "null", "Null", "", "true", "TRUE", "yes", "No", "on", "OFF", "y", "N", "2024-01-02", "=",
              "2001-12-14 21:59:43", "- a", "? a", "a: b", "a #b", "# a", "@a", "`t`", "%a", "&a", "*a", "!a", "|",
              "<<", ">", "[a]", "{a}", "a,", "---", "...", "'a'", '"a"', " a", "a\tb", "a\\"]  # fmt: skip
"""Texts that YAML 1.1 or 1.2 reads as something else where they stand without quotes."""
_OTHER_IN_1_2 = re.compile(
    r"null|~||true|false|[-+]?\d+|0o[0-7]+|0x[\da-f]+|[-+]?(\.\d+|\d+(\.\d*)?)(e[-+]?\d+)?|[-+]?\.inf|\.nan",
    re.IGNORECASE,
)


@pytest.mark.parametrize("text", [*NUMBERLIKE, "0 is a number", "e", "T", "nan", "inf", "top (wide)"])
def test_a_written_text_is_read_as_that_text(text: str) -> None:
    for flow, around in ((False, "key: {}"), (True, "{{key: {}, more: 1}}")):
        written = quote(text, flow)
        assert yaml.safe_load(around.format(written))["key"] == text
        assert written.startswith('"') or not _OTHER_IN_1_2.fullmatch(written)
    schedule = Schedule("prompt", (Key(frame(0), prompt=text or "a"),), head=text)
    again = read(DIALECTS["yaml"].write(schedule, Target(48)), "yaml")
    words = " ".join(text.split())  # blanks at the ends and doubled ones mean nothing in a prompt
    assert (again.keys[0].prompt, again.head) == (words or "a", text)


def test_unquoted_numbers_are_read_as_they_are_written() -> None:
    schedule = read("head: 007\nkeys: {0: 1e3, 8: yes, 9: 2024-01-02, 10: 0x1f, 11: ~}", "yaml", "prompt")
    assert [schedule.head, *(key.prompt for key in schedule.keys)] == ["007", "1e3", "yes", "2024-01-02", "0x1f", "~"]


@settings(max_examples=examples(100), deadline=None, database=None)
@example(Schedule("prompt", (Key(frame(0), prompt="0", negative="1984"),), head="0", tail="null", negative="yes"))
@given(prompt_schedules() | value_schedules() | tracks())
def test_the_schema_takes_whatever_is_written(schedule: Schedule) -> None:
    import jsonschema

    validator = jsonschema.Draft202012Validator(SCHEMA)
    text = DIALECTS["yaml"].write(schedule, Target(48))
    problems = [e.message for e in validator.iter_errors(_strings(yaml.safe_load(text)))]
    assert not problems, (text, problems)


@pytest.mark.parametrize("case", [c for c in CASES if c.dialect == "yaml"], ids=lambda c: c.id)
def test_the_schema_agrees_with_the_reader(case: object) -> None:
    import jsonschema

    codes = {code for code, _, _ in case.findings}  # type: ignore[attr-defined]
    if codes & {"RS120", "RS003", "RS204", "RS402"}:
        pytest.skip("below the level of a schema: YAML syntax and formulas")
    valid = jsonschema.Draft202012Validator(SCHEMA).is_valid(_strings(yaml.safe_load(case.text)))  # type: ignore[attr-defined]
    kinds = {"RS115", "RS123"}  # a field that does not fit the kind is beyond this schema
    assert valid == (not codes - kinds) or codes & kinds


def test_the_table_of_transitions_is_right() -> None:
    text = (DOCS / "index.md").read_text(encoding="utf-8")
    rows = re.findall(r"\| `(hold|blend[^`]*|ease[^`]*)`[^|]*\| .* \| ([\d., ]+) \|", text)
    assert len(rows) >= 8
    for then, expected in rows:
        track = compile_prompts(read(f"0 {then}: a; 4: b"), 5)
        shown = [float(x) for x in expected.split(",")]
        assert track.weights(track.texts.index(("b", ""))).tolist() == pytest.approx(shown, abs=5e-5), then
    assert {name for name in NAMES if name in text or name == "linear"} == set(NAMES)


def test_the_table_of_places_is_right() -> None:
    text = (DOCS / "index.md").read_text(encoding="utf-8")
    section = text[text.index("## Places in time") : text.index("## Transitions")]
    rows = re.findall(r"^\| (`[^|]*`) \| [^|]* \| ([\d., ]+) \|$", section, re.MULTILINE)
    assert len(rows) >= 8
    for places, expected in rows:
        for place, shown in zip(re.findall(r"`([^`]+)`", places), expected.split(", "), strict=True):
            key = read(f'keys: {{"{place}": a}}', "yaml").keys[0]
            got = str(key.at.resolve(48, 12.0)) + (f"..{key.until.resolve(48, 12.0) - 1}" if key.until else "")
            assert got == shown, place


def test_functions_and_variables_are_named() -> None:
    text = (DOCS / "index.md").read_text(encoding="utf-8")
    missing = {n for n in [*FUNCTIONS, *VARIABLES] if not re.search(rf"\b{n}\b", text)}
    assert missing <= {"arcsinh", "arccosh", "arctanh", "float"}


def test_curves_for_tables() -> None:
    assert steps_of("compound", 4) == pytest.approx([0, 0.25, 0.625, 0.90625])
    assert compile_values(read("0: 0; 4: 1", what="value"), 5).tolist() == [0, 0.25, 0.5, 0.75, 1]
