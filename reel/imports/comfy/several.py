"""Nodes of which several inputs mean one thing together: prompt schedules, and ControlNets over frames and steps."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from reel.comfy.node import Link, Node
from reel.imports import schedules
from reel.imports.file import number
from reel.imports.found import Fact, Found, Leaf
from reel.schedule.dialects.base import Options
from reel.schedule.expressions import number as constant
from reel.schedule.model import Schedule

if TYPE_CHECKING:
    from reel.imports.comfy.walk import Walk, Way

Onward = list[tuple[str, "Way"]]
_MOST_FRAMES = 10_000


def _taken(walk: Walk, node: Node, name: str) -> tuple[list[Leaf], Any]:
    """An input's leaves and its value; told, and None, where it has none."""
    leaves, value, why = walk.constant(node, name)
    if why:
        for leaf in leaves:
            walk.found.left(leaf, why)
        return [], None
    return leaves, value


def _used(walk: Walk, node: Node, why: str, *names: str) -> None:
    for name in names:
        walk.found.used(walk.leaf(node, name), why)


def _text(walk: Walk, node: Node, *names: str) -> tuple[list[Leaf], str]:
    """The first of several inputs that is there, as a text."""
    for name in names:
        if name in node.inputs:
            leaves, value = _taken(walk, node, name)
            return leaves, value if isinstance(value, str) else ""
    return [], ""


def _fizz(walk: Walk, node: Node, way: Way) -> Onward:
    """FizzNodes' prompt schedules: both prompts of a film."""
    leaves, text = _text(walk, node, "text")
    head_leaves, head = _text(walk, node, "pre_text")
    tail_leaves, tail = _text(walk, node, "app_text")
    weights = {name: _taken(walk, node, name) for name in ("pw_a", "pw_b", "pw_c", "pw_d") if name in node.inputs}
    known = {name: found for name, (_, value) in weights.items() if (found := number(value)) is not None}

    def told(schedule: Schedule) -> Schedule:
        names = {name for key in schedule.keys for name in known if f"{name}" in f"{key.prompt} {key.negative}"}
        return replace(schedule, variables=tuple((name, constant(known[name])) for name in sorted(names)))

    _say(walk, [*leaves, *head_leaves, *tail_leaves, *(leaf for found, _ in weights.values() for leaf in found)],
         text, "fizz", Options(head, tail), told)  # fmt: skip
    _used(walk, node, "has no effect on a film", "print_output", "start_frame", "end_frame", "current_frame")
    if "max_frames" in node.inputs:
        lengths, value = _taken(walk, node, "max_frames")
        if lengths:
            walk.found.facts.append(Fact("frames", value, tuple(lengths)))
    if isinstance(link := node.inputs.get("num_latents"), Link):
        walk.found.used(walk.leaf(node, "num_latents"), f"leads to {link}")
        return [*_on(walk, node, "clip", way), (link.node, way)]
    return _on(walk, node, "clip", way)


def _evolved(walk: Walk, node: Node, way: Way) -> Onward:
    """AnimateDiff-Evolved's prompt schedules: one prompt, or the other, by the way."""
    leaves, text = _text(walk, node, "prompts")
    head_leaves, head = _text(walk, node, "prepend_text")
    tail_leaves, tail = _text(walk, node, "append_text")
    dialect = "evolved-json" if text.lstrip().startswith(('"', "{")) else "evolved"

    def told(schedule: Schedule) -> Schedule:
        return replace(schedule, head=head.strip().rstrip(", "), tail=tail.strip().lstrip(", "), joiner=", ")

    all_leaves = [*leaves, *head_leaves, *tail_leaves]
    if way.name == "negative":
        _negative(walk, all_leaves, text, dialect)
    else:
        _say(walk, all_leaves, text, dialect, Options(), told)
    _used(walk, node, "has no effect on a film", "print_schedule", "max_length")
    if (leaf := walk.leaf(node, "tensor_interp")) is not None:
        if leaf.value == "lerp":
            walk.found.used(leaf, "prompts are mixed along a straight line, as here")
        else:
            walk.found.left(leaf, "prompts are mixed along a straight line")
    walk.found.left(walk.leaf(node, "values_replace"), "formulas between backticks take the place of listed values")
    return [*_on(walk, node, "clip", way), *_on(walk, node, "latent", way)]


def _negative(walk: Walk, leaves: list[Leaf], text: str, dialect: str) -> None:
    try:
        schedule, _ = schedules.read(text, dialect, "prompt")
    except ValueError as error:
        for leaf in leaves:
            walk.found.left(leaf, str(error))
        return
    how = "" if len(schedule.keys) == 1 else "one negative prompt holds for the whole film: the first"
    walk.found.facts.append(Fact("negative", schedule.keys[0].prompt or "", tuple(leaves), how))


def _say(
    walk: Walk, leaves: list[Leaf], text: str, dialect: str, options: Options, told: Callable[[Schedule], Schedule]
) -> None:
    if not leaves:
        return
    try:
        schedule, more = schedules.read(text, dialect, "prompt", options)
    except ValueError as error:
        for leaf in leaves:
            walk.found.left(leaf, str(error))
        return
    walk.found.facts.append(Fact("prompt_schedule", (told(schedule), more), tuple(leaves)))


def _on(walk: Walk, node: Node, name: str, way: Way) -> Onward:
    link = node.inputs.get(name)
    if not isinstance(link, Link):
        return []
    walk.found.used(walk.leaf(node, name), f"leads to {link}")
    return [(link.node, way)]


def _timestep(walk: Walk, node: Node, way: Way) -> Onward:
    """A factor of a control from a part of the denoising on."""
    group = way.groups.get("control")
    at_leaves, at = _taken(walk, node, "start_percent")
    leaves, strength = _taken(walk, node, "strength") if "strength" in node.inputs else ([], 1.0)
    place, scale = number(at), number(strength)
    if group is None or place is None or scale is None:
        for leaf in [*at_leaves, *leaves]:
            walk.found.left(leaf, "a keyframe of no control")
    else:
        group.facts.append(Fact("keyframe", {"at": place, "scale": scale}, (*at_leaves, *leaves)))
    _plain(walk, node, ("inherit_missing", (True,)), ("guarantee_steps", (0, 1)), ("null_latent_kf_strength", (0, 0.0)))
    walk.found.left(walk.leaf(node, "mask_optional"), "controls.NAME.mask leaves a region out, at all steps")
    names = ("prev_timestep_kf", "cn_weights", "latent_keyframe")
    return [onward for name in names for onward in _on(walk, node, name, way)]


def _plain(walk: Walk, node: Node, *pairs: tuple[str, tuple[Any, ...]]) -> None:
    for name, values in pairs:
        leaf = walk.leaf(node, name)
        if leaf is not None and any(leaf.value is one or leaf.value == one for one in values):
            walk.found.used(leaf, "has no effect at this value")
        else:
            walk.found.left(leaf, "a control's keyframes have no such setting")


def _latent(walk: Walk, node: Node, way: Way) -> Onward:
    """A control's strength at one frame."""
    at_leaves, at = _taken(walk, node, "batch_index")
    leaves, strength = _taken(walk, node, "strength")
    frame, scale = number(at), number(strength)
    text = f"{int(frame)}={scale:.6g}" if frame is not None and scale is not None else ""
    return _frames(walk, node, way, [*at_leaves, *leaves], text)


def _latent_group(walk: Walk, node: Node, way: Way) -> Onward:
    leaves, text = _text(walk, node, "index_strengths")
    _used(walk, node, "has no effect on a film", "print_keyframes")
    onward = _on(walk, node, "latent_optional", way)
    return [*_frames(walk, node, way, leaves, text), *onward]


def _latent_ramp(walk: Walk, node: Node, way: Way) -> Onward:
    """A control's strength from frame to frame, one value for each."""
    names = ("batch_index_from", "batch_index_to_excl", "strength_from", "strength_to", "interpolation")
    taken = [_taken(walk, node, name) for name in names]
    leaves = [leaf for found, _ in taken for leaf in found]
    start, stop, low, high = (number(value) for _, value in taken[:4])
    text = ""
    if start is not None and stop is not None and low is not None and high is not None:
        first, count = int(start), int(stop) - int(start)
        if 0 < count <= _MOST_FRAMES:
            curve = _CURVES.get(str(taken[4][1]), _CURVES["linear"])
            parts = [at / (count - 1) if count > 1 else 0.0 for at in range(count)]
            text = ", ".join(f"{first + at}={low + (high - low) * curve(u):.6g}" for at, u in enumerate(parts))
    _used(walk, node, "has no effect on a film", "print_keyframes")
    return _frames(walk, node, way, leaves, text)


_CURVES: dict[str, Callable[[float], float]] = {
    "linear": lambda u: u,
    "ease-in": lambda u: u * u,
    "ease-out": lambda u: 1 - (1 - u) ** 2,
    "ease-in-out": lambda u: (1 - math.cos(math.pi * u)) / 2,
}


def _frames(walk: Walk, node: Node, way: Way, leaves: list[Leaf], text: str) -> Onward:
    group = way.groups.get("control")
    if group is None or not text.strip():
        for leaf in leaves:
            walk.found.left(leaf, "a keyframe of no control" if group is None else "no frames are named")
    else:
        group.facts.append(Fact("latent", text.strip().strip(","), tuple(leaves)))
    return [*_on(walk, node, "prev_latent_kf", way), *_on(walk, node, "prev_latent_keyframe", way)]


def finished(found: Found) -> None:
    """Put together what several nodes have said of one control."""
    for group in found.of("control"):
        _over_frames([fact for fact in group.facts if fact.name == "latent"], group.facts, found)
        _over_steps([fact for fact in group.facts if fact.name == "keyframe"], group.facts, found)


def _over_frames(said: list[Fact], facts: list[Fact], found: Found) -> None:
    if not said:
        return
    leaves = tuple(leaf for fact in said for leaf in fact.leaves)
    for fact in said:
        facts.remove(fact)
    try:
        schedule, _ = schedules.read(", ".join(str(fact.value) for fact in reversed(said)), "latent", "value")
    except ValueError as error:
        for leaf in leaves:
            found.left(leaf, str(error))
        return
    facts.append(Fact("weight_schedule", schedule, leaves))


def _over_steps(said: list[Fact], facts: list[Fact], found: Found) -> None:
    leaves = tuple(leaf for fact in said for leaf in fact.leaves)
    for fact in said:
        facts.remove(fact)
    rows = {float(fact.value["at"]): fact.value for fact in reversed(said)}
    if not rows or all(row["scale"] == 1 for row in rows.values()):
        for leaf in leaves:
            found.used(leaf, "has no effect at this value")
        return
    facts.append(Fact("keyframes", [rows[at] for at in sorted(rows)], leaves))


READ: dict[str, Callable[[Walk, Node, Way], Onward]] = {
    "fizz": _fizz,
    "evolved": _evolved,
    "timestep": _timestep,
    "latent": _latent,
    "latent_group": _latent_group,
    "latent_ramp": _latent_ramp,
}
"""How each is read, by the row's ``special``."""
