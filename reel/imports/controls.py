"""ControlNets of other tools as ours: which map, which network, how strongly, over which steps and frames."""

from __future__ import annotations

from typing import Any

from reel.imports import names, schedules
from reel.imports.draft import Draft, Refused, flag, number
from reel.imports.found import Fact, Found, Group

_PLAIN = {
    "weight": "weight",
    "start": "control_guidance_start",
    "end": "control_guidance_end",
    "soft": "soft",
}
"""Facts of a control that are a number at a key."""


def settle(found: Found, draft: Draft) -> None:
    """All controls of a file; none where the flow has no source to draw maps from."""
    groups = found.of("control")
    if draft.flow != "dance":
        for group in groups:
            for fact in group.facts:
                draft.left(fact, f"`{draft.flow}` has no ControlNets")
        return
    chosen: list[str] = []
    taken: set[str] = set()
    for group in groups:
        take(group, draft, chosen, taken)
    draft.choices["control"] = chosen


def take(group: Group, draft: Draft, chosen: list[str], taken: set[str]) -> None:
    """One control, or why it is none.

    Args:
        chosen: files of conf/control/ that are used, added to; ``taken``: all controls' names.
    """
    kind, why, fact = kind_of(group)
    if kind is None:
        for one in group.facts:
            draft.left(one, why)
        return
    name = names.CONTROL_NAMES[kind]
    if name in taken:
        name = next(new for number in range(2, 100) if (new := f"{kind}_{number}") not in taken)
    else:
        chosen.append(name)
    taken.add(name)
    at = f"controls.{name}"
    draft.values[f"{at}.kind"] = kind
    if fact is not None:
        draft.note_key(f"{at}.kind", fact, why)
    _maker(group, kind, at, draft)
    for said, key in _PLAIN.items():
        if (plain := group.get(said)) is not None:
            draft.read(f"{at}.{key}", number, plain)
    _end(at, draft)
    _weights(group, at, draft)
    done = {"kind", "model", "maker", *_PLAIN, "weight_schedule", "keyframes", "mode"}
    for one in group.facts:
        if one.name.partition(".")[0] == draft.values[f"{at}.preprocess"]:
            draft.read(f"preprocess.{one.name}", _setting, one)
        elif one.name not in done:
            draft.left(one, "a control here has no such setting")


def kind_of(group: Group) -> tuple[str | None, str, Fact | None]:
    """Our kind of ControlNet, what is not the same or why there is none, and what says so."""
    model, maker = group.get("model"), group.get("maker")
    if model is not None and str(model.value).strip().lower() not in ("", "none"):
        kind, how = names.control_kind(str(model.value))
        return kind, how, model
    if maker is not None:
        kind, how = names.control_kind(str(maker.value))
        return kind, how or "no ControlNet is named: the map's kind tells it", model
    return None, "no ControlNet is named", None


def _maker(group: Group, kind: str, at: str, draft: Draft) -> None:
    fact = group.get("maker")
    word = str(fact.value).strip().lower() if fact is not None else ""
    row = names.MAKERS.get(word)
    if row is not None and fact is not None:
        draft.put(f"{at}.preprocess", row.name, fact, row.how)
        if not fact.leaves:
            draft.implied[f"{at}.preprocess"] = fact.how
        for key, value in row.values.items():
            draft.put(f"preprocess.{row.name}.{key}", value, fact)
        return
    own = names.OWN_MAKERS[kind]
    draft.values[f"{at}.preprocess"] = own
    if fact is None:
        draft.implied[f"{at}.preprocess"] = f"the file does not say what draws the map; {own} does here"
    elif word in ("", "none"):
        draft.note_key(f"{at}.preprocess", fact, f"it takes finished maps; here {own} draws them from the clip")
    else:
        draft.note_key(f"{at}.preprocess", fact, f"there is no {word} here; {own} draws the map")


def _setting(value: Any) -> tuple[Any, str]:
    """A map maker's: on or off, or a number."""
    return flag(value) if value in ("enable", "disable", True, False) and value not in (0, 1) else number(value)


def _end(at: str, draft: Draft) -> None:
    """A control that begins after it ends, or with its end, does nothing here either: the end says so."""
    first, last = (draft.values.get(f"{at}.control_guidance_{name}") for name in ("start", "end"))
    if isinstance(first, int | float) and first >= (last if isinstance(last, int | float) else 1.0):
        why = "a control that begins where it ends does nothing: its weight is 0 here"
        draft.drop(f"{at}.control_guidance_start", why)
        draft.drop(f"{at}.control_guidance_end", why)
        draft.values[f"{at}.weight"] = 0
        draft.implied[f"{at}.weight"] = why


def _weights(group: Group, at: str, draft: Draft) -> None:
    """Weights over the frames and over the steps, and whose side the control is on."""
    if (fact := group.get("weight_schedule")) is not None:
        try:
            weight = draft.values.get(f"{at}.weight", 1.0)
            taken, base = schedules.values(fact.value, None if group.get("weight") is None else 1.0)
            if taken.value is None:
                draft.put(f"{at}.weight", base * weight if group.get("weight") else base, fact, taken.how)
            else:
                if group.get("weight") is None:
                    draft.values[f"{at}.weight"] = base
                draft.put(f"{at}.weight_schedule", taken.value, fact, taken.how)
        except ValueError as error:
            draft.left(fact, str(error))
    if (fact := group.get("keyframes")) is not None:
        draft.put(f"{at}.timestep_keyframes", fact.value, fact)
    if (fact := group.get("mode")) is not None:
        _mode(fact, at, draft)


def _mode(fact: Fact, at: str, draft: Draft) -> None:
    word = str(fact.value).strip().lower()
    if word in ("balanced", "0", "false"):
        draft.note_key(f"{at}.weight", fact)
    elif "prompt" in word or word == "1":
        draft.put(f"{at}.soft", 0.825, fact)
    elif "control" in word or word in ("2", "true"):
        draft.put(f"{at}.soft", 0.825, fact)
        draft.put(f"{at}.control_on", "cond", fact)
    else:
        draft.left(fact, f"there is no mode {word}")


def picture_beside_the_prompt(group: Group, draft: Draft, first: bool) -> None:
    """An IP-Adapter: one picture as a part of the prompt."""
    why = "" if first else "one picture stands beside the prompt here"
    if draft.takes in ("animate", "vace"):
        why = f"`{draft.called}` has no IP-Adapter"
    if why:
        for fact in group.facts:
            draft.left(fact, why)
        return
    key, picture, weight = "stylize.ip_adapter", group.get("picture"), group.get("weight")
    if picture is None:
        draft.ask(f"{key}.picture", None, "the picture beside the prompt")
    else:
        draft.file(f"{key}.picture", picture, "the picture beside the prompt")
    if weight is not None:
        draft.read(f"{key}.weight", number, weight)
    for fact in group.facts:
        if fact.name == "model":
            _adapter(fact, draft, key)
        elif fact.name not in ("picture", "weight"):
            _neutral(fact, draft, key)


def _adapter(fact: Fact, draft: Draft, key: str) -> None:
    word = names.stem(str(fact.value))
    plain = word in ("ip-adapter_sd15", "standard (medium strength)")
    draft.note_key(key, fact, "" if plain else "the family's IP-Adapter (the standard one for SD 1.5) takes its place")


def _neutral(fact: Fact, draft: Draft, key: str) -> None:
    """Where an IP-Adapter begins and ends: it counts for all steps here."""
    whole: dict[str, Any] = {"start": 0, "end": 1}
    try:
        if fact.name in whole and float(number(fact.value)[0]) == whole[fact.name]:
            return draft.note_key(key, fact)
    except Refused:
        pass
    return draft.left(fact, "the picture counts for all steps and the whole frame here")
