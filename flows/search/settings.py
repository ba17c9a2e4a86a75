"""Settings of `search`: those of the flow that it searches with, and what to search for."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import field_validator, model_validator

from flows.flow import Flow
from flows.render.settings import Rendering
from reel.config import Config, Field, Finite, Marker, Text
from tasks.search.optuna_study import Sampler

EXTENT = Marker("extent")
"""How far a search goes, and what it is called: another value goes on with the same one."""


class Proxy(Config):
    """The cheapest level of a search."""

    frames: int = Field(8, ge=1)
    """Frames of the clip that are rendered: those that differ most in pose."""
    passages: int = Field(2, ge=1)
    """Runs of consecutive frames that they come in; each is rendered as a clip of its own."""
    steps: int | None = Field(None, ge=1)
    """stylize.num_inference_steps; empty: half of the render's, but at least 8 or all of them, since
    a distilled model draws in the steps that it was made for."""


class Searched(Config):
    """What is searched for, where, and for how long."""

    space: dict[str, Any] | None = None
    """Range by settings key, [from, to] or [from, to, step]; empty: the weight of every control in use, 0..1.2."""
    objectives: list[str] | None = None
    """Numbers of metrics (docs/measure.md); empty: pose and character fidelity, as the model allows."""
    constraints: dict[str, float | str] | None = None
    """Bounds by number: 4, or 1.5x for a factor of what the given settings come to; empty: flicker.mean
    1.5x, background.steady 0.95x and background.place 0.9x."""
    trials: Annotated[int | None, EXTENT] = Field(None, ge=1, le=100_000)
    """Points tried on the proxy; empty: as many as the budget pays for."""
    budget: Annotated[Finite | None, EXTENT] = Field(10, gt=0)
    """What the whole search may cost, in renders of the whole clip; empty: no end but `trials`."""
    reduction: Annotated[Finite, EXTENT] = Field(3, gt=1, le=20)
    """One in so many points goes on to the next level."""
    proxy: Proxy = Proxy.model_validate({})
    sampler: Sampler = "tpe"
    """Who proposes points: tpe, nsga2, random; gp is thriftiest with trials and takes seconds to think."""
    seed: int = Field(0, ge=0, lt=2**31)
    """Seed of the search, not of the noise."""
    name: Annotated[Text, EXTENT] = ""
    """The search's name; empty: worked out from its settings, so that the same command goes on with the same one."""

    @model_validator(mode="after")
    def _ends(self) -> Searched:
        if self.trials is None and self.budget is None:
            raise ValueError("trials and budget are both empty: say when to end")
        return self

    @field_validator("objectives")
    @classmethod
    def _several(cls, objectives: list[str] | None) -> list[str] | None:
        if objectives is not None and len(set(objectives)) < 2:
            raise ValueError("name two or more; for a single number a sweep (-m) shows the curve")
        return objectives


class Search(Rendering):
    """What `search` adds to the settings of a flow that renders."""

    search: Searched
    promote: int | None = Field(None, ge=0)
    """Number of a trial: render it in full, and nothing else."""


OWN = ("search", "promote")
"""Settings that the flow itself does not have."""


def settings_for(base: Flow[Any]) -> type[Search]:
    """The settings of a search with a flow."""
    return type("Search", (Search, base.settings), {"__module__": __name__, "__doc__": Search.__doc__})
