"""One schedule of the corpus and what must come of it."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Case:
    """``findings``: exactly these (code, line, column). ``weights``: frame -> {positive prompt: weight}."""

    id: str
    text: str
    dialect: str
    findings: tuple[tuple[str, int, int], ...] = ()
    frames: int | None = None
    weights: dict[int, dict[str, float]] = field(default_factory=dict)
    values: dict[int, float] = field(default_factory=dict)
    forced: bool = False
    what: str | None = None
    lint: dict[str, object] = field(default_factory=dict)


def case(id: str, dialect: str, text: str, *findings: tuple[str, int, int], **more: object) -> Case:
    return Case(id, text, dialect, findings, **more)  # type: ignore[arg-type]
