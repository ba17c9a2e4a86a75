"""The film as a timeline for edit suites: .otio, Final Cut Pro 7 .xml and CMX 3600 .edl, with relative paths.

In these a transition does not shorten a track: where two shots cross over by d frames the cut lies in the middle, and
each shot's movie goes on behind it (its handle) for the half that the transition needs. Titles are gaps, fades are
metadata: none of the three formats has a fade that others read.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

from tasks.film.plan import Placed, Plan
from tasks.film.settings import Shot

log = logging.getLogger(__name__)
_TIME_CODES = {Fraction(24), Fraction(25), Fraction(30), Fraction(50), Fraction(60)}
_TIME_CODES |= {Fraction(count * 1000, 1001) for count in (24, 30, 60)}
"""Frames a second for which time code exists, as OpenTimelineIO has them."""


def write(
    folder: Path,
    plan: Plan,
    shots: Sequence[Shot],
    files: Mapping[int, str],
    *,
    title: str,
    sounding: set[int],
    music: str | None,
) -> list[str]:
    """Write the timelines into a folder.

    Args:
        files: movie of each shot, as long as the shot with its handles, relative to the folder.
        title: of the timeline.
        sounding: shots whose movie has sound.
        music: a sound file as long as the film, relative to the folder; None: there is none.

    Returns:
        names of the files; the .otio alone where the film's rate has no time code.
    """
    import opentimelineio as otio

    timeline = _timeline(plan, shots, files, title, sounding, music)
    names = ["timeline.otio"]
    if plan.fps in _TIME_CODES:
        names += ["timeline.xml", "timeline.edl"]
    else:
        told = (
            "timeline.xml and .edl are not written: there is no time code for %g frames a second; film.frame.fps=24 has"
        )
        log.warning(told, float(plan.fps))
    adapters = {".otio": "otio_json", ".xml": "fcp_xml", ".edl": "cmx_3600"}
    for name in names:
        what = _pictures_alone(timeline) if name.endswith(".edl") else timeline
        otio.adapters.write_to_file(what, str(folder / name), adapter_name=adapters[Path(name).suffix])
    return names


def _timeline(
    plan: Plan, shots: Sequence[Shot], files: Mapping[int, str], title: str, sounding: set[int], music: str | None
) -> Any:
    import opentimelineio as otio

    timeline = otio.schema.Timeline(name=title, global_start_time=_time(0, plan.fps))
    for kind, name in ((otio.schema.TrackKind.Video, "V1"), (otio.schema.TrackKind.Audio, "A1")):
        track = otio.schema.Track(name=name, kind=kind)
        for place, placed in enumerate(plan.placed):
            heard = kind == otio.schema.TrackKind.Video or placed.shot in sounding
            if placed.overlap_in:
                before = plan.placed[place - 1]
                if kind == otio.schema.TrackKind.Video or (heard and before.shot in sounding):
                    track.append(_dissolve(placed.overlap_in, plan.fps))
            item = _item(placed, plan.fps, shots, files if heard else {})
            item.metadata["track"] = name  # the .xml would join equal clips, of which one has a dissolve
            track.append(item)
        if kind == otio.schema.TrackKind.Video or sounding:
            timeline.tracks.append(track)
    if music is not None:
        track = otio.schema.Track(name="A2", kind=otio.schema.TrackKind.Audio)
        track.append(_clip("music", music, 0, plan.frames, plan.frames, plan.fps))
        timeline.tracks.append(track)
    return timeline


def _item(placed: Placed, fps: Fraction, shots: Sequence[Shot], files: Mapping[int, str]) -> Any:
    """A shot from the middle of the crossfade before it to that of the one behind; a gap where it has no file."""
    import opentimelineio as otio

    first, last = placed.overlap_in // 2, placed.frames - (placed.overlap_out - placed.overlap_out // 2)
    if placed.shot is None or placed.shot not in files:
        span = otio.opentime.TimeRange(_time(0, fps), _time(last - first, fps))
        return otio.schema.Gap(source_range=span, name=placed.title)
    shot = shots[placed.shot]
    name = shot.name or f"shot {placed.shot + 1}"
    clip = _clip(name, files[placed.shot], first, last - first, placed.frames, fps)
    clip.metadata["cmx_3600"] = {"reel": f"{placed.shot + 1:03}"}
    facts = {"caption": shot.caption, "fade_in": placed.fade_in, "fade_out": placed.fade_out}
    clip.metadata["rotoscope"] = {key: value for key, value in facts.items() if value}
    return clip


def _clip(name: str, file: str, first: int, frames: int, available: int, fps: Fraction) -> Any:
    import opentimelineio as otio

    media = otio.schema.ExternalReference(
        target_url=file, available_range=otio.opentime.TimeRange(_time(0, fps), _time(available, fps))
    )
    span = otio.opentime.TimeRange(_time(first, fps), _time(frames, fps))
    return otio.schema.Clip(name=name, media_reference=media, source_range=span)


def _dissolve(frames: int, fps: Fraction) -> Any:
    import opentimelineio as otio

    return otio.schema.Transition(
        transition_type=otio.schema.TransitionTypes.SMPTE_Dissolve,
        in_offset=_time(frames // 2, fps), out_offset=_time(frames - frames // 2, fps),
    )  # fmt: skip


def _pictures_alone(timeline: Any) -> Any:
    """The timeline as an .edl can hold it: one track of pictures."""
    import opentimelineio as otio

    found = otio.schema.Timeline(name=timeline.name, global_start_time=timeline.global_start_time)
    pictures = next(track for track in timeline.tracks if track.kind == otio.schema.TrackKind.Video)
    found.tracks.append(pictures.deepcopy())
    return found


def _time(frames: int, fps: Fraction) -> Any:
    import opentimelineio as otio

    return otio.opentime.RationalTime(frames, float(fps))
