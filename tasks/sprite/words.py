"""What of a prompt an embedded family cannot draw, and what the prompt leaves open: told before anything is rendered.

The family's networks pass nothing over by themselves: an unknown word moves every attribute a little, and what no word
states is drawn anew in every frame.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from reel.models.source import ModelSource
from tasks.sprite.asked import asked
from tasks.sprite.attributes import CHOICES, Choices
from tasks.sprite.captions import BOTTOM_WORDS, FACE, GRAY, HAIR_WORDS, TOP_WORDS, vocabulary
from tasks.sprite.legible import legible, parts_of
from tasks.sprite.spec import FILE, load
from tasks.weights.fetch import embedded_root

_MEANINGLESS = {"orange", "purple", "photo", "real", "stage", "outfit", "clothes"}
"""Words that the captions' tokenizer has, and no attribute."""
_HAIR = {word: color for color, words in HAIR_WORDS.items() for word in (color, *words)}
_GRAYS = {word: color for color, words in GRAY.items() for word in (color, *words)}
_COLOURS = {*_HAIR, *_GRAYS, *CHOICES["top_color"], *CHOICES["background"], "orange", "purple"}
_NOUNS: dict[str, tuple[str, ...]] = {
    "hair": ("hair_color", "hair_length"), "haired": ("hair_color", "hair_length"),
    **dict.fromkeys(TOP_WORDS, ("top_color",)),
    **{word: ("bottom_color",) for words in BOTTOM_WORDS.values() for word in words},
    "background": ("background",), "skin": ("skin",), "skinned": ("skin",),
}  # fmt: skip
"""Noun -> attributes that the words before it set."""
_PLAIN = {
    "hair_length": "the length of the hair", "hair_color": "the colour of the hair",
    "top_color": "the colour of the top", "bottom": "the garment", "bottom_color": "the garment's colour",
    "background": "the background", "skin": "the skin",
}  # fmt: skip
"""Attributes that should be stated, in words; eyes and mouth have a default that holds still."""


def known(source: ModelSource) -> Choices | None:
    """What an embedded family draws; None for a family that does not say, or another one.

    Args:
        source: of its base.
    """
    folder = embedded_root() / source.id
    return load(folder).choices if source.kind == "embedded" and (folder / FILE).is_file() else None


def unknown(prompt: str, choices: Choices) -> list[str]:
    """Words of a prompt that the family does not know, and values that it does not know for that noun.

    Args:
        choices: attribute -> values that the family draws.

    >>> unknown("a warrior with long red hair", {**CHOICES, "hair_color": ("black", "blonde")})
    ['warrior', 'red hair']
    """
    text = prompt.lower().replace("t-shirt", "tshirt")
    words = [part for word in re.findall(r"[\w'’-]+|,", text) for part in ([","] if word == "," else parts_of(word))]
    known = _known_words(choices)
    found = [word for word in words if word != "," and word not in known]
    found += [f"{word} {noun}" for noun, word in _said_of(words) if word in known and not _fits(word, noun, choices)]
    return sorted(dict.fromkeys(found), key=lambda one: words.index(one.partition(" ")[0]))


def unsaid(prompt: str, choices: Choices) -> list[str]:
    """What a prompt leaves open of all that the family draws, in words."""
    said = asked(prompt, choices)
    return [told for name, told in _PLAIN.items() if name in choices and name not in said]


def read(prompt: str, choices: Choices) -> str:
    """A prompt without the words that the family does not know."""
    return legible(prompt, _known_words(choices) | {"t"})  # the t of a t-shirt


def described(choices: Choices) -> str:
    """What the family draws, in one line: `hair short or long, in black or blonde; a top in red or blue; ...`."""

    def one_of(name: str) -> str:
        *first, last = choices[name]
        return f"{', '.join(first)} or {last}" if first else last

    parts = [
        f"hair {one_of('hair_length')}, in {one_of('hair_color')}",
        f"a top in {one_of('top_color')}",
        f"{one_of('bottom')} in {one_of('bottom_color')}",
        f"{one_of('background')} background",
        f"{one_of('skin')} skin",
        *(f"{name} {one_of(name)}" for name in FACE if name in choices),
    ]
    return "; ".join(parts)


def left_out(family: str, prompts: Sequence[str], choices: Choices) -> str:
    """A line about what `read` leaves out of some prompts, and what is not drawn of the rest; empty: nothing is."""
    strange = [word for prompt in prompts for word in unknown(prompt, choices)]
    words = ", ".join(dict.fromkeys(word for word in strange if " " not in word))
    pairs = ", ".join(dict.fromkeys(word for word in strange if " " in word))
    told = [f"does not know, and leaves out: {words}"] * bool(words) + [f"does not draw: {pairs}"] * bool(pairs)
    return f"{family} {'; '.join(told)}. It draws {described(choices)}" if told else ""


def warnings(family: str, prompts: Sequence[str], choices: Choices) -> Iterator[str]:
    """Lines for a person about a render's prompts; none where all is known and said.

    Args:
        prompts: one, or those of a schedule.
    """
    strange = ", ".join(dict.fromkeys(word for prompt in prompts for word in unknown(prompt, choices)))
    left_open = [told for told in _PLAIN.values() if any(told in unsaid(prompt, choices) for prompt in prompts)]
    if strange:
        yield f"{family} does not know: {strange}. It draws {described(choices)}"
    if left_open and left_open != [
        _PLAIN["skin"]
    ]:  # most prompts leave that out, and it is a small part of the picture
        yield f"the prompt does not say {', '.join(left_open)}: that may change from frame to frame"


def _known_words(choices: Choices) -> set[str]:
    """Single words that mean something to the family, or do no harm."""
    drawn = {value for values in choices.values() for value in values}
    undrawn = {value for values in CHOICES.values() for value in values} - drawn
    undrawn |= {word for value in undrawn for word in BOTTOM_WORDS.get(value, ())}
    undrawn |= {name for name in FACE if name not in choices}
    return ({*vocabulary(), "tshirt"} - undrawn - _MEANINGLESS) | {
        "an", "are", "be", "for", "from", "it", "one", "s", "that", "this", "open", "closed",
    }  # fmt: skip


def _said_of(words: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Colours that stand directly before a noun, as (noun, colour)."""
    for place, noun in enumerate(words):
        for word in reversed(words[:place]) if noun in _NOUNS else ():
            if word in _COLOURS:
                yield noun, word
            elif word not in (",", "and", "very", "bright", "long", "short", "light", "dark"):
                break
            if word == ",":
                break


def _fits(word: str, noun: str, choices: Choices) -> bool:
    """Whether the family draws a colour of that noun's thing."""
    values = {value for name in _NOUNS[noun] for value in choices.get(name, ())}
    meant = {word, _HAIR.get(word, word) if "hair_color" in _NOUNS[noun] else _GRAYS.get(word, word)}
    return bool(meant & values)
