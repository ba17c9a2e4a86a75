"""Schedules of all dialects, valid, broken and trapped, each with what must come of it. All texts are our own."""

from __future__ import annotations

from .corpus_case import Case
from .corpus_fizz import DEFORUM, FIZZ, VALUES
from .corpus_own import OWN
from .corpus_tools import EVOLVED, LATENT, TRAVEL, WEBUI

CASES: list[Case] = [*FIZZ, *VALUES, *DEFORUM, *EVOLVED, *WEBUI, *TRAVEL, *LATENT, *OWN]
