"""Reads what people write where JSON is wanted, goes on after every mistake, and says what each one was.

`json.loads` stops at the first problem with a message about the wrong thing; this reader takes single and curly
quotes, full-width signs, missing commas, unclosed quotes, comments and quotes inside quotes for what they are.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Literal

from reel.schedule.findings import Edit
from reel.schedule.quoted import GOOD_END, HOPELESS, KEY_AHEAD, MAX_DEPTH, QUOTES, WIDE, Form, QuotedReader, Refused

__all__ = ["Form", "Member", "Reader", "Refused", "Value"]


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


class Reader(QuotedReader):
    """One pass over ``report.source.text[start:stop]``."""

    # --- members -----------------------------------------------------------------------------------------------------
    def members(self, closer: str = "") -> list[Member]:
        """Pairs up to the closing brace (or the end); the brace itself is left in place."""
        result: list[Member] = []
        comma = -1
        before: Literal["comma", "pair", "stray"] = "comma"
        while (char := self.skip()) and char not in (closer or "\0"):
            if self.report.dropped > HOPELESS:
                raise Refused
            if char in ",，、":
                self.wide(char)
                if before == "comma":
                    self.report.add("RS109", "a comma with nothing before it", self.pos, fix="leave it out",
                                    edits=(Edit(self.pos, self.pos + 1, ""),), certain=True)  # fmt: skip
                comma, before = self.pos, "comma"
                self.pos += 1
                continue
            if before == "pair":
                self.missing_comma(result)
            member = self.member(closer)
            if member is not None:
                result.append(member)
            before = "stray" if member is None else "pair"
        if comma >= 0 and before == "comma" and result and not self.form.last_comma and self.text[comma] == ",":
            self.report.add("RS116", "a comma after the last pair", comma, fix="leave it out",
                            edits=(Edit(comma, comma + 1, ""),), certain=True)  # fmt: skip
        return result

    def missing_comma(self, result: list[Member]) -> None:
        end = result[-1].value.outer[1]
        if KEY_AHEAD.match(self.text, self.pos):
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
        if char in QUOTES:
            match = re.compile(rf"[^{QUOTES}\n]{{0,200}}").match(self.text, start + 1, self.stop)
            end = match.end() if match else start + 1
            if end < self.stop and self.text[end] in QUOTES:
                self.pos = end + 1
                self.quotes(start, end)
                return self.text[start + 1 : end], start, self.pos
            return None
        match = re.compile(r"[^\s:：=＝,，{}\[\]\"'“”][^:：=＝,，{}\n\"'“”]{0,60}?(?=\s*[:：=＝])").match(
            self.text, start, self.stop
        )
        if self.form.sign == "=":  # a key may be a range here: 0:8 = "text"
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
        plain = WIDE.get(char, char)
        wanted = self.form.sign
        if plain == wanted:
            self.wide(char)
            self.pos += 1
        elif plain in (":", "="):
            self.report.add("RS106", f"this dialect needs '{wanted}' between key and text, not '{char}'", self.pos,
                            fix=f"'{wanted}'", edits=(Edit(self.pos, self.pos + 1, wanted),), certain=True)  # fmt: skip
            self.pos += 1
        else:
            self.report.add(
                "RS106",
                f"'{wanted}' is missing between key and text",
                self.pos,
                fix=f"put '{wanted}' here",
                edits=(Edit(self.pos, self.pos, wanted),),
                certain=char == '"',
            )

    def stray(self, closer: str) -> None:
        """Text that belongs to no key: reported as one piece, up to the next comma, line or key."""
        start = self.pos
        self.pos += 1
        while self.pos < self.stop and self.text[self.pos] not in ",，\n" + closer:
            if self.text[self.pos] in QUOTES and KEY_AHEAD.match(self.text, self.pos):
                break
            self.pos += 1
        shown = self.text[start : self.pos].strip()
        self.report.add("RS108", f"'{shown[:40]}' belongs to no key", start, start + max(1, len(shown)))

    # --- values ------------------------------------------------------------------------------------------------------
    def value(self, closer: str = "") -> Value:
        char = self.text[self.pos]
        if char in "{[｛":
            return self.nested(char)
        if char in QUOTES:
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
            if self.text[end] in ",，" and (not self.form.text_values or GOOD_END.match(self.text, end)):
                break
            end += 1
        text = self.text[start:end].rstrip()
        self.pos = start + max(len(text), 1)
        return Value("bare", text, start, start + len(text), (start, self.pos))

    def quoted(self) -> Value:
        start = self.pos
        text, begin, end = self.read_quoted()
        return Value("text", text, begin, end, (start, self.pos))
