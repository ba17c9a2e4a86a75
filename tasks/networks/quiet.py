"""Less noise from the libraries while they load and run."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """No warnings and bars of diffusers and transformers inside the block: what matters was checked and said before.

    Everything is as it was afterwards; nothing is set at import.
    """
    from diffusers.utils import logging as diffusers_logging
    from transformers.utils import logging as transformers_logging

    loggers = [logging.getLogger(name) for name in ("diffusers", "transformers")]
    levels = [log.level for log in loggers]
    bars = transformers_logging.is_progress_bar_enabled()
    for log in loggers:
        log.setLevel(logging.ERROR)
    diffusers_logging.disable_progress_bar()
    transformers_logging.disable_progress_bar()
    try:
        yield
    finally:
        for log, level in zip(loggers, levels, strict=True):
            log.setLevel(level)
        diffusers_logging.enable_progress_bar()
        if bars:
            transformers_logging.enable_progress_bar()
