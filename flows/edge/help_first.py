"""``--help`` and ``-h`` win over whatever stands beside them: unknown flags, wrong settings, missing ones."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Mapping, Sequence
from typing import Any

_FLAG = re.compile("--help|-m?h+m?")  # -m, --multirun, may be written into one word with it


def topics(argv: Sequence[str]) -> list[str] | None:
    """Keys that ``--help KEY ...`` asks about, none for the whole help; None where no help is asked for.

    A word with ``=`` is a setting, and what stands before the flag is no question.
    """
    place = next((place for place, word in enumerate(argv) if _FLAG.fullmatch(word)), None)
    if place is None:
        return None
    return [word for word in argv[place + 1 :] if re.fullmatch(r"\w[\w.-]*", word)]


class HelpFirst(argparse.ArgumentParser):
    """argparse that looks for a wish for help before it reads, and perhaps refuses, anything else."""

    commands: Mapping[str, argparse.ArgumentParser] = {}
    """Parsers of the commands below this one: help about the one that is named."""

    def parse_known_args(self, args: Sequence[str] | None = None, namespace: Any = None) -> Any:  # type: ignore[override]
        words = [*(sys.argv[1:] if args is None else args)]
        if any(_FLAG.fullmatch(word) for word in words[: words.index("--") if "--" in words else None]):
            named = next((self.commands[word] for word in words if word in self.commands), self)
            named.print_help()
            self.exit()
        return super().parse_known_args(words, namespace)
