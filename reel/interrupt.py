"""A wish to stop that cannot get lost.

Python drops a KeyboardInterrupt that falls into a callback from C or into a finaliser ("Exception ignored in ..."), and
the run would go on to its end. So the wish is remembered as well, and long work asks for it wherever it tells its
progress.
"""

from __future__ import annotations

_wish: list[str] = []


def stop(reason: str = "") -> None:
    """Remember the wish and raise.

    Raises:
        KeyboardInterrupt: always.
    """
    remember(reason)
    raise KeyboardInterrupt(*filter(None, [reason]))


def remember(reason: str = "") -> None:
    """Remember the wish; somebody else raises."""
    _wish[:] = [reason]


def check(cause: Exception | None = None) -> None:
    """Raises: KeyboardInterrupt when a wish to stop is open, from what it has perhaps caused."""
    if _wish:
        raise KeyboardInterrupt(*filter(None, _wish)) from cause


def remembered(error: type[BaseException]) -> bool:
    """Whether what Python dropped is an interruption that is not lost: nobody need be told."""
    return bool(_wish) and issubclass(error, KeyboardInterrupt)


def forget() -> None:
    """A new run begins: nobody has wished anything yet."""
    _wish.clear()
