"""Rules about meaning. Each looks at a schedule that was read and adds findings at places in the user's text."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from reel.errors import UserError
from reel.schedule.compile import BACKTICKS, compile_values, full_text
from reel.schedule.dialects.base import Dialect
from reel.schedule.expressions import Expression, ExpressionError, parse_expression
from reel.schedule.findings import Edit, Report
from reel.schedule.model import Key, Schedule
from reel.schedule.plan import Plan, make_plan

TOKENS = 75
"""Tokens of one CLIP chunk, without its start and end mark."""
LONG_FADE = 4
"""Frames from which on a fade is long enough to be noticed."""

_TYPOGRAPHIC = str.maketrans(
    {
        "“": '"',
        "”": '"',
        "„": '"',
        "‘": "'",
        "’": "'",
        "：": ":",
        "，": ",",
        "（": "(",
        "）": ")",
        "；": ";",
        "！": "!",
        "？": "?",
        "．": ".",
        "、": ",",
        "［": "[",
        "］": "]",
        "＜": "<",
        "＞": ">",
        "｜": "|",
        "　": " ",
        "…": "...",
    }
)
_TYPOGRAPHIC_CHARS = re.compile("[" + "".join(map(chr, _TYPOGRAPHIC)) + "]+")
_WORDS = re.compile(r"[a-z]+|\d|[^\sa-z\d]+")


@dataclass
class Facts:
    """What the rules look at."""

    schedule: Schedule
    report: Report
    dialect: Dialect
    frames: int | None
    fps: float
    seed: int
    value_range: tuple[float, float] | None
    folder: Path | None

    @cached_property
    def placed(self) -> list[tuple[int, int | None, Key]]:
        """(first frame, end of the range, key) in the order written; keys that depend on an unknown N are left out."""
        result: list[tuple[int, int | None, Key]] = []
        for key in self.schedule.keys:
            if self.frames is None and any(
                t is not None and t.kind not in ("frame", "seconds") for t in (key.at, key.until)
            ):
                continue
            count = self.frames or 0
            try:
                until = key.until.resolve(count, self.fps, self.seed) if key.until is not None else None
                result.append((key.at.resolve(count, self.fps, self.seed), until, key))
            except ValueError:
                continue
        return result

    @cached_property
    def length(self) -> int:
        """N, or a guess that covers all keys."""
        return self.frames or min(max([25, *(max(a, b or 0) + 25 for a, b, _ in self.placed)]), 1_000_000)

    @cached_property
    def plan(self) -> Plan | None:
        try:
            return make_plan(self.schedule, self.length, self.fps, self.seed)
        except UserError:
            return None

    def say(self, code: str, message: str, key: Key, *, body: bool = False, **more: object) -> None:
        span = key.body if body else key.place
        self.report.add(code, message, span.start, max(span.stop, span.start + 1), **more)  # type: ignore[arg-type]


def order(facts: Facts) -> None:
    """RS205: only where the tool minds."""
    name = facts.dialect.name
    if name not in ("webui", "evolved", "evolved-json"):
        return
    highest = -(10**9)
    for at, _, key in facts.placed:
        if at < highest:
            if name == "webui":
                facts.say(
                    "RS205",
                    f"frame {at} comes after frame {highest}: the tool fails on it",
                    key,
                    severity="error",
                    fix="put the lines in order",
                )
            else:
                facts.say("RS205", f"index {at} comes after {highest}: the tool walks from {highest} back to {at}", key,
                          fix="put the entries in order")  # fmt: skip
        highest = max(highest, at)


def duplicates(facts: Facts) -> None:
    """RS204."""
    seen: dict[int, Key] = {}
    for at, _, key in facts.placed:
        if at in seen:
            line, _ = facts.report.source.place(seen[at].place.start)
            facts.say(
                "RS204",
                f"frame {at} has an entry already (line {line}): the last one wins",
                key,
                fix="leave one of the two out",
            )
        seen[at] = key


def beyond_the_end(facts: Facts) -> None:
    """RS203: needs the number of frames."""
    if facts.frames is None:
        return
    what = {
        "webui": "the tool fails on it",
        "travel": "the tool drops it silently",
        "fizz": "the fade towards it never arrives",
        "fizz-value": "the tool ignores it and holds the value before",
        "deforum": "the tool ignores it and holds the value before",
    }.get(facts.dialect.name, "it is never reached")
    for at, _, key in facts.placed:
        if at >= facts.frames:
            last = f"the clip has {facts.frames} frames, 0 to {facts.frames - 1}"
            facts.say(
                "RS203",
                f"frame {at} lies beyond the end: {what} ({last})",
                key,
                fix=f"{facts.frames - 1} at most",
                severity="error" if facts.dialect.name == "webui" else None,
            )


def first_key(facts: Facts) -> None:
    """RS208."""
    if (
        facts.report.errors
        or not facts.placed
        or len(facts.placed) < len(facts.schedule.keys)
        or facts.schedule.outside is not None
    ):
        return
    at, _, key = min(facts.placed, key=lambda p: p[0])
    if at <= 0 or (facts.schedule.what == "track" and key.prompt is None):
        return
    if facts.dialect.name in ("fizz-value", "deforum"):
        facts.say(
            "RS208",
            f"the first key is {at}: the node crashes, since frame 0 has no value",
            key,
            severity="error",
            fix="begin with 0:(...)",
        )
        return
    what = "they travel from the last prompt" if facts.schedule.loop else "they get this first entry as well"
    facts.say("RS208", f"the first key is {at}; frames 0 to {at - 1} have none: {what}", key, fix="a key at 0")


def overlaps(facts: Facts) -> None:
    """RS207: a range that is cut short by a later key."""
    ordered = sorted(facts.placed, key=lambda p: p[0])
    for (a, until, key), (b, _, other) in itertools.pairwise(ordered):
        if until is not None and a < b < until:
            line, column = facts.report.source.place(key.place.start)
            facts.say(
                "RS207",
                f"frame {b} lies inside the range {a}-{until} (line {line}, column {column}), which ends here",
                other,
                fix=f"end that range at {b}",
            )


def _fades(facts: Facts) -> Iterator[tuple[int, int, Key, Key]]:
    """(last held frame, next frame, key, next key) of every change of prompt that takes LONG_FADE frames or more."""
    plan = facts.plan
    if plan is None or facts.schedule.what != "prompt":
        return
    for i, (key, other) in enumerate(zip(plan.keys, plan.keys[1:], strict=False)):
        held, following = int(plan.held[i]), int(plan.start[i + 1])
        then = facts.schedule.then_of(key)
        if (
            then.mode != "hold"
            and following - held >= LONG_FADE
            and full_text(facts.schedule, key) != full_text(facts.schedule, other)
        ):
            yield held, following, key, other


def slow_fades(facts: Facts) -> None:
    """RS301: once for a schedule, at the first such fade; the repair repeats each prompt just before its change."""
    if not facts.dialect.fades or facts.dialect.name == "travel":
        return
    found = list(_fades(facts))
    if not found:
        return
    held, following, key, _ = found[0]
    more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
    edits = tuple(e for h, f, k, o in found for e in _repeat(facts, h, f, k, o))
    facts.say(
        "RS301",
        f"this prompt fades into the next one over ALL frames {held} to {following}{more}; to hold it, repeat it "
        f"at {following - 1}",
        key,
        fix="repeat each prompt just before its change",
        edits=edits,
    )


def _repeat(facts: Facts, held: int, following: int, key: Key, other: Key) -> Iterator[Edit]:
    """An entry of the dialect's own form that holds ``key``'s prompt until just before ``other``."""
    at, text = following - 1, facts.report.source.text
    body = text[key.body.start : key.body.stop]
    if facts.dialect.name == "fizz" and text[key.body.start - 1 : key.body.start] == '"':
        yield Edit(other.place.start, other.place.start, f'"{at}": "{body}", ')
    elif facts.dialect.name == "webui":
        yield Edit(other.place.start, other.place.start, f"{at}: {body}\n")
    elif facts.dialect.name.startswith("evolved") and key.until is None and key.at.kind == "frame":
        quoted = text[key.place.start : key.place.start + 1] == '"'
        span = f'"{int(key.at.value)}:{following}"' if quoted else f"{int(key.at.value)}:{following}"
        yield Edit(key.place.start, key.place.stop, span)


def compound_fades(facts: Facts) -> None:
    """RS309."""
    if facts.schedule.what == "prompt" and facts.dialect.name.startswith("evolved"):
        for held, following, key, _ in _fades(facts):
            facts.say(
                "RS309",
                f"the fade from {held} to {following} runs ahead: each frame is mixed from the one before it",
                key,
                fix="keep it, or write 'then: blend' after converting to yaml",
            )
            return


def travel_back(facts: Facts) -> None:
    """RS304."""
    schedule, plan = facts.schedule, facts.plan
    if facts.dialect.name != "travel" or plan is None or len(plan.keys) < 2:
        return
    last = plan.keys[-1]
    if full_text(schedule, last) == full_text(schedule, plan.keys[0]):
        return
    if facts.frames is not None and int(plan.held[-1]) >= facts.frames - 1:
        return
    at = f"frame {int(plan.held[-1])}" if facts.frames else "its hold"
    facts.say("RS304", f"after {at} the clip travels back to the first prompt: this tool always loops", last,
              fix="repeat the last prompt at the last frame (then only the last step travels)")  # fmt: skip


def chunks(facts: Facts) -> None:
    """RS305: a rough count, since the exact one needs the tokenizer."""
    if facts.schedule.what == "value":
        return
    counted = [(tokens(full_text(facts.schedule, key)[0]), key) for key in facts.schedule.keys if key.prompt]
    sizes = {max(1, -(-count // TOKENS)) for count, _ in counted}
    if len(sizes) < 2:
        return
    count, key = max(counted, key=lambda pair: pair[0])
    facts.say(
        "RS305",
        f"this prompt has about {count} tokens, others fit into {TOKENS}: chunk counts {min(sizes)} and {max(sizes)}",
        key,
        body=True,
        fix=f"keep every prompt below {TOKENS} tokens, or lengthen the short ones",
    )


def tokens(text: str) -> int:
    """About how many CLIP tokens a text has: a word of up to 7 letters is one, longer ones are split."""
    return sum(1 if len(word) <= 7 else -(-len(word) // 5) for word in _WORDS.findall(text.lower()))


def typography(facts: Facts) -> None:
    """RS306: inside prompts; the form's own signs are the reader's business."""
    for key in facts.schedule.keys:
        both = f"{key.prompt or ''}{key.negative}"
        if both.isascii() or not _TYPOGRAPHIC_CHARS.search(both):
            continue
        found = list(_TYPOGRAPHIC_CHARS.finditer(facts.report.source.text, key.body.start, key.body.stop))
        if not found:
            continue
        edits = tuple(_plain(facts, m) for m in found)
        shown = "".join(dict.fromkeys("".join(m[0] for m in found)))
        facts.report.add(
            "RS306",
            f"{shown} inside a prompt are other tokens than the plain signs",
            found[0].start(),
            found[0].end(),
            fix="plain signs",
            edits=edits,
        )


def _plain(facts: Facts, match: re.Match[str]) -> Edit:
    plain = match[0].translate(_TYPOGRAPHIC)
    if '"' in plain and facts.dialect.name in ("fizz", "travel", "yaml"):
        plain = json.dumps(plain)[1:-1] if facts.dialect.name != "yaml" else plain.replace('"', "'")
    elif facts.dialect.name.startswith("evolved"):
        plain = plain.replace('"', "'")
    if ";" in plain and facts.dialect.name == "short":
        plain = plain.replace(";", "\\;")
    return Edit(match.start(), match.end(), plain)


def undefined(facts: Facts) -> None:
    """RS407: evaluates every formula over the frames that use it."""
    plan = facts.plan
    if plan is None:
        return
    edges = np.append(plan.start, plan.frames)
    for i, key in enumerate(plan.keys):
        span = np.arange(max(0, int(edges[i])), min(plan.frames, max(int(edges[i + 1]), int(edges[i]) + 1)))
        if not len(span):
            span = np.array([max(0, int(edges[i]))])
        for text, formula in _formulas(facts, key):
            bad = np.flatnonzero(~np.isfinite(formula.evaluate(plan.env(span))))
            if len(bad):
                facts.say("RS407", f"'{text[:40]}' is undefined at frame {int(span[bad[0]])}", key, body=True,
                          fix="keep divisors away from 0, roots and logarithms above it")  # fmt: skip


def _formulas(facts: Facts, key: Key) -> Iterator[tuple[str, Expression]]:
    for formula in (key.value, key.strength):
        if formula is not None and formula.root.op != "num":
            yield formula.text, formula
    names = frozenset(name for name, _ in facts.schedule.variables)
    for text in BACKTICKS.findall(f"{key.prompt or ''} {key.negative}") if "`" in f"{key.prompt}{key.negative}" else ():
        try:
            yield text, parse_expression(text, names)
        except ExpressionError:
            continue


def value_range(facts: Facts) -> None:
    """RS307."""
    if facts.value_range is None or facts.schedule.what != "value" or facts.plan is None:
        return
    low, high = facts.value_range
    try:
        values = compile_values(facts.schedule, facts.length, facts.fps, facts.seed)
    except UserError:
        return
    told: set[int] = set()
    for at in np.flatnonzero((values < low - 1e-9) | (values > high + 1e-9)).tolist():
        index = int(facts.plan.index[at])
        if index not in told:
            told.add(index)
            facts.say(
                "RS307",
                f"{values[at]:.4g} at frame {at} lies outside {low:g} to {high:g}",
                facts.plan.keys[index],
                body=True,
                fix=f"clip({low:g}..{high:g}) or another value",
            )


def missing_pictures(facts: Facts) -> None:
    """RS317: only where the folder is known."""
    if facts.folder is None:
        return
    for key in facts.schedule.keys:
        if key.picture is not None and not (facts.folder / key.picture).is_file():
            facts.say("RS317", f"there is no picture '{key.picture}' in {facts.folder}", key, body=True)


def commas_between_entries(facts: Facts) -> None:
    """RS105 in our own one-line form: pairs with commas, as other dialects have them, become one long prompt."""
    if facts.dialect.name != "short" or facts.schedule.what != "prompt":
        return
    for key in facts.schedule.keys:
        match = re.compile(r"\s*(,)\s*-?\d+(-\d+)?\s*:\s").search(
            facts.report.source.text, key.body.start, key.body.stop
        )
        if match:
            facts.report.add(
                "RS105",
                "a key seems to follow this comma; entries of this form are separated by ';'",
                match.start(1),
                severity="warning",
                fix="';'",
                edits=(Edit(match.start(1), match.end(1), ";"),),
            )
