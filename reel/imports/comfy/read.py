"""What a graph of ComfyUI says, as one whole: which flow does it, and what its numbers mean together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reel.imports.comfy.graph import graph
from reel.imports.comfy.walk import FORMAT
from reel.imports.comfy.walk import read as follow
from reel.imports.file import number
from reel.imports.found import Entry, Fact, Found, Path_, Source


def read(data: Mapping[str, Any], source: Source, around: Path_ = ()) -> Found:
    """What a graph in the API's form says.

    Args:
        around: where it lies in its file.
    """
    found = Found(FORMAT, "text2video", source)
    follow(graph(data), found, around)
    hints = _taken(found, "film", "a node of film models")
    empty = _taken(found, "empty", "begins from noise alone")
    vace = any(fact.value == "VACE" for fact in hints)
    if vace and (_drawn(found) or found.get("clip") is not None):
        _repainted(found)
    elif hints:
        _film(found)
    elif found.get("clip") is not None or found.of("control"):
        _redrawn(found, empty)
    else:
        _from_noise(found)
    if vace and not found.renderer:
        _undriven(found)
    return found


def _taken(found: Found, name: str, what: str) -> list[Fact]:
    """Facts that say what kind of graph it is; they are no settings."""
    taken = [fact for fact in found.facts if fact.name == name]
    found.facts = [fact for fact in found.facts if fact.name != name]
    for fact in taken:
        for leaf in fact.leaves:
            found.entries.append(Entry(leaf, "mapped", how=what))
    return taken


def _only(found: Found, name: str) -> Fact | None:
    """Take the first fact of a name out; further ones are not mapped."""
    facts = [fact for fact in found.facts if fact.name == name]
    found.facts = [fact for fact in found.facts if fact.name != name]
    for fact in facts[1:]:
        _left(found, fact, "another one is taken")
    return facts[0] if facts else None


def _left(found: Found, fact: Fact, why: str) -> None:
    for leaf in fact.leaves:
        found.left(leaf, why)


def _used(found: Found, fact: Fact, what: str) -> None:
    for leaf in fact.leaves:
        found.used(leaf, what)


def _film(found: Found) -> None:
    """A film model's graph: from a picture, or from words alone."""
    found.flow = "animate"
    found.imply("extra_frames", 0, "the graph makes no frames to be cut off")
    _whole_denoising(found)
    _own_scheduler(found, "euler")
    if (rate := _only(found, "clip_rate")) is not None:
        _left(found, rate, "`animate` takes no clip to redraw")


def _own_scheduler(found: Found, *like: str) -> None:
    """A film model's scheduler is its family's.

    Args:
        like: samplers that are the same.
    """
    sampler, spacing = _only(found, "sampler"), _only(found, "spacing")
    for fact in filter(None, (sampler, spacing)):
        if fact.value in (*like, "simple", "normal"):
            _used(found, fact, "as the family's own scheduler")
        else:
            _left(found, fact, "the family's own scheduler is used")


def _whole_denoising(found: Found) -> None:
    denoise = _only(found, "denoise")
    if denoise is None:
        return
    if number(denoise.value) == 1:
        _used(found, denoise, "the whole denoising is run")
    else:
        _left(found, denoise, "a film from noise is denoised whole")


def _from_noise(found: Found) -> None:
    _whole_denoising(found)
    if found.get("frames") is None:
        found.notes.append("no node says how many frames: 16 are taken")


def _redrawn(found: Found, empty: list[Fact]) -> None:
    """A clip is redrawn: from its own frames, or from noise with maps of them."""
    found.flow = "dance"
    if empty:
        _whole_denoising(found)
        found.imply("strength", 1.0, "the graph begins from an empty latent: only the maps come from the source")
    else:
        _strength(found)
    _rates(found)


def _strength(found: Found) -> None:
    """ComfyUI runs all of its steps on the last part of the noise, we that part of ours: so ours are more."""
    denoise, steps = found.get("denoise"), found.get("steps")
    part, count = number(denoise.value) if denoise else None, number(steps.value) if steps else None
    if denoise is None or part is None or not 0 < part <= 1:
        return (
            _whole_denoising(found)
            if denoise is None
            else _left(found, _only(found, "denoise") or denoise, "no part of 1")
        )
    _only(found, "denoise")
    found.facts.append(Fact("strength", denoise.value, denoise.leaves))
    if steps is not None and count is not None and part < 1:
        ours = max(1, round(count / part))
        while int(ours * part) < count and ours < 1000:
            ours += 1
        how = f"{int(count)} steps of the last {part:g} of the noise are those of {ours} in all"
        found.facts[found.facts.index(steps)] = Fact("steps", ours, steps.leaves, how)
    return None


def _rates(found: Found) -> None:
    """How many frames a second are taken, and shown."""
    taken, shown = _only(found, "clip_rate"), _only(found, "fps")
    if taken is not None:
        found.facts.append(Fact("fps", taken.value, taken.leaves))
    if shown is None:
        return
    if taken is not None and number(taken.value) == number(shown.value):
        _used(found, shown, "as many frames a second as are taken from the clip")
    elif taken is not None:
        _left(found, shown, "frames keep the times that they have in the clip")
    else:
        found.facts.append(
            Fact("fps", shown.value, shown.leaves, "as many frames a second are taken from the clip, too")
        )


def _drawn(found: Found) -> bool:
    """Whether a node draws the map that VACE is given."""
    return any(group.get("maker") is not None for group in found.of("control"))


def _repainted(found: Found) -> None:
    """VACE repaints a clip after a map of it."""
    found.flow, found.renderer = "dance", "vace"
    _whole_denoising(found)
    _own_scheduler(found, "uni_pc", "uni_pc_bh2", "unipc")
    _rates(found)
    if not _drawn(found) and (clip := _only(found, "clip")) is not None:
        _left(found, clip, "a finished map, or frames to be filled in: maps are drawn from the clip of the person here")


def _undriven(found: Found) -> None:
    """VACE without a control video: `dance renderer=vace` has nothing to draw after."""
    why = "without a control video: `dance renderer=vace` repaints a clip after its map (docs/vace.md)"
    if (model := _only(found, "film_model")) is not None:
        _left(found, model, why)
    found.notes.append(f"VACE {why}; words, size, length, pictures and sampling are here")
