"""VACE of other tools as `dance renderer=vace`: which weights, which map drives it, which picture is the character."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from reel.imports import controls
from reel.imports.draft import ASK, Draft
from reel.imports.found import Fact, Found
from reel.imports.names import video

MAPS = ("openpose", "depth", "lineart", "lineart_anime", "softedge", "scribble")
"""Kinds of maps that it was trained on."""
FAMILIES = ("wan_vace_1_3b", "wan_vace_14b")


def model(found: Found, draft: Draft, families: Collection[str]) -> None:
    """The family whose file is named; beside it a file may name the parts that are not VACE's own."""
    known = [one for one in FAMILIES if one in families]
    taken = ""
    for fact in [fact for fact in found.facts if fact.name in ("film_model", "checkpoint", "vae", "motion")]:
        row, how = video(str(fact.value)) if fact.name in ("film_model", "checkpoint") else (None, "")
        if row is not None and row.family in known and taken in ("", row.family):
            draft.choices["model"] = taken = row.family
            draft.note_key("model", fact, how.replace("animate.storage", "stylize.storage"))
        else:
            draft.left(fact, "the family's own parts are used")
    if not taken:
        draft.choices["model"] = ASK
        draft.ask_in("model", found.get("film_model"), f"a family of VACE: {', '.join(known)}")


def control(found: Found, draft: Draft) -> None:
    """The one map that drives it; the nearest to what denoises, if there are several."""
    taken: list[str] = []
    for group in found.of("control"):
        kind, why, _ = controls.kind_of(group)
        if kind is not None and kind not in MAPS:
            why = f"VACE was not trained on maps of kind {kind}"
        elif kind is not None and taken:
            why = "VACE reads one map; stylize.overlay draws several into one"
        elif kind is not None:
            controls.take(group, draft, taken, set())
            continue
        for fact in group.facts:
            draft.left(fact, why)
    draft.choices["control"] = taken or ASK
    if not taken:
        draft.ask_in("control", None, "the map that is drawn from the clip: [pose], [depth] or [lineart]")


def reference(fact: Fact, draft: Draft) -> None:
    """The picture of the character."""
    fitted = replace(fact, how="fitted into the frame on white; ComfyUI crops it to the frame")
    draft.values["stylize.references"] = [
        draft.file_in("stylize.references[0]", fitted, "a picture of the character, one of up to four")
    ]
