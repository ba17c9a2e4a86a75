"""What every dialect is made of, and what several of them share."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from reel.schedule.expressions import Expression, ExpressionError, number, parse_expression
from reel.schedule.findings import Edit, Report, Source
from reel.schedule.model import Key, Schedule, Span, What
from reel.schedule.times import Time

BACKTICKS = re.compile(r"`([^`]*)`")


@dataclass(frozen=True)
class Options:
    """Facts that stand outside the text: inputs of the node it is typed into."""

    head: str = ""
    tail: str = ""


@dataclass
class Target:
    """Facts for a writer, and what it has to say."""

    frames: int | None = None
    fps: float = 12.0
    report: Report = field(default_factory=lambda: Report(Source("", "<written>")))

    def say(self, code: str, message: str) -> None:
        if not any(f.code == code and f.message == message for f in self.report.findings):
            self.report.add(code, message, 0)


Parse = Callable[[Report, What, Options], Schedule | None]
Write = Callable[[Schedule, Target], str]


@dataclass(frozen=True)
class Dialect:
    """A way to write schedules down.

    ``parse`` reads ``report.source`` and reports every mistake; it gives None only where nothing at all could be
    read. ``write`` gives text and says through its target what it had to change.
    """

    name: str
    title: str
    kinds: tuple[What, ...]
    parse: Parse
    write: Write
    fades: bool = False
    """A change takes the whole interval between two keys."""
    page: str = ""


def prompt_key(report: Report, at: Time, text: str, place: Span, body: Span, **more: object) -> Key:
    """A key from a prompt with an optional ``--neg`` part."""
    positive, *rest = text.split("--neg")
    if len(rest) > 1:
        start = report.source.text.find("--neg", body.start, body.stop)
        second = report.source.text.find("--neg", start + 1, body.stop)
        report.add(
            "RS311",
            "a second --neg: what follows it is dropped",
            max(second, body.start),
            max(second, body.start) + 5,
            fix="one --neg with all negative words",
        )
    return Key(at, prompt=positive.strip(), negative=rest[0].strip() if rest else "", place=place, body=body, **more)  # type: ignore[arg-type]


def check_formulas(report: Report, key: Key, names: frozenset[str], *, letter_t: bool = False) -> None:
    """Report mistakes in the backtick formulas of a prompt.

    Args:
        names: variables beyond the usual ones.
        letter_t: the tool replaces the letter t as text, also inside names (FizzNodes).
    """
    text = report.source.text
    if "`" not in (key.prompt or "") + key.negative:
        return
    if text.count("`", key.body.start, key.body.stop) % 2:
        report.add("RS401", "a backtick without its partner", text.rfind("`", key.body.start, key.body.stop))
        return
    for match in BACKTICKS.finditer(text, key.body.start, key.body.stop):
        try:
            parse_expression(match[1], names)
        except ExpressionError as error:
            report_expression(report, error, match.start(1))
            if report.dropped:
                return
            continue
        if letter_t:
            for word in re.finditer(r"[A-Za-z_]\w*", match[1]):
                if "t" in word[0] and word[0] != "t":
                    broken = word[0].replace("t", "5")
                    at = match.start(1) + word.start()
                    report.add(
                        "RS405",
                        f"'{word[0]}' becomes '{broken}' at frame 5: FizzNodes replaces every letter t by the "
                        "frame number",
                        at,
                        at + len(word[0]),
                        fix=_without_t(word[0]),
                    )


def _without_t(word: str) -> str:
    return {"sqrt": "x**0.5", "tan": "sin(x)/cos(x)"}.get(
        word, "a formula without this name, or a value schedule in pw_a"
    )


def report_expression(report: Report, error: ExpressionError, offset: int) -> None:
    """A formula's mistake at its place in the whole text."""
    edits = (Edit(offset + error.start, offset + error.stop, error.new),) if error.new is not None else ()
    report.add(error.code, error.message, offset + error.start, offset + error.stop, fix=error.fix, edits=edits,
               certain=error.new in ("&", "|", "=="))  # fmt: skip


def read_value(report: Report, text: str, offset: int, names: frozenset[str] = frozenset()) -> Expression | None:
    """A number or formula, reported where it cannot be read."""
    try:
        return parse_expression(text, names)
    except ExpressionError as error:
        report_expression(report, error, offset)
        return None


def used_variables(schedule_keys: list[Key], names: tuple[str, ...]) -> tuple[str, ...]:
    """Those of ``names`` that some backtick formula uses."""
    texts = " ".join(f"{k.prompt} {k.negative}" for k in schedule_keys if "`" in f"{k.prompt}{k.negative}")
    inside = " ".join(BACKTICKS.findall(texts))
    return tuple(name for name in names if re.search(rf"\b{re.escape(name)}\b", inside))


def zero_variables(report: Report, keys: list[Key], names: tuple[str, ...]) -> tuple[tuple[str, Expression], ...]:
    """Inputs of the node that the text does not hold: 0, with a finding."""
    used = used_variables(keys, names)
    for name in used:
        at = report.source.text.find(name)
        report.add(
            "RS314",
            f"{name} is an input of the node, not part of the text: it counts as 0 here",
            at,
            at + len(name),
            fix=f"set it under 'variables' after converting to yaml: {name}: 0.5",
        )
    return tuple((name, number(0)) for name in used)


def show_computed(value: float) -> str:
    """A computed value without the float's last digits: 0.5125 rather than 0.5125000000000001."""
    return show_number(round(value, 12))


def show_number(value: float) -> str:
    """The shortest text that reads back to the same float, in plain decimals where these are short."""
    text = f"{value:.12g}" if float(f"{value:.12g}") == value else repr(value)
    if "e" in text:
        plain = f"{value:.20f}".rstrip("0").rstrip(".")
        text = plain if len(plain) < 24 and float(plain or 0) == value else text
    return "0" if text == "-0" else text
