"""Infotexts: what AUTOMATIC1111's web UI and the sites around it write beside a picture, and people paste as a prompt.

a girl in a red top
Negative prompt: hat, glasses
Steps: 20, Sampler: Euler a, CFG scale: 7, Seed: 5, Size: 512x512, Model: x
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

_NEGATIVE = re.compile(r"(?:^|(?<=\s))Negative prompt:[ \t]*|(?im:^[ \t]*negative prompt[ \t]*:[ \t]*)")
_STEPS = re.compile(
    r"(?:^|(?<=\s))Steps: \d+, (?=[A-Z][\w /+-]*:)|(?im:^[ \t]*steps[ \t]*:[ \t]*\d+,[ \t]*(?=[a-z][\w /+-]*:))"
)
_HEADING = re.compile(r"\s*(?:(?:positive )?prompt[ \t]*:|parameters[ \t]*:?[ \t]*\r?\n)\s*", re.IGNORECASE)
"""What sites and viewers put before the prompt of an infotext."""
_PAIR = re.compile(r'\s*([A-Za-z][\w /+-]{0,40}?):\s*("(?:\\.|[^"\\])*"|[^,\n]*)(?:,|\n|$)', re.DOTALL)
_MOST = 20_000
"""Characters of parameters that are read."""

SAMPLERS = {
    **{"euler a": "euler_a", "euler": "euler", "heun": "heun", "ddim": "ddim", "plms": "pndm", "lcm": "lcm"},
    **{"unipc": "unipc", "dpm++ 2m": "dpmpp_2m", "dpm++ 2m sde": "dpmpp_2m_sde", "ddpm": "ddpm"},
    "dpm++ 2m karras": "dpmpp_2m_karras",
}
"""Our scheduler by the name of theirs, in small letters, with the schedule type behind it where one is named."""


@dataclass(frozen=True)
class Infotext:
    """An infotext taken apart.

    Attributes:
        positive: the prompt.
        negative: the negative prompt; empty where there is none.
        parameters: the rest by its names.
        stop: characters of the text that belong to the prompt.
        negative_at: where the negative prompt's own text begins, and where it ends.
    """

    positive: str
    negative: str
    parameters: Mapping[str, str] = field(default_factory=dict)
    stop: int = 0
    negative_at: tuple[int, int] = (0, 0)

    def overrides(self) -> list[str]:
        """The parameters that mean the same here, as overrides: ``stylize.num_inference_steps=20``."""
        found = []
        for name, (key, read) in _SAME.items():
            if (value := read(self._said(name))) is not None:
                found.append(f"{key}={value}")
        if scheduler := self._scheduler():
            found.append(f"stylize.scheduler={scheduler}")
        return found

    def dropped(self) -> list[str]:
        """Names of the parameters that have no counterpart here, or another meaning."""
        same = {name for name, (_, read) in _SAME.items() if read(self._said(name)) is not None}
        same |= {"sampler", "schedule type"} if self._scheduler() else set()
        return [name for name in self.parameters if name.lower() not in same]

    def _said(self, name: str) -> str:
        """A parameter by its name in small letters; sites write them as they like."""
        return next((value for own, value in self.parameters.items() if own.lower() == name), "")

    def _scheduler(self) -> str | None:
        kind = self._said("schedule type").strip().lower()
        name = self._said("sampler").strip().lower()
        return SAMPLERS.get(f"{name} {kind}") or (SAMPLERS.get(name) if kind in ("", "automatic") else None)

    def described(self) -> str:
        """What became of the parameters, in a sentence."""
        parts = []
        if same := self.overrides():
            parts.append(f"the same here: {' '.join(same)}")
        if dropped := self.dropped():
            parts.append(f"without a counterpart: {', '.join(dropped)}")
        return "; ".join(parts)


def _number(text: str) -> str | None:
    return text.strip() if re.fullmatch(r"\d+(\.\d+)?", text.strip()) else None


def _seed(text: str) -> str | None:
    """Others count to 2**64."""
    word = text.strip()
    return str(int(word)) if re.fullmatch(r"\d{1,20}", word) and int(word) < 2**63 else None


def _skip(text: str) -> str | None:
    """Their 1 leaves no layer of the text encoder out."""
    word = text.strip()
    return str(int(word) - 1) if word.isdigit() and int(word) > 1 else None


_SAME: dict[str, tuple[str, Callable[[str], str | None]]] = {
    "steps": ("stylize.num_inference_steps", _number),
    "cfg scale": ("stylize.guidance_scale", _number),
    "seed": ("seed", _seed),
    "denoising strength": ("stylize.strength", _number),
    "clip skip": ("stylize.clip_skip", _skip),
}


def split_infotext(text: str) -> Infotext | None:
    """Take an infotext apart; None for any other text.

    A text is one when it has ``Negative prompt:`` or ``Steps: 20, Sampler: ...`` where a word may begin, or in any
    letters at the beginning of a line: neither is ever meant as words of a picture.
    """
    if text.lstrip("\ufeff \t\r\n").startswith(("{", "[", '"')):
        return None  # a file or a schedule of texts in quotes
    return split_file(text)


def split_file(text: str) -> Infotext | None:
    """As `split_infotext`, of a text that is no schedule and no JSON: its prompt may begin with a bracket."""
    found = list(_STEPS.finditer(text))
    steps = found[-1] if found else None  # a prompt may quote another picture's
    end = steps.start() if steps else len(text)
    negative = _NEGATIVE.search(text, 0, end)
    if steps is None and negative is None:
        return None
    stop = negative.start() if negative else end
    parameters = {}
    if steps is not None:
        behind = text[steps.start() : steps.start() + _MOST]
        parameters = {match[1].strip(): match[2].strip().strip('"') for match in _PAIR.finditer(behind)}
    inner = (negative.end(), end) if negative else (end, end)
    heading = _HEADING.match(text, 0, stop)
    return Infotext(
        text[heading.end() if heading else 0 : stop].strip(), text[slice(*inner)].strip(), parameters, stop, inner
    )
