"""swatch: a square wanders over a plain ground.

rotoscope swatch colour=#ff0000
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from flows.flow import Made, Source
from flows.render import measures
from flows.render.render import renders
from flows.render.settings import Rendering
from reel.config import Config, Text
from reel.op import Context, Op, get
from reel.store import Store
from tasks.assemble import Assemble
from tasks.cached import call
from tasks.swatch import Swatch


class Settings(Rendering):
    """Settings of `swatch`."""

    prompt: Text
    """What it shows, for the movie's metadata."""
    swatch: Swatch
    assemble: Assemble


@dataclass(frozen=True)
class Plan:
    """See `flows.flow.RenderPlan`."""

    swatch: Swatch
    assembly: Assemble
    measures: measures.Measures

    @property
    def sources(self) -> Mapping[str, Source]:
        return {}

    @property
    def ops(self) -> list[tuple[Op, Config]]:
        return [(get("swatch", "swatch"), self.swatch), (get("assemble", "assemble"), self.assembly)]

    def draw(self, ctx: Context) -> Made:
        return Made(call(get("swatch", "swatch"), self.swatch, {}, ctx).digest)

    def assemble(self, made: Made, ctx: Context) -> str:
        return call(get("assemble", "assemble"), self.assembly, {"frames": made.frames}, ctx).digest


def plan(cfg: Settings, store: Store) -> Plan:
    subject = measures.Subject(cfg.prompt, model="none", original=False)
    assembly = cfg.assemble.model_copy(update={"metadata": {"prompt": cfg.prompt}})
    return Plan(cfg.swatch, assembly, measures.plan(cfg.measure, subject))


FLOW = renders("swatch", Settings, plan, about=__doc__)
