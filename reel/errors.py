"""Errors that are meant for the person at the keyboard, not for a debugger."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from reel.masking import masked


class UserError(Exception):
    """Something the user can put right. The command line prints it without a traceback and exits with 2.

    Args:
        message: what was wrong, naming the key or the file, and what is allowed.
        fix: the likely repair, printed on a line of its own.

    Secrets in either are masked: messages end in records, logs and MLflow.
    """

    def __init__(self, message: str, *, fix: str | None = None) -> None:
        self.message = masked(message)
        self.fix = masked(fix) if fix else fix
        super().__init__(self.message)

    def __str__(self) -> str:
        return f"{self.message}\nfix: {self.fix}" if self.fix else self.message

    def __reduce__(self) -> tuple[object, ...]:  # keyword-only arguments do not survive pickling by default
        return (_rebuild, (type(self), self.message, self.fix))


class MissingObject(UserError):
    """The store has no object of that digest."""


class DamagedObject(UserError):
    """Bytes in the store are not those that were stored."""


class NoRoom(UserError):
    """A full disk, a quota, or a limit for files: never the fault of what was to be written."""


def suggest(word: str, known: Iterable[str], limit: int = 3) -> str:
    """``; nearest: a, b`` for a mistyped word, or an empty string when nothing is near."""
    near = difflib.get_close_matches(word, list(known), n=limit, cutoff=0.5)
    return f"; nearest: {', '.join(near)}" if near else ""


def _rebuild(cls: type[UserError], message: str, fix: str | None) -> UserError:
    error = cls.__new__(cls)
    UserError.__init__(error, message, fix=fix)
    return error
