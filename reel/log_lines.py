"""Log lines without secrets; what conf/hydra/job_logging names."""

from __future__ import annotations

import logging

from reel.masking import masked


class MaskingFormatter(logging.Formatter):
    """Of log lines: whatever library wrote them."""

    def format(self, record: logging.LogRecord) -> str:
        return masked(super().format(record))
