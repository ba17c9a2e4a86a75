"""One that takes part in a bakeoff: which flow makes its films, with which settings, and what of them was not asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flows.edge.job import Job
from flows.flow import Flow
from reel.config import parse
from reel.errors import UserError


@dataclass(frozen=True)
class Entrant:
    """A family that takes part.

    Attributes:
        flow: makes its films: `animate`, or `timeframe` for AnimateDiff.
        data: settings of its films as plain data, the seed aside.
        job: how they are called.
        logging: configuration of its log, for `logging.config.dictConfig`.
        moved: what was asked of all and is otherwise here, in words.
        refused: why it makes none; None: nothing is known that speaks against it.
    """

    name: str
    flow: Flow[Any]
    data: Mapping[str, Any]
    job: Job
    logging: Mapping[str, Any]
    moved: Sequence[str] = ()
    refused: UserError | None = None

    def film(self, seed: int) -> Any:
        """The settings of one of its films, of its flow's class."""
        return parse(self.flow.settings, {**self.data, "seed": seed})


def moved(asked: Mapping[str, Any], given: Mapping[str, Any]) -> list[str]:
    """In words, by key, what is given in the place of what was asked."""
    return [
        f"{key}: {_told(value)} instead of {_told(asked[key])}" for key, value in given.items() if value != asked[key]
    ]


def _told(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else repr(value)
