"""The texts of a render: what the encoder reads, and which of them counts when and where."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from reel.errors import UserError
from tasks.stylize.settings.denoise import Prompts
from tasks.stylize.settings.embed import check_text
from tasks.stylize.settings.regions import Region, RegionalText, live_regions

if TYPE_CHECKING:
    from reel.schedule.compile import PromptTrack

log = logging.getLogger(__name__)

Pair = tuple[str, str]
"""A positive and a negative text, or the settings that they come from."""


@dataclass(frozen=True)
class Texts:
    """What `embed` encodes, and how `denoise` reads it.

    Attributes:
        pairs: distinct texts; a negative one that nobody reads is empty.
        unread: negative texts without guidance.
        keys: for each pair the flow's settings that it comes from, for messages.
        prompts: which text each frame shows; None: the first throughout.
        regions: which text counts in which part of the picture.
    """

    pairs: list[Pair]
    keys: list[Pair]
    prompts: Prompts | None
    regions: dict[str, RegionalText]
    unread: list[str] = field(default_factory=list)


def gathered(
    prompt: str,
    negative_prompt: str,
    track: PromptTrack | None,
    regions: Mapping[str, Region],
    guided: bool,
    wordless: bool = False,
) -> Texts:
    """The texts of a render.

    Args:
        track: prompts over the frames, instead of ``prompt``; the negative prompt is in it already.
        guided: whether negative texts are read.
        wordless: whether a prompt may be empty, because pictures say what is shown.

    Raises:
        UserError: there is no prompt.
    """
    if track is None:
        if not prompt.strip() and not wordless:
            raise UserError(
                "prompt: is empty: say what the clip should show, for instance 'a dancer with long red hair'"
            )
        pairs, keys = [(prompt, negative_prompt)], [("prompt", "negative_prompt")]
    else:
        pairs, keys = list(track.texts), [("prompt_schedule", "prompt_schedule")] * len(track.texts)
    unread: list[str] = []
    if not guided:
        unread = [negative for _, negative in pairs]
        if any(negative.strip() for _, negative in pairs):
            log.warning("%s: its negative words are not read: stylize.guidance_scale up to 1 is no guidance. "
                        "Above 1 they are, at twice the work.", keys[0][1])  # fmt: skip
        pairs = [(positive, "") for positive, _ in pairs]
    live = live_regions(regions)
    regional = {
        name: RegionalText(text=number, mask=region.mask, weight=region.weight)
        for number, (name, region) in enumerate(live.items(), len(pairs))
    }
    pairs += [(region.prompt, "") for region in live.values()]
    keys += [(f"regions.{name}.prompt", "") for name in live]
    return Texts(pairs, keys, None if track is None else _prompts(track), regional, unread)


def check_texts(texts: Texts, negative_prompt: str, embeddings: Collection[str]) -> None:
    """Whether all texts are in the syntax that the encoder is given.

    Args:
        negative_prompt: the setting; it is a part of every text of a schedule.
        embeddings: names of the textual inversions that they may use.

    Raises:
        UserError: the first that is not, by its setting.
    """
    check_text(negative_prompt, "negative_prompt", embeddings)
    for text in texts.unread:  # they are read as soon as guidance is turned on
        check_text(text, texts.keys[0][1], embeddings)
    for pair, keys in zip(texts.pairs, texts.keys, strict=True):
        for text, key in zip(pair, keys, strict=True):
            check_text(text, key, embeddings)


def _prompts(track: PromptTrack) -> Prompts:
    return Prompts(a=track.a.tolist(), b=track.b.tolist(), blend=track.blend.tolist(), mixing=track.mixing)
