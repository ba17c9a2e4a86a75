"""All dialects by name, and which one a text is probably written in."""

from __future__ import annotations

import re
from pathlib import PurePath

from reel.errors import UserError
from reel.schedule.dialects import deforum, evolved, fizz, fizz_value, latent, own_short, own_yaml, travel, webui
from reel.schedule.dialects.base import Dialect
from reel.schedule.dialects.own_yaml import PICTURE
from reel.schedule.expressions import VARIABLES, ExpressionError, parse_expression
from reel.schedule.model import What

DIALECTS: dict[str, Dialect] = {
    d.name: d
    for d in (
        own_yaml.DIALECT,
        own_short.DIALECT,
        fizz.DIALECT,
        fizz_value.DIALECT,
        deforum.DIALECT,
        evolved.PYTHONIC,
        evolved.JSON,
        webui.DIALECT,
        travel.DIALECT,
        latent.DIALECT,
    )
}

_Q = "\"'“”„‘’＂"
_SCAN = 20_000
"""Detection looks at the beginning of a text only."""
_YAML = re.compile(
    r"^\s*\{?\s*(keys|kind|variables|then|hold_ratio|frames|fps|head|tail|negative|loop)\s*:(\s|$)", re.MULTILINE
)
_LINES = re.compile(
    r"\A(?!.*^\s*\{?\s*keys\s*:).*^\d[\d.%s-]*(\s+(hold|blend|ease)[^:\n]*)?\s*:\s", re.MULTILINE | re.DOTALL
)
"""The one-line form over several lines: keys beside the settings, and no ``keys:``."""
_TRAVEL = re.compile(rf"[{_Q}](prompt_map|head_prompt|tail_prompt|n_prompt|prompt_fixed_ratio)[{_Q}]\s*[:：]")
_QUOTED = re.compile(rf"[{_Q}]\s*([\w.:+*/() -]{{1,40}}?)\s*[{_Q}]\s*([:：=])\s*(\S)")
_PYTHONIC = re.compile(rf"(?:^|,|\n)\s*(-?\d[\d.:-]{{0,20}})\s*=\s*([{_Q}]|[-+.\d])")
_INDEX = re.compile(r"^[-:]|\d:|^(0?\.\d+|1\.0*)$")
"""Keys of AnimateDiff-Evolved alone: from the end, ranges, shares of the clip (12.5 is a slip in any dialect)."""
_PAREN = re.compile(r"[\"']?[\w+*/. -]{1,30}[\"']?\s*[:：]\s*[(（]([^\n]{0,200})")
_LATENT = re.compile(r"\s*-?\d+\s*(:\s*-?\d+\s*)?(=\s*[\d.]+\s*)?")
_WEBUI = re.compile(r"^\s*\d+\s*[:：]", re.MULTILINE)
_ENTRIES = re.compile(
    r"(?:^|;)\s*(?:-?\d+(?:\.\d+)?(?:%|s)?(?:\s*(?:-|–|\.\.)\s*(?:-?\d+(?:\.\d+)?(?:%|s)?|end))?|\(max_f)[^;\n:]{0,30}:"
)


def by_name(name: str) -> Dialect:
    """Look a dialect up.

    Raises: UserError naming all of them.
    """
    if name not in DIALECTS:
        from reel.config import suggest

        raise UserError(f"there is no dialect '{name}'{suggest(name, DIALECTS)}", fix=f"one of {', '.join(DIALECTS)}")
    return DIALECTS[name]


def detect(text: str, what: What | None = None, path: str | None = None) -> tuple[Dialect, What]:
    """The dialect and the kind of schedule that a text most probably is.

    Args:
        what: the kind that is wanted, where that is known.
        path: the file's name; ``.yaml`` decides at once.
    """
    body = text[:_SCAN].strip("\ufeff \t\r\n")
    suffix = PurePath(path).suffix.lower() if path else ""
    if suffix in (".yaml", ".yml"):
        return DIALECTS["yaml"], what or _kind_of_own(body)
    if _YAML.search(body) and ";" not in body.split("\n", 1)[0]:
        return DIALECTS["short" if _LINES.search(body) else "yaml"], what or _kind_of_own(body)
    if _TRAVEL.search(body) or (body.startswith("{") and re.search(rf"[{_Q}]prompt[{_Q}]\s*:", body)):
        return DIALECTS["travel"], "prompt"
    if what != "track" and deforum.is_settings(body):
        return DIALECTS["deforum"], what or "prompt"
    found = _of_pairs(body, what)
    if found is not None:
        return found
    if what != "prompt" and _group(body):
        return DIALECTS["latent"], "value"
    lines = body.count("\n")
    if what != "value" and _WEBUI.search(body) and (lines or body.startswith("\n")) and not _short(body):
        return DIALECTS["webui"], "prompt"
    if body.startswith("{") and not body.startswith('{"'):
        return DIALECTS["yaml"], what or _kind_of_own(body)
    return DIALECTS["short"], what or _kind_of_own(body)


def _of_pairs(body: str, what: What | None) -> tuple[Dialect, What] | None:
    """Dialects made of ``key: value`` pairs with commas between."""
    quoted = _QUOTED.findall(body)
    if quoted and (body[0] in _Q + "{" or re.match(rf"\d+\s*[:：]\s*[{_Q}]", body)):
        keys, signs, firsts = zip(*quoted, strict=True)
        numbers = all(first in "-+.0123456789" for first in firsts)
        if all(first in "(（" for first in firsts) and not any(
            '"' in b for b in re.findall(r"\(([^\n]{0,80})", body)[:1]
        ):
            return DIALECTS["fizz-value"], "value"
        indexed = any(_INDEX.search(key) for key in keys) or signs.count("=") * 2 > len(signs)
        if numbers:
            return DIALECTS["evolved-json"], "value"
        if not indexed and deforum.is_deforum(body):
            return DIALECTS["deforum"], "prompt"
        return DIALECTS["evolved-json" if indexed else "fizz"], "prompt"
    if re.match(rf"\{{?\s*-?\d+\s*[:：]\s*[{_Q}]", body) and re.search(
        rf"[{_Q}]\s*[,，]\s*[{_Q}]?\d+[{_Q}]?\s*[:：]", body
    ):
        return DIALECTS["fizz"], "prompt"
    if body.startswith(tuple(_Q)) and what != "value" and re.search(r"[:：]", body):
        return DIALECTS["fizz"], "prompt"
    if (match := _PYTHONIC.match(body)) and (match[2] in _Q or ";" not in body):
        if match[2] in _Q or what == "prompt":
            return DIALECTS["evolved"], "prompt"
        bare = any(piece.strip() and "=" not in piece for piece in body.split(","))
        return DIALECTS["latent" if bare else "evolved"], "value"
    if what != "prompt" and (match := _PAREN.match(body)) and _formula_first(match[1], what):
        return DIALECTS["fizz-value"], "value"
    return None


def _group(body: str) -> bool:
    """A latent keyframe group; one entry alone such as ``0: 1`` or ``0:1`` is a key and its value in our own form."""
    pieces = body.split(",")
    many = len(pieces) > 1 or "=" in body
    return many and not re.search(r":\s", body) and all(_LATENT.fullmatch(piece) for piece in pieces if piece.strip())


def _formula_first(inside: str, what: What | None) -> bool:
    """The text after an opening bracket begins with a number or formula, not with a weighted prompt."""
    if what == "value":
        return True
    depth, end = 1, len(inside)
    for i, char in enumerate(inside):
        depth += (char in "(（") - (char in ")）")
        if depth == 0:
            end = i
            break
        if char in ",，" and re.match(r"\s*[\"']?\d+[\"']?\s*[:：]", inside[i + 1 :]):
            end = i  # the bracket was never closed
            break
    inner = inside[:end]
    if inner[:1] in ("'", '"'):
        return True  # sampler and checkpoint schedules hold names
    words = re.findall(r"[A-Za-z_]\w*(?:\s*\()?", inner)
    known = all(w in VARIABLES or w.endswith("(") or w in ("and", "or", "not") for w in words)
    return known and re.fullmatch(r"[\w\s+\-*/%().,<>=!&|~^]*(:[\s\d.]*)?", inner) is not None


def _short(body: str) -> bool:
    """The first line holds several entries, or one after a setting."""
    first = body.split("\n", 1)[0]
    return len(_ENTRIES.findall(first)) > 1 or re.search(r"^\s*[a-z_]+\s*:[^;]*;\s*-?\d[^;:]*:", first) is not None


def _kind_of_own(body: str) -> What:
    if match := re.search(r"\bkind\s*[:=]\s*(prompt|value|track)\b", body):
        return match[1]  # type: ignore[return-value]
    if re.search(r"\bpicture\s*:|--pic\s", body) or (PICTURE.search(body) is not None and "keys" in body):
        return "track"
    contents = re.findall(
        r"(?:^|[;\n,{])\s*\"?[\d%.s-]+(?:\s+(?:hold|blend|ease)[^:;\n]*)?\"?\s*:\s*([^;\n,}]+)", body
    )[:20]
    return "value" if contents and all(_is_formula(c) for c in contents) else "prompt"


def _is_formula(text: str) -> bool:
    try:
        parse_expression(text.strip().strip('"'))
    except ExpressionError:
        return False
    return True
