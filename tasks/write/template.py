"""The writer without a model: the story's own sentences, one after the other, framed and moved by rule.

It needs no network and gives the same storyboard for the same story. Who stands in the story gets a look: the story's
own, or one in words that the embedded family knows. Every shot gets an action out of its sentence, or of a list, and a
camera move. It is a beginning to be edited, and keeps a fresh machine working; a language model writes better ones.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence

from reel.errors import UserError
from reel.op import Context, op
from reel.story.model import LONGEST_NAME, Camera, Character, Shot, Storyboard, mentions
from reel.work import Work
from tasks.sprite.asked import asked
from tasks.write.settings import Template, put

FRAMINGS = ("wide shot", "medium shot", "close shot", "medium shot")
CAMERAS: Sequence[Camera] = ("static", "push_in", "pan_right", "static", "pan_left", "push_in")
ACTIONS = ("stands still", "turns around", "walks to the right", "waves", "jumps", "bows")
"""For sentences that name none, in turn."""
SAYS: Mapping[str, str] = {
    r"wav(?:es?|ing)|greet\w*|hello": "waves",
    r"jump\w*|leap\w*|hop(?:s|ping)?": "jumps",
    r"bow(?:s|ing)?|thank\w*|bend\w*": "bows",
    r"turn\w*|look\w*|search\w*": "turns around",
    r"walk\w*|run\w*|goes|go|steps?|leaves?|comes?|follow\w*": "walks to the right",
    r"wait\w*|sleep\w*|sits?|stands?|reads?|finds?": "stands still",
}
"""The action of a sentence with such a word."""
GROUNDS = ("green", "blue", "yellow", "pink")
"""Backgrounds; one that the hero does not wear."""
PEOPLE = ("girl", "woman", "boy", "man", "dancer", "person")
PRONOUNS = {"she": ("girl", "woman"), "he": ("boy", "man"), "they": ("person", "dancer")}
_HEAD = re.compile(r"[A-Z][\w'-]+")
_COMMON = frozenset(
    ("A", "An", "The", "One", "Once", "In", "On", "At", "It", "Its", "This", "That", "There", "Then", "When", "While",
     "After", "Before", "And", "But", "So")
)  # fmt: skip
"""Words that begin sentences and are no names."""


@op("write", "template", version=3, config=Template, inputs=(), gives="storyboard",
    work=lambda cfg, given, ctx: Work({"shots": cfg.shots}))  # fmt: skip
def template(cfg: Template, inputs: Mapping[str, str], ctx: Context) -> str:
    """A storyboard of the story's sentences; returns its digest."""
    return put(ctx.store, written(cfg.story, cfg.shots, cfg.style))


def written(story: str, shots: int, style: str = "") -> Storyboard:
    """The storyboard of a story, with exactly as many shots.

    Raises:
        UserError: a story without a word.
    """
    sentences = [one.strip() for one in re.split(r"(?<=[.!?])\s+|\n+", story.strip()) if re.search(r"\w", one)]
    if not sentences:
        raise UserError("story: there are no words in it", fix='story="A girl finds a lantern. She waves to a ship."')
    groups = _spread(sentences, shots)
    hero = _hero(story)
    return Storyboard(
        title=_title(sentences[0]),
        style=style or "flat cartoon",
        characters=[hero] if hero is not None else [],
        shots=[_shot(number, group, hero, story) for number, group in enumerate(groups)],
    )


def _spread(sentences: Sequence[str], shots: int) -> list[str]:
    """The sentences in as many parts: several in one, or one in several, as even as it gets."""
    count = len(sentences)
    if shots >= count:
        return [sentences[number * count // shots] for number in range(shots)]
    return [" ".join(sentences[number * count // shots : (number + 1) * count // shots]) for number in range(shots)]


def _title(sentence: str) -> str:
    words = sentence.rstrip(".!?").split()
    return " ".join(words[:8])[:190] + (" ..." if len(words) > 8 else "")


def _hero(story: str) -> Character | None:
    """Who the story is about: the first name or kind of person in it, with a look."""
    kind = next((word for word in re.findall(r"[a-z]+", story.lower()) if word in PEOPLE), None)
    others = {*PEOPLE, *PRONOUNS}
    found = [name for name in _HEAD.findall(story) if name not in _COMMON and name.lower() not in others]
    names = [name for name in found if len(name) <= LONGEST_NAME]
    own = next((name for name in names if len(re.findall(rf"\b{re.escape(name)}\b", story)) > 1), None)
    if kind is None and own is None:
        return None
    if kind is None:
        kind = next(
            (kinds[0] for word, kinds in PRONOUNS.items() if re.search(rf"\b{word}\b", story.lower())), "person"
        )
    return Character(name=own or "Hero", words=f"a {kind} with {_look(story, own or kind)}")


def _look(story: str, hero: str) -> str:
    """What the story says of its hero's looks before it comes to others; what it leaves open, its bytes decide."""
    bits = int.from_bytes(hashlib.sha256(story.encode()).digest()[:8], "big")
    about = re.split(rf"\b{re.escape(hero)}\b", story, maxsplit=1, flags=re.IGNORECASE)[-1]
    said = asked(re.split(rf"\b(?:{'|'.join(PEOPLE)})\b", about, maxsplit=1, flags=re.IGNORECASE)[0])

    def pick(attribute: str, *choices: str) -> str:
        nonlocal bits
        bits, at = divmod(bits, len(choices))
        return said.get(attribute, choices[at])

    length, colour = pick("hair_length", "short", "long"), pick("hair_color", "black", "blonde", "pink", "blue")
    hair = f"{length} {colour} hair and {pick('skin', 'light', 'dark')} skin"
    top = pick("top_color", "red", "blue", "yellow", "white")
    below = pick("bottom_color", *(one for one in ("red", "blue", "green", "black") if one != top))
    garment = pick("bottom", "skirt", "trousers")
    if garment == "dress":
        return f"{hair} in a {below} dress"
    return f"{hair} in a {top} top and {below if garment == 'trousers' else f'a {below}'} {garment}"


def _shot(number: int, words: str, hero: Character | None, story: str) -> Shot:
    scene = _with_hero(words.rstrip(".!?"), hero)
    found = next((does for said, does in SAYS.items() if re.search(rf"\b(?:{said})\b", words.lower())), None)
    worn = set(hero.words.split()) if hero is not None else set()
    grounds = [colour for colour in GROUNDS if colour not in worn] or GROUNDS
    ground = asked(story).get("background") or grounds[len(story) % len(grounds)]
    return Shot(
        prompt=f"{scene}, {FRAMINGS[number % len(FRAMINGS)]}, {ground} background",
        motion=f"{_pronoun(hero)} {found or ACTIONS[number % len(ACTIONS)]}",
        camera=CAMERAS[number % len(CAMERAS)],
        caption=words,
    )


def _with_hero(scene: str, hero: Character | None) -> str:
    """A sentence in which the hero is called by name: `A girl finds` and `She finds` become `Hero finds`."""
    if hero is None or mentions(hero.name, scene):
        return scene
    kind = hero.words.split()[1]
    named = re.sub(
        rf"\b(?:(?:a|the)(?: \w+)? {kind}|{_pronoun(hero)})\b", hero.name, scene, count=1, flags=re.IGNORECASE
    )
    return named if mentions(hero.name, named) else f"{hero.name}, {scene[0].lower()}{scene[1:]}"


def _pronoun(hero: Character | None) -> str:
    kind = hero.words.split()[1] if hero is not None else ""
    return next((word for word, kinds in PRONOUNS.items() if kind in kinds), "the figure")
