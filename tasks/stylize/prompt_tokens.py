"""What of a prompt reaches the text encoder: its tokenizer alone is asked, before any model loads."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class PromptReport:
    """Attributes:
    tokens: tokens of the prompt, its begin and end mark counted.
    limit: most tokens that the encoder takes, marks counted.
    beyond: the end of the text that the encoder does not see; empty when all fits.
    unknown: pieces that the vocabulary does not hold, in order of appearance.
    """

    tokens: int
    limit: int
    beyond: str
    unknown: tuple[str, ...]

    def message(self, key: str) -> str | None:
        """A line for the user, or None when everything fits."""
        if not self.beyond:
            return None
        return (
            f"{key}: {self.tokens} tokens, the text encoder takes {self.limit}; "
            f"it does not see the end: {self.beyond!r}"
        )


def prompt_report(tokenizer_dir: Path, prompt: str) -> PromptReport:
    """Count a prompt's tokens and find what falls beyond the encoder's limit. No torch.

    Args:
        tokenizer_dir: folder with the family's tokenizer files.
    """
    from transformers import CLIPTokenizer

    tokenizer = CLIPTokenizer.from_pretrained(str(tokenizer_dir), local_files_only=True)
    tokenizer.deprecation_warnings["sequence-length-is-longer-than-the-specified-maximum"] = True  # said better below
    encoded = tokenizer(prompt, return_offsets_mapping=True)
    ids, offsets = encoded["input_ids"], encoded["offset_mapping"]
    limit = int(tokenizer.model_max_length)
    seen = offsets[: limit - 1]  # the encoder's last place is the end mark's
    beyond = prompt[max((end for _, end in seen), default=0) :].strip() if len(ids) > limit else ""
    unknown = [
        prompt[start:end] for i, (start, end) in zip(ids, offsets, strict=True) if i == tokenizer.unk_token_id and end
    ]
    return PromptReport(len(ids), limit, beyond, tuple(dict.fromkeys(unknown)))


def report_prompts(tokenizer_dir: Path, texts: dict[str, str]) -> dict[str, PromptReport]:
    """Reports by key; what does not reach the encoder is logged as a warning, never dropped in silence."""
    reports = {key: prompt_report(tokenizer_dir, text) for key, text in texts.items()}
    for key, report in reports.items():
        if message := report.message(key):
            log.warning(message)
        if report.unknown:
            log.warning("%s: not in the model's vocabulary: %s", key, " ".join(map(repr, report.unknown)))
    return reports
