"""What an embedded family does not know of a render's words, told before it begins."""

from __future__ import annotations

from collections.abc import Iterator

from flows.render.schedules import Slot, slots
from reel.config import Config
from reel.models.animatediff import AnimateDiff


def of_the_words(cfg: Config, prompt: str, model: AnimateDiff) -> Iterator[str]:
    """What an embedded family does not know of a flow's prompts; of other families nothing is known."""
    from tasks.sprite.words import known, warnings

    choices = known(model.base)
    if choices is not None:
        schedule = next((slot for slot in slots(cfg) if slot.key == "prompt_schedule"), None)
        prompts = [prompt] if schedule is None else _prompts(schedule)
        yield from warnings(model.name, prompts, choices)


def _prompts(slot: Slot) -> list[str]:
    """The texts of a schedule; none of one with mistakes, which are told by whoever compiles it."""
    from reel.schedule.setting import parse_setting

    schedule = parse_setting(slot.text, slot.what, slot.key).schedule
    if schedule is None:
        return []
    return [", ".join(filter(None, [schedule.head, key.prompt or "", schedule.tail])) for key in schedule.keys]
