"""Quoted texts as people type them: wrong quotes, lost quotes, quotes inside quotes, escapes and line breaks.

The lower half of the reader in `jsonish`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from reel.schedule.findings import Edit, Report

MAX_DEPTH = 16
LOOK_AHEAD = 4_000
"""How far a lost quote is searched for."""
PATIENCE = 1_000_000
"""Characters that all searches for lost quotes may look at together: keeps hostile texts linear."""
HOPELESS = 40_000
"""Findings beyond the largest number kept after which reading on is pointless."""

STRAIGHT, CURLY = "\"'", "“”„‟‘’‚«»「」＂＇"
WIDE = {"：": ":", "，": ",", "＝": "=", "｛": "{", "｝": "}", "、": ","}
QUOTES = STRAIGHT + CURLY
KEY_AHEAD = re.compile(
    rf"\s*(?:[{QUOTES}]\s*[\w ()+*/.:\-]{{1,40}}\s*[{QUOTES}]\s*[:：=＝]"
    rf"|[:.]?-?\d[\d.:\-]{{0,20}}\s*[:：=＝]\s*[{QUOTES}])"
)
_LOST_KEY = re.compile(rf"\s*-?[\w][\w ()+*/.:\-]{{0,39}}[{QUOTES}]\s*[:：=＝]")
GOOD_END = re.compile(
    rf"\s*(?:$|[}}\]｝](?!\s*[\w])|[,，]\s*(?=$|[}}\],，]|[{QUOTES}]|[:.]?-?\d[\d.:\-]{{0,20}}\s*[:：=＝]|#|//))"
)
_NEXT_LINE = re.compile(rf"[^\S\n]*\n{KEY_AHEAD.pattern}")
"""The end of a text whose comma is missing as well."""
_BODY = re.compile(r'[^"\\]*(?:\\.[^"\\]*)*', re.DOTALL)
_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|(.)|$)", re.DOTALL)
_ESCAPES = {'"': '"', "\\": "\\", "/": "/", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}


class Refused(Exception):
    """Raised after a finding that makes reading on pointless, such as hostile nesting."""


@dataclass(frozen=True, slots=True)
class Form:
    """What the dialect allows. ``newlines`` in a quoted text: deleted by the tool, kept, or refused."""

    sign: Literal[":", "="] = ":"
    quoted_keys: bool = True
    escapes: bool = True
    text_values: bool = True
    newlines: Literal["delete", "keep", "refuse"] = "refuse"
    last_comma: bool = True
    comments: Literal["error", "warning"] = "error"
    """How bad a comment is: prompt-travel's own documentation is full of them."""


class QuotedReader:
    """Reads one quoted text at ``pos``, and skips blanks, comments and full-width signs on the way."""

    def __init__(self, report: Report, form: Form, start: int = 0, stop: int | None = None) -> None:
        self.report, self.form = report, form
        self.text = report.source.text
        self.stop = len(self.text) if stop is None else stop
        self.pos = start
        self.depth = 0
        self.patience = PATIENCE

    def skip(self) -> str:
        """Move over blanks and comments; returns the next character, or '' at the end."""
        while self.pos < self.stop:
            char = self.text[self.pos]
            if char.isspace() or char == "\ufeff":
                self.pos += 1
            elif char == "#" or self.text.startswith(("//", "/*"), self.pos):
                self.comment()
            else:
                return char
        return ""

    def comment(self) -> None:
        start = self.pos
        end = self.text.find("*/" if self.text.startswith("/*", start) else "\n", start, self.stop)
        self.pos = self.stop if end < 0 else end + (2 if self.text.startswith("/*", start) else 0)
        self.report.add(
            "RS111",
            "comments do not belong to this dialect: the tool's parser stops here",
            start,
            self.pos,
            fix="leave the comment out",
            edits=(Edit(start, self.pos, ""),),
            severity=self.form.comments,
        )

    def wide(self, char: str) -> str:
        """The plain sign for a full-width one, with a finding."""
        plain = WIDE.get(char)
        if plain is None:
            return char
        self.report.add("RS110", f"'{char}' is a full-width sign; the tool needs a plain '{plain}'", self.pos,
                        fix=f"'{plain}'", edits=(Edit(self.pos, self.pos + 1, plain),), certain=True)  # fmt: skip
        return plain

    def read_quoted(self) -> tuple[str, int, int]:
        """The text at ``pos`` as the tool would take it, and the offsets of its inside; moves behind its end."""
        start = self.pos
        char = self.text[start]
        end = self.close_of(start, char)
        lost = end < 0 or not GOOD_END.match(self.text, end + 1, self.stop)
        if lost and not (end >= 0 and KEY_AHEAD.match(self.text, end + 1)):
            end, closed = self.recover(start, end, char)
        else:
            closed = True
        self.pos = end + 1 if closed else end
        if closed:
            self.quotes(start, end)
        return self.decode(start + 1, end, escapes=self.form.escapes and char == '"'), start + 1, end

    def close_of(self, start: int, char: str) -> int:
        """Offset of the closing quote, or -1."""
        if char == '"':
            if self.form.escapes:
                match = _BODY.match(self.text, start + 1, self.stop)
                end = match.end() if match else self.stop
                return end if end < self.stop and self.text[end] == '"' else -1
            return self.text.find('"', start + 1, self.stop)
        closers = "'＇" if char in "'＇" else CURLY + '"'
        limit = min(self.stop, start + LOOK_AHEAD)
        for i in range(start + 1, limit):  # an apostrophe inside a text is followed by a letter
            if self.text[i] in closers and self.ends_well(i + 1):
                return i
        return next((i for i in range(start + 1, limit) if self.text[i] in closers), -1)

    def ends_well(self, pos: int) -> bool:
        """What follows a closing quote: the end, a comma before another pair, or another pair at once."""
        return bool(GOOD_END.match(self.text, pos, self.stop) or KEY_AHEAD.match(self.text, pos, self.stop))

    def recover(self, start: int, end: int, char: str) -> tuple[int, bool]:
        """Where a text really ends whose closing quote is lost, or which holds quotes itself."""
        body = self.text[start + 1 : end] if end >= 0 else ""
        self.patience -= min(self.stop - start, LOOK_AHEAD) + len(body)
        if self.patience < 0:
            self.report.add("RS108", "too many lost quotes to make sense of the rest", start)
            raise Refused
        if end >= 0 and (body.rstrip().endswith((",", "，")) or "\n" in body) and _LOST_KEY.match(self.text, end + 1):
            cut = body.rstrip()
            cut = cut.rstrip(",，").rstrip() if cut.endswith((",", "，")) else cut
            return self.unclosed(start, start + 1 + len(cut))
        if end >= 0:
            limit = min(self.stop, end + LOOK_AHEAD)
            for i in range(end + 1, limit):
                if self.text[i] == "\n" and KEY_AHEAD.match(self.text, i):
                    break
                if self.text[i] == char and (
                    GOOD_END.match(self.text, i + 1, self.stop) or _NEXT_LINE.match(self.text, i + 1, self.stop)
                ):
                    return self.inner(start, end, i, char)
            return end, True
        ahead = KEY_AHEAD.search(self.text, start + 1, self.stop)
        if ahead is not None and ahead.start() > start:
            return self.unclosed(start, start + 1 + len(self.text[start + 1 : ahead.start()].rstrip().rstrip(",，")))
        rest = self.text[start + 1 : self.stop].rstrip()
        return self.unclosed(start, start + 1 + len(rest.rstrip("},， \n")))

    def unclosed(self, start: int, end: int) -> tuple[int, bool]:
        end = max(end, start + 1)
        opened = () if self.text[start] == '"' else (Edit(start, start + 1, '"'),)
        self.report.add("RS107", "this quote is never closed", start, fix="close the quote at the end of the text",
                        edits=(*opened, Edit(end, end, '"')),
                        certain=not opened or '"' not in self.text[start:end])  # fmt: skip
        return end, False

    def inner(self, start: int, first: int, last: int, char: str) -> tuple[int, bool]:
        new = '\\"' if self.form.escapes else "'"
        places = [i for i in range(first, last) if self.text[i] == char and self.text[i - 1] != "\\"]
        self.report.add("RS119", "a double quote inside the text ends it here", first,
                        fix=f"write it as {new}", edits=tuple(Edit(i, i + 1, new) for i in places),
                        certain=char == '"' and self.form.escapes)  # fmt: skip
        return last, True

    def quotes(self, start: int, end: int) -> None:
        """Report quotes that are not straight double ones."""
        wrong = {self.text[start], self.text[end]} - {'"'}
        if not wrong:
            return
        curly = bool(wrong & set(CURLY))
        inside = '"' in self.text[start + 1 : end]
        message = (
            "curly quotes: the tool needs straight double ones"
            if curly
            else "single quotes: the tool needs double ones"
        )
        edits = (Edit(start, start + 1, '"'), Edit(end, end + 1, '"'))
        self.report.add("RS103" if curly else "RS102", message, start, end + 1, fix="straight double quotes",
                        edits=edits, certain=not inside)  # fmt: skip

    def decode(self, start: int, end: int, escapes: bool) -> str:
        """The text between two quotes as the tool would take it, with findings about escapes and control characters."""
        raw = self.text[start:end]
        if self.form.newlines != "keep" and any(c in raw for c in "\n\r\t\v\f\0"):
            raw = self.controls(start, raw)
        if not escapes or "\\" not in raw:
            return raw.strip()
        out, last = [], 0
        for match in _ESCAPE.finditer(raw):
            out.append(raw[last : match.start()])
            last = match.end()
            code, char = match.groups()
            if code:
                out.append(chr(int(code, 16)))
            elif char in _ESCAPES:
                out.append(_ESCAPES[char])
            else:
                self.bad_escape(start + match.start(), char or "")
                out.append(match[0])
        out.append(raw[last:])
        text = "".join(out)
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace").strip()

    def bad_escape(self, place: int, char: str) -> None:
        at = place if self.text[place : place + 1] == "\\" else self.text.find("\\" + char, place)
        self.report.add(
            "RS113",
            f"'\\{char}' is not a JSON escape: a backslash itself is written \\\\",
            max(at, 0),
            max(at, 0) + 2,
            fix=f"\\\\{char}",
            edits=(Edit(at, at, "\\"),) if at >= 0 else (),
            certain=True,
        )

    def controls(self, start: int, raw: str) -> str:
        """Raw line breaks and tabs inside a text: what the tool makes of them, and what was meant."""
        if self.form.newlines == "refuse":
            i = next(i for i, c in enumerate(raw) if c in "\n\r\t\v\f\0")
            self.report.add(
                "RS112",
                "a line break or tab inside a quoted text",
                start + i,
                fix="a space",
                edits=tuple(
                    Edit(start + j, start + j + 1, " " if c != "\r" else "")
                    for j, c in enumerate(raw)
                    if c in "\n\r\t\v\f\0"
                ),
                certain=True,
            )
            return " ".join(raw.split())
        for match in re.finditer(r"(?<=\w)(\r?\n)(?=\w)", raw):
            place = start + match.start()
            left, right = re.search(r"\w*$", raw[: match.start()]), re.match(r"\w*", raw[match.end() :])
            glued = f"{left[0] if left else ''}{right[0] if right else ''}"
            self.report.add(
                "RS302",
                f"the node deletes this line break: the prompt reads '{glued[:40]}'",
                place,
                fix="a space before the line break",
                edits=(Edit(place, place, " "),),
                certain=True,
            )
        for match in re.finditer(r"[\t\v\f\0]", raw):
            place = start + match.start()
            self.report.add("RS112", "a tab inside a quoted text", place, fix="a space",
                            edits=(Edit(place, place + 1, " "),), certain=True)  # fmt: skip
        return raw.replace("\r\n", "").replace("\n", "").replace("\t", " ")
