"""What a language model is asked for, as a JSON schema, and what its answers are held against."""

from __future__ import annotations

import json
import re
from typing import Any

from reel.config import Config, parse
from reel.errors import UserError
from reel.story.model import MOVES_OF_CAMERA, Camera, Storyboard, Words


class Person(Config):
    name: Words
    words: Words


class DraftShot(Config):
    prompt: Words
    motion: Words
    camera: Camera
    caption: str


class Draft(Config):
    """A storyboard as a language model fills it in: every key is needed."""

    title: Words
    style: Words
    characters: list[Person]
    shots: list[DraftShot]


SYSTEM = """\
You turn a story into a storyboard for an image model and an image-to-video model. Answer with one JSON object and \
nothing else. Rules:
- exactly {shots} shots, in the order of the story
- a shot is one action and one camera move, a few seconds long
- "characters": everybody who is seen, each with a "name" and "words": what they look like, in one noun phrase that \
begins with a or an (hair, skin, clothes, colours)
- "prompt": what is in the shot's picture, in English; call characters by their name and never describe them again
- "motion": what moves, in English, one short sentence, with she, he or they for who is in the picture
- "camera": one of {cameras}
- "caption": what is told under the picture, one short sentence in the story's own language, or an empty string
- "style": how all pictures look{style}
"""


def messages(story: str, shots: int, style: str, *, schema_in_words: bool) -> list[dict[str, str]]:
    """The conversation's beginning.

    Args:
        schema_in_words: the server takes no schema, so that it stands in the text.
    """
    rules = SYSTEM.format(shots=shots, cameras=", ".join(MOVES_OF_CAMERA), style=f': "{style}"' if style else "")
    if schema_in_words:
        rules += f"The object follows this JSON schema: {json.dumps(json_schema(shots))}\n"
    return [{"role": "system", "content": rules}, {"role": "user", "content": story}]


def json_schema(shots: int) -> dict[str, Any]:
    """Of a `Draft`, in the part of the language that servers share: every key needed, nothing beside them."""
    text = {"type": "string"}

    def thing(**properties: Any) -> dict[str, Any]:
        return {
            "type": "object",
            "properties": properties,
            "required": list(properties),
            "additionalProperties": False,
        }

    shot = thing(prompt=text, motion=text, camera={"type": "string", "enum": list(MOVES_OF_CAMERA)}, caption=text)
    return thing(
        title=text,
        style=text,
        characters={"type": "array", "items": thing(name=text, words=text)},
        shots={"type": "array", "items": shot, "minItems": shots, "maxItems": shots},
    )


def storyboard(answer: str, shots: int, style: str = "") -> Storyboard:
    """The storyboard that an answer holds; what stands around its JSON is passed over.

    Raises:
        UserError: there is none, or it breaks a rule; the message is for the model and for people.
    """
    draft = parse(Draft, _object(answer))
    if len(draft.shots) != shots:
        raise UserError(f"shots: exactly {shots} are asked for, there are {len(draft.shots)}")
    read = {f"shots.{number}.{name}": getattr(shot, name)
            for number, shot in enumerate(draft.shots) for name in ("prompt", "motion")}  # fmt: skip
    read |= {f"characters.{number}.{name}": getattr(one, name)
             for number, one in enumerate(draft.characters) for name in ("name", "words")}  # fmt: skip
    for key, words in {**read, "style": style or draft.style}.items():
        if not _latin(words):
            raise UserError(f"{key}: must be in English, which image and video models read")
    found = draft.model_dump(mode="json")
    for shot in found["shots"]:
        shot["caption"] = shot["caption"].strip() or None
    return parse(Storyboard, {**found, "title": draft.title[:200], "style": style or draft.style})


def _object(answer: str) -> dict[str, Any]:
    text = re.sub(r"(?s)<think>.*?</think>", "", answer)
    start, stop = text.find("{"), text.rfind("}")
    if start < 0 or stop < start:
        raise UserError("there is no JSON object in the answer")
    try:
        found = json.loads(text[start : stop + 1])
    except RecursionError:
        raise UserError("the JSON is nested too deeply") from None
    except ValueError as error:
        raise UserError(f"not valid JSON: {error}") from None
    return dict(found)


def _latin(text: str) -> bool:
    """Whether most letters are those of English: models of other languages' scripts draw something else."""
    letters = [char for char in text if char.isalpha()]
    return sum(char.isascii() for char in letters) * 2 >= len(letters)
