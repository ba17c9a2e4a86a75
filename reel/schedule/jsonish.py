"""Reads what people write where JSON is wanted, goes on after every mistake, and says what each one was.

`json.loads` stops at the first problem with a message about the wrong thing; this reader takes single and curly
quotes, full-width signs, missing commas, unclosed quotes, comments and quotes inside quotes for what they are.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
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
_WIDE = {"：": ":", "，": ",", "＝": "=", "｛": "{", "｝": "}", "、": ","}
_QUOTES = STRAIGHT + CURLY
_KEY_AHEAD = re.compile(
    rf"\s*(?:[{_QUOTES}]\s*[\w ()+*/.:\-]{{1,40}}\s*[{_QUOTES}]\s*[:：=＝]"
    rf"|-?\d[\d.:\-]{{0,20}}\s*[:：=＝]\s*[{_QUOTES}])"
)
_LOST_KEY = re.compile(rf"\s*-?[\w][\w ()+*/.:\-]{{0,39}}[{_QUOTES}]\s*[:：=＝]")
_GOOD_END = re.compile(
    rf"\s*(?:$|[}}\]｝](?!\s*[\w])|[,，]\s*(?=$|[}}\],，]|[{_QUOTES}]|-?\d[\d.:\-]{{0,20}}\s*[:：=＝]|#|//))"
)
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


@dataclass(slots=True)
class Value:
    """A value with its place: ``start`` .. ``stop`` without the quotes, ``outer`` with them."""

    kind: Literal["text", "bare", "object", "list"]
    text: str
    start: int
    stop: int
    outer: tuple[int, int]
    members: list[Member] = field(default_factory=list)
    items: list[Value] = field(default_factory=list)


@dataclass(slots=True)
class Member:
    key: str
    start: int
    stop: int
    value: Value


class Reader:
    """One pass over ``report.source.text[start:stop]``."""

    def __init__(self, report: Report, form: Form, start: int = 0, stop: int | None = None) -> None:
        self.report, self.form = report, form
        self.text = report.source.text
        self.stop = len(self.text) if stop is None else stop
        self.pos = start
        self.depth = 0
        self.patience = PATIENCE

    # --- small steps -------------------------------------------------------------------------------------------------
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
        )

    def wide(self, char: str) -> str:
        """The plain sign for a full-width one, with a finding."""
        plain = _WIDE.get(char)
        if plain is None:
            return char
        self.report.add("RS110", f"'{char}' is a full-width sign; the tool wants a plain '{plain}'", self.pos,
                        fix=f"'{plain}'", edits=(Edit(self.pos, self.pos + 1, plain),), certain=True)  # fmt: skip
        return plain

    # --- members -----------------------------------------------------------------------------------------------------
    def members(self, closer: str = "") -> list[Member]:
        """Pairs up to the closing brace (or the end); the brace itself is left in place."""
        result: list[Member] = []
        comma = -1
        fresh = True
        while (char := self.skip()) and char not in (closer or "\0"):
            if self.report.dropped > HOPELESS:
                raise Refused
            if char in ",，、":
                self.wide(char)
                if fresh:
                    self.report.add("RS109", "a comma with nothing before it", self.pos, fix="leave it out",
                                    edits=(Edit(self.pos, self.pos + 1, ""),), certain=True)  # fmt: skip
                comma, fresh = self.pos, True
                self.pos += 1
                continue
            if not fresh:
                self.missing_comma(result)
            member = self.member(closer)
            if member is not None:
                result.append(member)
            fresh = member is None
        if comma >= 0 and fresh and result and not self.form.last_comma and self.text[comma] == ",":
            self.report.add("RS116", "a comma after the last pair", comma, fix="leave it out",
                            edits=(Edit(comma, comma + 1, ""),), certain=True)  # fmt: skip
        return result

    def missing_comma(self, result: list[Member]) -> None:
        end = result[-1].value.outer[1]
        if _KEY_AHEAD.match(self.text, self.pos):
            self.report.add("RS105", "a comma is missing between this pair and the next", end,
                            fix="put a comma here", edits=(Edit(end, end, ","),), certain=True)  # fmt: skip

    def member(self, closer: str) -> Member | None:
        key = self.key()
        if key is None:
            self.stray(closer)
            return None
        text, start, stop = key
        self.sign()
        char = self.skip()
        if not char or (char in ",，" + closer and char):
            self.report.add("RS123", f"the key {text} has nothing after it", start, stop)
            return None
        return Member(text, start, stop, self.value(closer))

    def key(self) -> tuple[str, int, int] | None:
        """The key's text and its place with quotes, or None where no key can be made out."""
        start, char = self.pos, self.text[self.pos]
        if char in _QUOTES:
            match = re.compile(rf"[^{_QUOTES}\n]{{0,200}}").match(self.text, start + 1, self.stop)
            end = match.end() if match else start + 1
            if end < self.stop and self.text[end] in _QUOTES:
                self.pos = end + 1
                self.quotes(start, end)
                return self.text[start + 1 : end], start, self.pos
            return None
        match = re.compile(r"[^\s:：=＝,，{}\[\]\"'“”][^:：=＝,，{}\n\"'“”]{0,60}?(?=\s*[:：=＝])").match(
            self.text, start, self.stop
        )
        if match and self.form.sign == "=":  # a key may be a range here: 0:8 = "text"
            match = re.compile(r"[\w.:\-]{1,60}(?=\s*[=＝])").match(self.text, start, self.stop) or match
        if match is None:
            return None
        self.pos = match.end()
        if self.form.quoted_keys:
            self.report.add("RS104", f"the key {match[0].strip()} needs double quotes", start, self.pos,
                            fix=f'"{match[0].strip()}"', certain=True,
                            edits=(Edit(start, start, '"'), Edit(self.pos, self.pos, '"')))  # fmt: skip
        return match[0].strip(), start, self.pos

    def sign(self) -> None:
        char = self.skip()
        plain = _WIDE.get(char, char)
        wanted = self.form.sign
        if plain == wanted:
            self.wide(char)
            self.pos += 1
        elif plain in (":", "="):
            self.report.add("RS106", f"between key and text stands '{wanted}' in this dialect, not '{char}'", self.pos,
                            fix=f"'{wanted}'", edits=(Edit(self.pos, self.pos + 1, wanted),), certain=True)  # fmt: skip
            self.pos += 1
        else:
            self.report.add(
                "RS106",
                f"'{wanted}' is missing between key and text",
                self.pos,
                fix=f"put '{wanted}' here",
                edits=(Edit(self.pos, self.pos, wanted),),
                certain=True,
            )

    def stray(self, closer: str) -> None:
        """Text that belongs to no key: reported as one piece, up to the next comma, line or key."""
        start = self.pos
        self.pos += 1
        while self.pos < self.stop and self.text[self.pos] not in ",，\n" + closer:
            if self.text[self.pos] in _QUOTES and _KEY_AHEAD.match(self.text, self.pos):
                break
            self.pos += 1
        shown = self.text[start : self.pos].strip()
        self.report.add("RS108", f"'{shown[:40]}' belongs to no key", start, start + max(1, len(shown)))

    # --- values ------------------------------------------------------------------------------------------------------
    def value(self, closer: str = "") -> Value:
        char = self.text[self.pos]
        if char in "{[｛":
            return self.nested(char)
        if char in _QUOTES:
            return self.quoted()
        return self.bare(closer)

    def nested(self, char: str) -> Value:
        start = self.pos
        self.depth += 1
        if self.depth > MAX_DEPTH:
            self.report.add("RS002", f"nested more than {MAX_DEPTH} levels deep", start)
            raise Refused
        self.pos += 1
        close = "]" if char == "[" else "}"
        value = Value("list" if close == "]" else "object", "", start, start, (start, start))
        if close == "]":
            value.items = self.items()
        else:
            value.members = self.members("}")
        if self.pos < self.stop:
            self.pos += 1
        else:
            self.report.add("RS118", f"this '{char}' is never closed", start, fix=f"put '{close}' at the end",
                            edits=(Edit(self.stop, self.stop, close),))  # fmt: skip
        self.depth -= 1
        value.stop, value.outer = self.pos, (start, self.pos)
        return value

    def items(self) -> list[Value]:
        result: list[Value] = []
        while (char := self.skip()) and char != "]":
            before = self.pos
            if char in ",，":
                self.pos += 1
                continue
            result.append(self.value("]"))
            self.pos = max(self.pos, before + 1)
        return result

    def bare(self, closer: str) -> Value:
        """A value without quotes: a number or word, or a text whose quotes are missing."""
        start = self.pos
        end = start
        while end < self.stop and self.text[end] not in "\n" + (closer or "}"):
            if self.text[end] in ",，" and (not self.form.text_values or _GOOD_END.match(self.text, end)):
                break
            end += 1
        text = self.text[start:end].rstrip()
        self.pos = start + max(len(text), 1)
        return Value("bare", text, start, start + len(text), (start, self.pos))

    def quoted(self) -> Value:
        start = self.pos
        char = self.text[start]
        end = self.close_of(start, char)
        lost = end < 0 or not _GOOD_END.match(self.text, end + 1, self.stop)
        if lost and not (end >= 0 and _KEY_AHEAD.match(self.text, end + 1)):
            end, closed = self.recover(start, end, char)
        else:
            closed = True
        self.pos = end + 1 if closed else end
        if closed:
            self.quotes(start, end)
        text = self.decode(start + 1, end, escapes=self.form.escapes and char == '"')
        return Value("text", text, start + 1, end, (start, self.pos))

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
        return bool(_GOOD_END.match(self.text, pos, self.stop) or _KEY_AHEAD.match(self.text, pos, self.stop))

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
                if self.text[i] == "\n" and _KEY_AHEAD.match(self.text, i):
                    break
                if self.text[i] == char and _GOOD_END.match(self.text, i + 1, self.stop):
                    return self.inner(start, end, i, char)
            return end, True
        ahead = _KEY_AHEAD.search(self.text, start + 1, self.stop)
        if ahead is not None and ahead.start() > start:
            return self.unclosed(start, start + 1 + len(self.text[start + 1 : ahead.start()].rstrip().rstrip(",，")))
        rest = self.text[start + 1 : self.stop].rstrip()
        return self.unclosed(start, start + 1 + len(rest.rstrip("},， \n")))

    def unclosed(self, start: int, end: int) -> tuple[int, bool]:
        end = max(end, start + 1)
        self.report.add("RS107", "this quote is never closed", start, fix="close the quote at the end of the text",
                        edits=(Edit(end, end, '"'),), certain=True)  # fmt: skip
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
            "curly quotes: the tool wants straight double ones"
            if curly
            else "single quotes: the tool wants double ones"
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
            f"'\\{char}' is no JSON escape: a backslash itself is written \\\\",
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
