"""Prompts of the family's second half: who is there, what happens, what the camera does, in many wordings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tasks.sprite import captions as still
from tasks.sprite.attributes import CHOICES, Choices
from tasks.sprite.ltx.motions import ACTIONS, CAMERAS, Motion

if TYPE_CHECKING:
    import numpy as np

    from tasks.sprite.attributes import Attributes

NOT_SAID = still.NOT_SAID

DOES: dict[str, tuple[str, ...]] = {
    "stand_still": ("stands still", "stands still", "stands", "does not move", "stays still", "holds still",
                    "stands motionless"),
    "wave_right": ("waves", "waves", "waves with one arm", "waves one hand", "waves with the right arm",
                   "waves with {her} right hand", "raises {her} right arm and waves", "waves {her} hand",
                   "waves hello"),
    "wave_left": ("waves with the left arm", "waves with {her} left arm", "waves with {her} left hand",
                  "raises {her} left arm and waves", "waves {her} left hand"),
    "wave_both": ("waves with both arms", "waves with both arms", "waves both arms", "waves both hands",
                  "raises both arms and waves"),
    "step_left": ("steps left", "steps to the left", "takes a step to the left", "walks to the left", "moves left",
                  "takes two steps left"),
    "step_right": ("steps right", "steps to the right", "takes a step to the right", "walks to the right",
                   "moves right", "takes two steps right"),
    "jump": ("jumps", "jumps", "jumps up", "jumps into the air", "hops", "leaps up"),
    "bow": ("bows", "bows", "takes a bow", "bows down", "bows politely", "bends forward"),
    "turn": ("turns", "turns around", "turns around", "turns {her} back", "turns away", "spins around"),
}  # fmt: skip
"""What each action is called after its subject; {her} is her, his or the."""
DOING: dict[str, tuple[str, ...]] = {
    "stand_still": ("standing still", "standing", "not moving"),
    "wave_right": ("waving", "waving with one arm", "waving with the right arm"),
    "wave_left": ("waving with the left arm", "waving with the left hand"),
    "wave_both": ("waving with both arms", "waving both arms"),
    "step_left": ("stepping left", "stepping to the left", "walking left"),
    "step_right": ("stepping right", "stepping to the right", "walking right"),
    "jump": ("jumping", "jumping up", "a jump"),
    "bow": ("bowing", "a bow", "bending forward"),
    "turn": ("turning", "turning around", "a turn"),
}
"""What it is called without a subject, or behind `is`."""
FILMS: dict[str, tuple[str, ...]] = {
    "static": ("static camera", "fixed camera", "the camera does not move", "locked camera"),
    "push_in": ("push-in", "slow push-in", "the camera pushes in", "the camera moves closer", "zoom in",
                "slow zoom in", "dolly in", "camera push-in"),
    "pan_left": ("pan left", "slow pan left", "the camera pans left", "camera pan to the left",
                 "the camera pans to the left"),
    "pan_right": ("pan right", "slow pan right", "the camera pans right", "camera pan to the right",
                  "the camera pans to the right"),
}  # fmt: skip
SUBJECTS = (("she", "her"), ("she", "her"), ("he", "his"), ("the girl", "her"), ("a girl", "her"), ("a woman", "her"),
            ("the woman", "her"), ("the man", "his"), ("a dancer", "the"), ("the dancer", "the"), ("the figure", "the"),
            ("the character", "the"), ("a person", "the"), ("a boy", "his"))  # fmt: skip
ADVERBS = ("slowly", "gently", "happily", "calmly", "quickly", "then")


@dataclass(frozen=True)
class Caption:
    """A text and what it states: positions in `ACTIONS` and in `CAMERAS`, or `NOT_SAID`: int64 `(2,)`.

    A text that names an action and no camera states a static one.
    """

    text: str
    labels: np.ndarray


def plain_caption(motion: Motion) -> str:
    """The reference wording: `she waves with the right arm, static camera`."""
    does = {"wave_right": "waves with the right arm", "wave_left": "waves with the left arm", "turn": "turns around"}
    return f"she {does.get(motion.action, DOES[motion.action][0])}, {FILMS[motion.camera][0]}"


def random_caption(
    motion: Motion, attributes: Attributes, rng: np.random.Generator, choices: Choices = CHOICES
) -> Caption:
    """A caption in a random wording; one in twelve leaves the action out, and with it what the camera does not do.

    choices: attributes that are named in some of the captions.
    """
    import numpy as np

    labels = motion.to_indices()
    said = rng.random() >= 1 / 12
    text = _subject_and_action(motion, attributes, rng, choices) if said else _subject(attributes, rng, choices)[0]
    if not said:
        labels[0] = NOT_SAID
    if motion.camera != "static" or rng.random() < 0.25:
        camera = _pick(FILMS[motion.camera], rng)
        parts = [text, camera] if rng.random() < 0.8 else [camera, text]
        text = _pick((", ", ", ", ". "), rng).join(parts)
    elif not said:
        labels[1] = NOT_SAID
    if rng.random() < 0.15:
        text = f"{text}, {_pick(still.STYLES, rng)}"
    text = text[0].upper() + text[1:] if rng.random() < 0.3 else text
    return Caption(text + ("." if rng.random() < 0.15 else ""), np.array(labels))


def random_empty(rng: np.random.Generator) -> Caption:
    """What stands on the unconditional side: nothing at all, or only words of bad or good quality."""
    import numpy as np

    return Caption(still.random_empty(rng).text, np.full(2, NOT_SAID))


def _subject_and_action(motion: Motion, attributes: Attributes, rng: np.random.Generator, choices: Choices) -> str:
    kind = rng.random()
    if kind < 0.12:
        return _pick(DOING[motion.action], rng)
    subject, her = _subject(attributes, rng, choices)
    if kind < 0.3:
        verb = f"is {_pick([words for words in DOING[motion.action] if not words.startswith('a ')], rng)}"
    else:
        verb = _pick(DOES[motion.action], rng).format(her=her)
        if rng.random() < 0.2:
            verb = f"{_pick(ADVERBS, rng)} {verb}"
    return f"{subject} {verb}"


def _subject(attributes: Attributes, rng: np.random.Generator, choices: Choices) -> tuple[str, str]:
    """Who does it: a pronoun or a short name, or all that the first half's captions say of a figure."""
    if rng.random() < 0.65:
        return _pick(SUBJECTS, rng)
    return still.random_caption(attributes, rng, choices, actions=()).text, "the"


def _pick(options: Sequence[str] | Sequence[tuple[str, str]], rng: np.random.Generator) -> Any:
    return options[int(rng.integers(len(options)))]


def vocabulary() -> list[str]:
    """Every word that a caption can hold, sorted; punctuation stands alone, hyphens split."""
    texts = [" ".join(still.vocabulary()), " ".join(ADVERBS), "is a an the", *(" ".join(pair) for pair in SUBJECTS)]
    for table in (DOES, DOING, FILMS):
        texts += [phrase.replace("{her}", "her") for phrases in table.values() for phrase in phrases]
    words = {part for text in texts for word in text.split() for part in word.replace("-", " - ").split()}
    return sorted(words)


assert set(DOES) == set(DOING) == set(ACTIONS)
assert set(FILMS) == set(CAMERAS)
