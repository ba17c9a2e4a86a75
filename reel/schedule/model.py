"""The schedule itself: typed, immutable, and the same for every dialect it was read from."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal

from reel.schedule.expressions import Expression
from reel.schedule.times import Time

What = Literal["prompt", "value", "track"]
KINDS: tuple[What, ...] = ("prompt", "value", "track")
BY = ("tile", "sparsectrl", "ip_adapter")
"""What can hold a clip to a picture: a ControlNet at every frame, SparseCtrl at some, IP-Adapter as a prompt."""


@dataclass(frozen=True, slots=True)
class Then:
    """How a key goes over to the next one.

    ``hold``: stays until the next key, then switches. ``blend``: straight from the key's last held frame to the next
    key. ``ease``: the same along ``curve``. ``over``: the transition takes only this long, just before the next key.
    """

    mode: Literal["hold", "blend", "ease"] = "hold"
    curve: str = "linear"
    over: Time | None = None

    def __str__(self) -> str:
        inside = [self.curve] if self.mode == "ease" else []
        inside += [str(self.over)] if self.over is not None else []
        return f"{self.mode}({', '.join(inside)})" if inside else self.mode


HOLD, BLEND = Then("hold"), Then("blend")


@dataclass(frozen=True, slots=True)
class Span:
    """Character offsets in the source text; (0, 0) for a schedule that was not read from text."""

    start: int = 0
    stop: int = 0


@dataclass(frozen=True, slots=True)
class Key:
    """One entry. A range covers the frames ``at`` .. ``until`` - 1; without ``until`` the key holds one frame."""

    at: Time
    until: Time | None = None
    prompt: str | None = None
    negative: str = ""
    value: Expression | None = None
    picture: str | None = None
    strength: Expression | None = None
    by: str | None = None
    """One of `BY`; None: as the renderer is set."""
    then: Then | None = None
    place: Span = field(default=Span(), compare=False)
    """Where the key's place in time stands in the text."""
    body: Span = field(default=Span(), compare=False)
    """Where its prompt, value or picture stands."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """A schedule of one kind.

    ``prompt``: every key has a prompt. ``value``: every key has a value. ``track``: keys are ranges with a picture,
    a prompt, or both.
    """

    what: What
    keys: tuple[Key, ...]
    then: Then = HOLD
    """Transition of keys that name none."""
    loop: bool = False
    """After the last key's hold, go over to the first key, which stands at N + its place."""
    head: str = ""
    tail: str = ""
    negative: str = ""
    """Negative prompt of all keys; a key's own is added to it."""
    joiner: str = ", "
    """What stands between head, prompt and tail."""
    mixing: Literal["lerp", "slerp"] = "lerp"
    """How prompt embeddings are mixed: along a straight line or along an arc."""
    hold_ratio: float | None = None
    """Share of each interval that is held before the transition begins (prompt-travel's prompt_fixed_ratio)."""
    beyond: Literal["toward", "drop"] = "toward"
    """Keys at N or later: travelled towards and never reached, or left out."""
    outside: float | None = None
    """Value of frames that no key covers (latent keyframes); None: the usual transitions."""
    variables: tuple[tuple[str, Expression], ...] = ()
    """Further names for expressions, such as pw_a."""
    frames: int | None = None
    fps: float | None = None
    dialect: str = "yaml"

    def then_of(self, key: Key) -> Then:
        return key.then or self.then

    def serves(self, what: What) -> bool:
        """Whether it can stand where a schedule of this kind is wanted: a track with prompts is a prompt schedule."""
        return self.what == what or (
            self.what == "track" and what == "prompt" and any(key.prompt is not None for key in self.keys)
        )

    @property
    def has_pictures(self) -> bool:
        return any(key.picture is not None for key in self.keys)

    def with_keys(self, keys: tuple[Key, ...]) -> Schedule:
        return replace(self, keys=keys)


def default_then(what: What) -> Then:
    """Our own default: prompts and pictures hold until the next key; values run straight to it."""
    return BLEND if what == "value" else HOLD
