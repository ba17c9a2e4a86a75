"""Captions of a figure in many wordings, from tags to plain sentences, and the words the tokenizer must know."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tasks.sprite.attributes import CHOICES, Attributes, Choices

if TYPE_CHECKING:
    import numpy as np

HAIR_WORDS = {"black": ("black", "black", "dark"), "blonde": ("blonde", "blonde", "blond", "golden", "yellow"),
              "pink": ("pink",), "blue": ("blue",), "red": ("red", "red", "ginger"), "brown": ("brown",)}  # fmt: skip
TOP_WORDS = ("top", "top", "shirt", "t-shirt", "blouse", "sweater", "jacket")
BOTTOM_WORDS = {
    "trousers": ("trousers", "trousers", "pants", "jeans"),
    "skirt": ("skirt", "skirt", "skirt", "miniskirt"),
    "dress": ("dress", "dress", "dress", "gown"),
}
PEOPLE = (
    "a girl", "a woman", "a dancer", "a person", "a boy", "a man", "a cartoon girl", "an anime girl",
    "a chibi girl", "1girl", "a character", "a cartoon dancer", "a young woman",
)  # fmt: skip
ACTIONS = ("dancing", "dancing", "standing", "walking", "jumping", "moving", "posing", "turning", "running", "juggling")
STYLES = (
    "anime", "anime style", "cartoon", "cartoon style", "flat colors", "cel shaded", "masterpiece", "best quality",
    "full body", "high quality", "simple background", "clean lines", "sprite", "chibi", "animation", "a drawing",
    "2d", "illustration", "detailed", "solo", "looking at viewer", "smooth", "colorful",
)  # fmt: skip
BAD = (
    "blurry", "low quality", "worst quality", "bad anatomy", "ugly", "deformed", "extra limbs", "watermark",
    "text", "noise", "bad hands", "jpeg artifacts", "lowres", "monochrome", "realistic", "photo", "distorted",
    "flicker", "cropped", "out of frame", "duplicate",
)  # fmt: skip
GRAY = {"gray": ("gray", "grey")}
_FILLERS = (
    "with", "in", "wearing", "and", "on", "the", "of", "against", "who", "has", "is", "hair", "haired", "skin",
    "skinned", "background", "long-haired", "short-haired", "while", "stage", "light", "dark", "outfit", "clothes",
    "video", "clip", "dress", "red-haired", "at", "to", "her", "his", "she", "he", "very", "bright", "brown",
    "orange", "purple", "photo", "real", "style", "quality",
)  # fmt: skip

FACE = ("eyes", "mouth")
"""Attributes that stand before their own name: `closed eyes`."""
NOT_SAID = -1
"""Label of an attribute that a caption leaves out."""


@dataclass(frozen=True)
class Caption:
    """A text and what it states: `labels` int64 `(A,)`, positions in the family's choices or `NOT_SAID`."""

    text: str
    labels: np.ndarray


def plain_caption(attributes: Attributes, choices: Choices = CHOICES) -> str:
    """The reference wording: every attribute that the family knows but the skin, in a fixed order."""
    a = attributes
    face = [f"{getattr(a, part)} {part}" for part in FACE if part in choices]
    clothes = (
        [f"{a.bottom_color} dress"] if a.bottom == "dress" else [f"{a.top_color} top", f"{a.bottom_color} {a.bottom}"]
    )
    return ", ".join(
        [f"a dancer with {a.hair_length} {a.hair_color} hair", *face, *clothes, f"{a.background} background"]
    )


def random_caption(
    attributes: Attributes, rng: np.random.Generator, choices: Choices = CHOICES, leave_out: float = 0.08,
    actions: Sequence[str] = ACTIONS,
) -> Caption:  # fmt: skip
    """A caption in a random wording; clauses come in any order.

    Args:
        leave_out: chance of each clause to be left out. The skin is named in three captions of ten, eyes and mouth in
            five.
        actions: words for what the figure does, named in some of the captions; empty: none is ever named.
    """
    import numpy as np

    said = dict.fromkeys(CHOICES, True)
    for clause in (("hair_length", "hair_color"), ("top_color",), ("bottom", "bottom_color"), ("background",)):
        if rng.random() < leave_out:
            said.update(dict.fromkeys(clause, False))
    for single in ("hair_length", "hair_color", "bottom_color"):
        if rng.random() < 0.75 * leave_out:
            said[single] = False
    said["skin"] = rng.random() < 0.3
    for part in FACE:
        said[part] = part in choices and rng.random() < 0.5
    wording = _sentence if rng.random() < 0.5 else _tags
    text = wording(attributes, said, rng, actions)
    if rng.random() < 0.3:
        extra = ", ".join(_some(STYLES, rng, 3))
        text = f"{text}, {extra}" if rng.random() < 0.6 else f"{extra}, {text}"
    labels = np.where([said[name] for name in choices], attributes.to_indices(choices), NOT_SAID)
    return Caption(text or "a dancer", labels)


def random_empty(rng: np.random.Generator, choices: Choices = CHOICES) -> Caption:
    """What stands on the unconditional side: nothing at all, or only words of bad or good quality."""
    import numpy as np

    kind = rng.random()
    words = "" if kind < 0.7 else ", ".join(_some(BAD if kind < 0.93 else STYLES, rng, 5))
    return Caption(words, np.full(len(choices), NOT_SAID))


def _pick(options: Sequence[str], rng: np.random.Generator) -> str:
    return options[int(rng.integers(len(options)))]


def _some(options: Sequence[str], rng: np.random.Generator, most: int) -> list[str]:
    return [options[i] for i in rng.permutation(len(options))[: rng.integers(1, most + 1)]]


def _hair(a: Attributes, said: dict[str, bool], rng: np.random.Generator) -> str:
    words = [a.hair_length] if said["hair_length"] else []
    words += [_pick(HAIR_WORDS[a.hair_color], rng)] if said["hair_color"] else []
    if len(words) == 2 and rng.random() < 0.1:
        words = [words[0] + ",", words[1]]
    return " ".join([*words, "hair"]) if words else ""


def _face(a: Attributes, said: dict[str, bool]) -> list[str]:
    return [f"{getattr(a, part)} {part}" for part in FACE if said[part]]


def _clothes(a: Attributes, said: dict[str, bool], rng: np.random.Generator) -> list[str]:
    if a.bottom == "dress":  # its colour is the top's as well
        said["top_color"] = said["bottom_color"] = said["bottom"] and said["bottom_color"]
    clothes = [f"{a.top_color} {_pick(TOP_WORDS, rng)}"] if said["top_color"] and a.bottom != "dress" else []
    if said["bottom"]:
        word = _pick(BOTTOM_WORDS[a.bottom], rng)
        clothes.append(f"{a.bottom_color} {word}" if said["bottom_color"] else word)
    else:
        said["bottom_color"] = False  # a colour without its garment says nothing
    if len(clothes) == 2 and rng.random() < 0.3:
        clothes.reverse()
    return clothes


def _background(a: Attributes, rng: np.random.Generator) -> str:
    return f"{_pick(GRAY.get(a.background, (a.background,)), rng)} background"


def _article(words: str) -> str:
    plural = words.split()[-1] in ("trousers", "pants", "jeans")
    return words if plural else f"a {words}"


def _tags(a: Attributes, said: dict[str, bool], rng: np.random.Generator, actions: Sequence[str]) -> str:
    clauses = [_hair(a, said, rng), *_face(a, said), *_clothes(a, said, rng)]
    clauses += [_background(a, rng)] if said["background"] else []
    clauses += [f"{a.skin} skin"] if said["skin"] else []
    clauses = [clause for clause in clauses if clause]
    if rng.random() < 0.5:
        rng.shuffle(clauses)
    if rng.random() < 0.5:
        clauses.insert(0, _pick(PEOPLE, rng))
    if actions and rng.random() < 0.3:
        clauses.insert(int(rng.integers(len(clauses) + 1)), _pick(actions, rng))
    return ", ".join(clauses)


def _sentence(a: Attributes, said: dict[str, bool], rng: np.random.Generator, actions: Sequence[str]) -> str:
    person = _pick(PEOPLE, rng)
    if actions and rng.random() < 0.3:
        person += " " + _pick(actions, rng)
    hair = _hair(a, said, rng)
    skin = f"{a.skin} skin" if said["skin"] else ""
    features = " and ".join(part for part in (hair, skin, *_face(a, said)) if part)
    clothes = [_article(c) if rng.random() < 0.8 else c for c in _clothes(a, said, rng)]
    outfit = (" and " if rng.random() < 0.8 else ", ").join(clothes)
    parts = [f"with {features}"] if features else []
    if outfit:
        parts.append(f"{_pick(('in', 'wearing', 'in'), rng)} {outfit}")
    if rng.random() < 0.25:
        parts.reverse()
    text = (" " if rng.random() < 0.7 else ", ").join([person, *parts])
    if said["background"]:
        place = _background(a, rng)
        article = "an" if place[0] in "aeiou" else "a"
        text = _pick((f"{text}, {place}", f"{text} on {article} {place}", f"{place}, {text}",
                      f"{text} against {article} {place}"), rng)  # fmt: skip
    return f"{text}, {_pick(actions, rng)}" if actions and rng.random() < 0.25 else text


def vocabulary() -> list[str]:
    """Every word a caption can hold, sorted: each becomes one token."""
    texts: list[str] = [*PEOPLE, *ACTIONS, *STYLES, *BAD, *TOP_WORDS, *FACE, *_FILLERS]
    for table in (HAIR_WORDS, BOTTOM_WORDS, GRAY, CHOICES):
        for values in table.values():
            texts += values
    words = {part for text in texts for word in text.split() for part in word.replace("-", " - ").split()}
    return sorted(words)
