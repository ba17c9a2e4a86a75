"""Secrets kept out of what is printed, recorded and handed on: passwords in addresses, and what secret-looking
environment variables hold.

A secret belongs into the environment or into the keyring of the library that needs it, and never into a setting:
settings are recorded, shown in MLflow and pushed to mirrors (docs/security.md).
"""

from __future__ import annotations

import os
import re

HIDDEN = "***"

_WORDS = r"password|passwd|passphrase|secret(?:_?key)?|private_?key|token|api_?key|access_?key|auth_?string"
_USER = re.compile(r"(?<=://)([^/\s:@'\"]*):[^/\s'\"]+@")
_QUERY = re.compile(rf"(?<=[?&])(\w*(?:{_WORDS})\w*=)[^&\s'\"]+", re.IGNORECASE)
_SECRET_NAME = re.compile(rf"(?:^|_|PG)(?:{_WORDS})(?:_ID)?$", re.IGNORECASE)
SHORTEST = 8
"""Characters of an environment variable's value from which on it is looked for: `true` is no secret."""


def masked(text: str) -> str:
    """A text with `HIDDEN` in place of every secret."""
    if "://" in text:
        text = without_password(text)
    for value in _values():
        text = text.replace(value, HIDDEN)
    return text


def without_password(text: str) -> str:
    """A text whose addresses (``scheme://user:password@host/path?token=...``) hold no password any more."""
    return _QUERY.sub(rf"\1{HIDDEN}", _USER.sub(rf"\1:{HIDDEN}@", text))


def is_secret(name: str) -> bool:
    """Whether a variable or setting of that name holds a secret, as far as names tell: ``HF_TOKEN``, ``PGPASSWORD``."""
    return _SECRET_NAME.search(name) is not None


def _values() -> list[str]:
    found = (value for name, value in os.environ.items() if len(value) >= SHORTEST and is_secret(name))
    return sorted(found, key=len, reverse=True)  # one may be a part of another
