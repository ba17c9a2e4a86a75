"""Rules about what prompts mean: fades, loops, lengths and punctuation."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator

from reel.emphasis import parse_emphasis
from reel.errors import UserError
from reel.prompt import EMBEDDING, check_prompt, first_unsupported
from reel.schedule.facts import Facts
from reel.schedule.findings import Edit
from reel.schedule.model import Key
from reel.schedule.texts import BACKTICKS, full_text

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
    mistakes = facts.report.errors  # they go first: between them no entry is safe to add
    edits = () if mistakes else tuple(e for h, f, k, o in found for e in _repeat(facts, h, f, k, o))
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
    at = f"frame {int(plan.held[-1])}" if facts.frames else "this last key's hold"
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


def syntax(facts: Facts) -> None:
    """RS318: what our text encoder does not read. Other tools may, so theirs are judged only when rendered here."""
    if facts.schedule.what == "value" or not (facts.rendered or facts.dialect.name in ("yaml", "short")):
        return
    common = " ".join((facts.schedule.head, facts.schedule.tail, facts.schedule.negative))
    faults = list(_faults(common, facts))
    told = {None, *((message, fix) for message, fix, _ in faults)}
    for key in facts.schedule.keys:
        for text in (key.prompt or "", key.negative):
            if (error := _refused(text, facts)) not in told:
                facts.say("RS318", error[0], key, body=True, fix=error[1])  # type: ignore[index]
    for message, fix, shown in faults:
        said = f"in head, tail or negative: {message}"
        if (at := _outside(facts, shown)) is not None:
            facts.report.add("RS318", said, at, at + len(shown), fix=fix)
        else:
            facts.say("RS318", said, facts.schedule.keys[0], fix=fix)


MOST_FAULTS = 8
"""Of head, tail and negative that are told one by one."""


def _faults(text: str, facts: Facts) -> Iterator[tuple[str, str | None, str]]:
    """(what is wrong, the fix, the words where it stands) of a text, each fault once."""
    text = BACKTICKS.sub("1", text)
    for _ in range(MOST_FAULTS):
        error = _refused(text, facts)
        if error is None:
            return
        found = first_unsupported(text, _known(text, facts))
        start, end = found[:2] if found else _bracket(text, error[0])
        shown = text[start:end] if found else text[start : start + 12].split(",")[0].rstrip()
        yield _without_place(error[0]), error[1], shown
        text = f"{text[:start]}{' ' * (end - start)}{text[end:]}"


def _bracket(text: str, message: str) -> tuple[int, int]:
    """Where the bracket stands that a message about emphasis names by line and character."""
    match = re.search(r"(?:line (\d+), )?character (\d+)", message)
    line, column = (int(match[1] or 1), int(match[2])) if match else (1, 1)
    start = sum(len(one) + 1 for one in text.split("\n")[: line - 1]) + column - 1
    return start, start + 1


def _without_place(message: str) -> str:
    """A message without its place in the joined text, which is no place in the user's own."""
    return re.sub(r" at (line \d+, )?character \d+", "", message)


def _outside(facts: Facts, words: str) -> int | None:
    """Where words stand in the source outside of every key's own text."""
    text, bodies = facts.report.source.text, [key.body for key in facts.schedule.keys]
    for match in re.finditer(re.escape(words), text) if words else ():
        if not any(body.start <= match.start() < body.stop for body in bodies):
            return match.start()
    return None


def _refused(text: str, facts: Facts) -> tuple[str, str | None] | None:
    """(what is wrong with a prompt, the fix), its formulas taken for numbers."""
    if not any(sign in text for sign in "<[({:_B-"):
        return None
    filled = BACKTICKS.sub("1", text)
    try:
        check_prompt(filled, "", _known(filled, facts))
        parse_emphasis(filled, "")
    except UserError as error:
        return error.message.split("\n", 1)[0].removeprefix(": "), error.fix
    return None


def _known(text: str, facts: Facts) -> Collection[str]:
    """Names of the textual inversions that a text may use; where they are not known, all that it names."""
    known = facts.embeddings
    return {found["name"] for found in EMBEDDING.finditer(text)} if known is None else known


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
