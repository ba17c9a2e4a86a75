"""Digests: what objects, keys and files are known by. They become names of files, so every door holds them to one form.

A digest that comes from outside (a mirror, a record, a pointer) is text like any other until `parse` has seen it: one
that were a path would lead out of the store.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, TypeGuard

FORM = re.compile(r"[0-9a-f]{64}")


def is_digest(value: Any) -> TypeGuard[str]:
    """Whether a value is the text of a sha256: 64 lower-case hexadecimal digits and nothing else."""
    return isinstance(value, str) and FORM.fullmatch(value) is not None


def parse(value: Any) -> str:
    """A digest as it was given.

    Raises:
        ValueError: it is none.
    """
    if not is_digest(value):
        raise ValueError("must be 64 lower-case hexadecimal digits (the output of sha256sum)")
    return value


class _Form:
    """Tells pydantic of `parse`, and imports nothing of it: the store is opened where no settings are read."""

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> Any:
        from pydantic_core import core_schema

        return core_schema.no_info_after_validator_function(parse, handler(source))


Digest = Annotated[str, _Form()]
"""The type of a field that holds one."""
