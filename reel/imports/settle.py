"""From what a file says to the settings of one of our flows: the words of facts, and the key that each has in a flow.

Readers of formats know nothing of flows, and no format is known here. A fact without a place in the flow is not mapped.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from reel.imports import controls, model_files, schedules, vace
from reel.imports.draft import ASK, Draft, Refused, number, text
from reel.imports.found import Fact, Found, Group
from reel.imports.names import sampler
from reel.imports.places import PLACES, WHY
from reel.imports.words import Words, readable


@dataclass
class _Settling:
    found: Found
    draft: Draft
    families: Collection[str]
    loras: list[Group] = field(default_factory=list)


def settle(found: Found, families: Collection[str], flow: str | None = None) -> Draft:
    """The settings of a flow that do what a file says.

    Args:
        families: names of the model families that there are.
        flow: another flow than the one that does what the file says.
    """
    draft = Draft(
        flow or found.flow, found.format, found.source, {one.leaf.path: one for one in found.entries}, list(found.notes)
    )
    if draft.flow == found.flow and found.renderer:
        draft.renderer = draft.choices["renderer"] = found.renderer
    state = _Settling(found, draft, families)
    _MODELS[draft.takes](found, draft, families)
    _texts(state)
    for name, what in _SPECIAL.items():
        for at, fact in enumerate([fact for fact in found.facts if fact.name == name]):
            if at:
                draft.left(fact, "another one is taken")
            elif name not in _TAKES[draft.takes]:
                draft.left(fact, _why(name, draft))
            else:
                what(state, fact)
    _plain(state)
    (vace.control if draft.takes == "vace" else controls.settle)(found, draft)
    _pictures(state)
    model_files.loras(found, draft, state.loras)
    for fact in found.implied:
        if (place := PLACES[draft.takes].get(fact.name)) is not None and place.key not in draft.values:
            draft.imply(place.key, fact.value, fact.how)
    for path, leaf in found.source.leaves.items():
        if path not in draft.known:
            draft.left(Fact("", leaf.value, (leaf,)), "nothing here reads it")
    draft.complete()
    return draft


def _why(name: str, draft: Draft) -> str:
    return WHY.get(name, "`{flow}` has no setting for it").format(flow=draft.called)


def _texts(state: _Settling) -> None:
    """Prompts, their LoRAs and textual inversions; a schedule takes the prompt's place."""
    draft, scheduled = state.draft, None
    for fact in [fact for fact in state.found.facts if fact.name == "prompt_schedule"]:
        if scheduled is None:
            scheduled = fact
            _prompt_schedule(state, fact)
        else:
            draft.left(fact, "another one is taken")
    for name in ("prompt", "negative"):
        place = PLACES[draft.takes][name]
        for fact in [fact for fact in state.found.facts if fact.name == name]:
            if name == "prompt" and (scheduled is not None or place.key in draft.values):
                draft.left(fact, "a prompt schedule takes its place" if scheduled else "another text is the prompt")
            elif place.key in draft.values:
                draft.left(fact, "another text is the negative prompt")
            else:
                _prompt(state, fact, place.key)


def _prompt(state: _Settling, fact: Fact, key: str) -> None:
    try:
        words = readable(text(fact.value)[0])
    except (Refused, ValueError) as error:
        return state.draft.left(fact, str(error))
    _take(state, words, fact)
    if key == "prompt" and not words.text:
        return state.draft.left(fact, "there are no words in it")
    state.draft.put(key, words.text, fact, words.how)


def _take(state: _Settling, words: Words, fact: Fact) -> None:
    for name, weight in words.loras:
        group = Group("lora", [Fact("file", name), Fact("weight", weight)], fact.place)
        state.loras.append(group)
    for name in words.embeddings:
        if state.draft.takes not in ("animate", "vace"):
            state.draft.embedding(name, fact.place)


def _prompt_schedule(state: _Settling, fact: Fact) -> None:
    draft = state.draft
    try:
        taken = schedules.prompts(*fact.value)
    except ValueError as error:
        return draft.left(fact, str(error))
    for words in taken.words:
        _take(state, words, fact)
    if taken.value is None:
        draft.put("prompt", taken.constant, fact, taken.how)
        if taken.negative:
            draft.put("negative_prompt", taken.negative, fact)
    elif draft.takes == "animate":
        draft.left(fact, "one prompt holds for the whole film (model=ltx_long alone reads a schedule)")
    elif draft.takes == "vace":
        draft.left(fact, "one prompt holds for all frames")
    else:
        draft.put("prompt_schedule", taken.value, fact, taken.how)
    return None


def _plain(state: _Settling) -> None:
    """Facts that are a value at a key."""
    draft, places = state.draft, PLACES[state.draft.takes]
    for fact in state.found.facts:
        if fact.name in ("prompt", "negative", "prompt_schedule", *_SPECIAL, *model_files.NAMES):
            continue
        place = places.get(fact.name)
        if place is None:
            draft.left(fact, _why(fact.name, draft))
        else:
            draft.read(place.key, place.read, fact)


def _sampler(state: _Settling, fact: Fact) -> None:
    spacing = state.found.get("spacing")
    ours, how = sampler(str(fact.value), str(spacing.value) if spacing else "")
    if ours is None:
        return state.draft.left(fact, how)
    state.draft.put("stylize.scheduler", ours, fact, how)
    return None


def _spacing(state: _Settling, fact: Fact) -> None:
    if "stylize.scheduler" in state.draft.values:
        how = sampler(str(getattr(state.found.get("sampler"), "value", "")), str(fact.value))[1]
        state.draft.put("stylize.scheduler", state.draft.values["stylize.scheduler"], fact, how)
    else:
        state.draft.left(fact, "no sampler is named with it")


def _clip(state: _Settling, fact: Fact) -> None:
    state.draft.file("clip", fact, "the source, a video or a folder of pictures")


def _picture(key: str, what: str) -> Callable[[_Settling, Fact], None]:
    return lambda state, fact: state.draft.file(key, fact, what)


def _guidance(state: _Settling, fact: Fact) -> None:
    """Values of guidance over the frames: a number, and factors of it."""
    try:
        taken, base = schedules.values(fact.value)
    except ValueError as error:
        return state.draft.left(fact, str(error))
    state.draft.put("stylize.guidance_scale", base, fact, taken.how)
    if taken.value is not None:
        state.draft.put("guidance_schedule", taken.value, fact, taken.how)
    return None


def _strengths(state: _Settling, fact: Fact) -> None:
    """How far each frame goes from the source: a number, and factors of it."""
    try:
        taken, base = schedules.values(fact.value)
    except ValueError as error:
        return state.draft.left(fact, str(error))
    state.draft.put("stylize.strength", base, fact, taken.how)
    if taken.value is not None:
        state.draft.put("strength_schedule", taken.value, fact, taken.how)
    return None


_SPECIAL: Mapping[str, Callable[[_Settling, Fact], None]] = {
    "sampler": _sampler,
    "spacing": _spacing,
    "clip": _clip,
    "picture": _picture("picture", "the film's first frame"),
    "last": _picture("last", "the film's last frame"),
    "reference": lambda state, fact: vace.reference(fact, state.draft),
    "cfg_schedule": _guidance,
    "strength_schedule": _strengths,
}
_TAKES = {
    "text2video": {"sampler", "spacing", "cfg_schedule"},
    "dance": {"sampler", "spacing", "clip", "cfg_schedule", "strength_schedule"},
    "vace": {"clip", "reference"},
    "animate": {"picture", "last"},
}
_MODELS: Mapping[str, Callable[[Found, Draft, Collection[str]], None]] = {
    "text2video": model_files.animatediff,
    "dance": model_files.animatediff,
    "vace": vace.model,
    "animate": model_files.film_model,
}


def _pictures(state: _Settling) -> None:
    """Guiding pictures of a film, and the picture beside the prompt."""
    found, draft = state.found, state.draft
    rows: list[dict[str, Any]] = []
    for group in found.of("guide"):
        _guide(group, draft, rows)
    if rows:
        draft.values["pictures"] = rows
    adapters = found.of("ip_adapter")
    for group in adapters:
        controls.picture_beside_the_prompt(group, draft, first=group is adapters[0])


def _guide(group: Group, draft: Draft, rows: list[dict[str, Any]]) -> None:
    picture, at = group.get("picture"), group.get("at")
    frame = int(number(at.value)[0]) if at is not None and _is_number(at.value) else 0
    if draft.flow != "animate" or picture is None:
        for fact in group.facts:
            draft.left(fact, f"`{draft.called}` takes no guiding pictures" if picture else "no picture is named for it")
        return
    strength = group.get("strength")
    if frame == 0 and "picture" not in draft.values:
        draft.file("picture", picture, "the film's first frame")
        if at is not None:
            draft.put("picture", draft.values["picture"], at)
        if strength is not None:
            draft.read("strength", number, strength)
        return
    key = f"pictures[{len(rows)}]"
    row: dict[str, Any] = {"picture": ASK, "at": "last" if frame == -1 else frame}
    row["picture"] = draft.file_in(f"{key}.picture", picture, f"the picture at frame {row['at']}")
    if at is not None:
        how = "frames before the last are not counted from the end here" if frame < -1 else ""
        draft.note_key(f"{key}.at", at, how)
        row["at"] = max(frame, 0) if frame < -1 else row["at"]
    if strength is not None and _is_number(strength.value):
        row["strength"] = number(strength.value)[0]
        draft.note_key(f"{key}.strength", strength, "")
    elif strength is not None:
        draft.left(strength, "no number")
    rows.append(row)


def _is_number(value: Any) -> bool:
    try:
        number(value)
    except Refused:
        return False
    return True
