"""The prompts of a shot: what is drawn, and what is animated, out of its words and those of who is in it."""

from __future__ import annotations

import re

from reel.story.model import Camera, Character, Shot, Storyboard, mentions

MOVES: dict[Camera, str] = {
    "static": "static camera",
    "push_in": "the camera pushes in slowly",
    "pull_out": "the camera pulls out slowly",
    "pan_left": "the camera pans left",
    "pan_right": "the camera pans right",
    "tilt_up": "the camera tilts up",
    "tilt_down": "the camera tilts down",
    "orbit_left": "the camera orbits to the left",
    "orbit_right": "the camera orbits to the right",
    "crane_up": "the camera rises",
    "crane_down": "the camera sinks",
    "track": "the camera follows",
    "handheld": "handheld camera",
}
"""What a prompt says of each camera move."""

_SEVERAL = re.compile(r"\b(?:and then|then|after that|afterwards|finally)\b|;", re.IGNORECASE)
_CAMERA = re.compile(r"\b(?:camera|zooms?|pans?|tilts?|dolly|push[- ]in|pull[- ]out)\b", re.IGNORECASE)


def described(text: str, characters: list[Character]) -> str:
    """A text with the words of each character, unchanged, where it names them first; of two names that lie over each
    other the longer one counts."""
    places = [(found.span(), one.words) for one in characters if (found := mentions(one.name, text))]
    told, done = [], 0
    for (start, stop), words in sorted(places, key=lambda place: (place[0][0], -place[0][1])):
        if start >= done:
            told += [text[done:start], words]
            done = stop
    return "".join([*told, text[done:]])


def picture_prompt(board: Storyboard, shot: Shot, *, last: bool = False) -> str:
    """What the shot's picture is drawn from: its words, then the film's style.

    Args:
        last: the picture that the shot ends with.
    """
    own = shot.last_prompt if last else shot.prompt
    return ", ".join(filter(None, [described(own, board.characters).strip().rstrip(".,"), board.style.strip()]))


def motion_prompt(board: Storyboard, shot: Shot) -> str:
    """What the animator is told: what is in the picture, what happens, what the camera does."""
    told = [one.strip().rstrip(".") for one in (shot.prompt, shot.motion)]
    move = MOVES[shot.camera] if shot.camera is not None else ""
    return described(". ".join(filter(None, [*told, move])), board.characters)


def named(board: Storyboard, shot: Shot) -> list[Character]:
    """The characters that a shot names, in the storyboard's order."""
    texts = (shot.prompt, shot.motion, shot.last_prompt)
    return [one for one in board.characters if any(mentions(one.name, text) for text in texts)]


def doubts(board: Storyboard) -> list[str]:
    """What makes shots fail with any model, in a line each: several actions, camera moves in the action's words."""
    found = []
    for number, shot in enumerate(board.shots, 1):
        several = _SEVERAL.search(shot.motion)
        if several is not None:
            found.append(
                f"shot {number}: motion tells of several actions ('{several[0]}'): a shot of a few seconds shows one"
            )
        camera = _CAMERA.search(shot.motion)
        if camera is not None and shot.camera is not None:
            found.append(
                f"shot {number}: motion ('{camera[0]}') and camera ({shot.camera}) are two camera moves: a shot has one"
            )
    return found
