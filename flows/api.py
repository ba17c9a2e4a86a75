"""Flows from Python: ``from flows.api import FLOW; record = FLOW(clip="my.mp4", seed=3)``.

Every flow has a function of its name here (the registry makes them, `flows.flow`). It does what the command does: the
same settings, checks, cache, record and tracking. Keywords are the settings, and what stands under a key is a dict:

    FLOW(clip="my.mp4", prompt="...", model="sd15", control=["pose", "lineart"], controls={"lineart": {"weight": 0.3}})

``past="20261129-0125"`` begins with the settings of a past render, as ``--from`` does. See docs/python.md.
"""

from __future__ import annotations

import base64
import functools
import html
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from flows import flow as flows
from flows.config.compose import Composed, single
from flows.config.engine import Engine, hydra_ready
from flows.config.past import hydra_value
from flows.config.quoting import literal_overrides, typed
from flows.config.root import Root
from flows.edge.entry import taken_from
from flows.edge.job import Job, call
from reel.errors import UserError
from reel.history.comparison import place_of
from reel.history.record import RenderRecord, Role
from reel.measure import describe

LARGEST = 16_000_000
"""Bytes of a film that a notebook shows; a larger one is named."""
_SHOWN = {".mp4": "video/mp4", ".webm": "video/webm"}
_PICTURES = {".png": "image/png", ".webp": "image/webp", ".gif": "image/gif"}


class Render(RenderRecord):
    """The record of a render, with its files at hand; a notebook shows film, sheet and numbers."""

    @property
    def film(self) -> Path | None:
        """The finished film."""
        return self.file("movie")

    @property
    def sheet(self) -> Path | None:
        """The contact sheet."""
        return self.file("sheet")

    def file(self, role: Role) -> Path | None:
        """The first exported file of that role; None: there is none."""
        found = (Path(self.output or "") / one.name for one in self.outputs if one.role == role)
        return next(found, None)

    def _repr_html_(self) -> str:
        parts = [_shown(path) for path in (self.film, self.sheet) if path is not None]
        rows = (_row(key, self.metrics[key]) for key in sorted(self.metrics, key=place_of))
        told = f"{self.flow} {self.run}, {'reused' if self.reused else self.status}"
        seconds = f", {self.seconds:.1f} s" if self.seconds is not None else ""
        return (
            f"<div><p><b>{html.escape(self.title or told)}</b> {html.escape(told if self.title else '')}{seconds}</p>"
            f"{''.join(parts)}<table>{''.join(rows)}</table></div>"
        )


def __getattr__(name: str) -> Callable[..., Any]:
    if name.startswith("_") or name not in flows.names():
        raise AttributeError(f"there is no flow {name!r}; there are {', '.join(flows.names())}")
    return _function(name)


def __dir__() -> list[str]:
    return ["Render", *flows.names()]


@functools.cache
def _function(name: str) -> Callable[..., Any]:
    def flow(*, past: str | None = None, **settings: Any) -> Any:
        return _run(name, past, settings)

    flow.__name__ = flow.__qualname__ = name
    flow.__doc__ = (flows.get(name).about or "").strip()
    return flow


def _run(name: str, past: str | None, settings: Mapping[str, Any]) -> Any:
    """Compose, check and run a flow.

    Raises:
        UserError: as the command line tells it, before anything runs.
    """
    flow = flows.get(name)
    with hydra_ready(Root(name, flow.settings)) as engine:
        point = _composed(engine, past, settings)
    done = call(flow.run, point.config, Job(name, point.overrides, dict(point.choices), point.origins))
    return Render.model_validate(dict(done)) if isinstance(done, RenderRecord) else done


def _composed(engine: Engine, past: str | None, settings: Mapping[str, Any]) -> Composed[Any]:
    given = list(_overrides(engine, settings, ""))
    if past is not None:
        given = [*taken_from(engine, past, given), *given]
    return single(engine, literal_overrides(given, engine.shape.texts, multirun=False), given)


def _overrides(engine: Engine, settings: Mapping[str, Any], prefix: str) -> Iterator[str]:
    """Keywords as the command line would have them; what is a dict sets the keys in it and leaves the others alone."""
    for name, value in settings.items():
        key = f"{prefix}{name}"
        text = next((one for one in engine.shape.texts if one.matches(key)), None)
        if isinstance(value, Mapping) and text is None:
            if not value:
                raise UserError(f"{key}: an empty dict sets nothing", fix="leave it out")
            yield from _overrides(engine, value, f"{key}.")
        elif text is not None and isinstance(value, str | Path):
            yield f"{key}={typed(str(value))}"
        elif text is not None and value is None:
            yield f"{key}=" if text.is_path else f"{key}=null"
        elif key in engine.defaults:
            yield f"{key}={_choice(key, value)}"
        else:
            yield f"{key}={hydra_value(str(value) if isinstance(value, Path) else value)}"


def _choice(group: str, value: Any) -> str:
    """A file of a group, or a list of files."""
    names = value if isinstance(value, list | tuple) else [value]
    if not all(isinstance(name, str) for name in names):
        raise UserError(f"{group}: names of files of conf/{group}, got {value!r}", fix="a text, or a list of texts")
    return f"[{','.join(names)}]" if isinstance(value, list | tuple) else str(value)


def _row(key: str, number: float) -> str:
    """A number with what it is called and which way is better, as far as its metric says that."""
    known = describe(key)
    better = {"higher": " \u2191", "lower": " \u2193"}.get(known[1].better or "", "") if known else ""
    label, unit = (known[1].label, f" {known[1].unit}".rstrip()) if known else (key, "")
    cells = (f"{label}{better}", f"{number:.4g}{unit}", key)
    columns = "".join(f"<td style='text-align:left'>{html.escape(cell)}</td>" for cell in cells)
    return f"<tr>{columns}</tr>"


def _shown(path: Path) -> str:
    """A file as markup that loads nothing."""
    kind = _SHOWN.get(path.suffix) or _PICTURES.get(path.suffix)
    if kind is None or not path.is_file() or path.stat().st_size > LARGEST:
        return f"<p><code>{html.escape(str(path))}</code></p>"
    data = f"data:{kind};base64,{base64.b64encode(path.read_bytes()).decode()}"
    if path.suffix in _SHOWN:
        how = "controls loop muted autoplay playsinline style='min-width:256px;max-width:100%'"
        return f"<video {how} src='{data}'></video>"
    return f"<img style='max-width:100%' src='{data}'>"
