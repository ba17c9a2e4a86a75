"""What an embedded family does not know of a render's words, told before it begins."""

from __future__ import annotations

from collections.abc import Iterator

from flows.render.schedules import slots
from reel.config import Config
from reel.models.animatediff import AnimateDiff
from reel.models.animator import Animator


def of_the_words(cfg: Config, prompt: str, model: AnimateDiff) -> Iterator[str]:
    """What an embedded family does not know of a flow's prompts; of other families nothing is known."""
    from tasks.sprite.words import known, warnings

    choices = known(model.base)
    if choices is not None:
        yield from warnings(model.name, _prompts(cfg, prompt), choices)


def of_motions(cfg: Config, prompt: str, model: Animator) -> Iterator[str]:
    """What the embedded animator does not know of a film's prompts; of other families nothing is known."""
    from tasks.sprite.ltx.words import knows, warnings

    if knows(model.base):
        yield from warnings(model.name, _prompts(cfg, prompt))


def read_of_motion(prompt: str, model: Animator) -> str:
    """A prompt as an animator is given it: whole, but for words that the embedded one does not know."""
    from tasks.sprite.ltx.words import knows, read

    return read(prompt) if knows(model.base) else prompt


def _prompts(cfg: Config, prompt: str) -> list[str]:
    """The prompt, or the texts of its schedule; none of one with mistakes, which are told by whoever compiles it."""
    from reel.schedule.setting import parse_setting

    slot = next((slot for slot in slots(cfg) if slot.key == "prompt_schedule"), None)
    if slot is None:
        return [prompt]
    schedule = parse_setting(slot.text, slot.what, slot.key).schedule
    if schedule is None:
        return []
    return [", ".join(filter(None, [schedule.head, key.prompt or "", schedule.tail])) for key in schedule.keys]
