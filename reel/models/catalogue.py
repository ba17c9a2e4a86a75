"""The classes of model families, told apart by ``architecture``: a further one is a module here and a line below."""

from __future__ import annotations

from reel.config import suggest
from reel.errors import UserError
from reel.models.animatediff import AnimateDiff
from reel.models.animator import Animator
from reel.models.family import Family

CLASSES: tuple[type[Family], ...] = (AnimateDiff, Animator)


def class_of(architecture: object, where: str = "architecture") -> type[Family]:
    """The class of families of that architecture.

    Args:
        where: key of the architecture, for the message.

    Raises:
        UserError: no class has it; names those that there are.
    """
    by_name = {name: cls for cls in CLASSES for name in cls.architectures()}
    if isinstance(architecture, str) and architecture in by_name:
        return by_name[architecture]
    what = "is missing" if architecture is None else f"{architecture!r} is not known"
    near = suggest(str(architecture), by_name)
    raise UserError(
        f"{where}: {what}{near}",
        fix=f"known: {', '.join(f'{name} ({cls.kind})' for name, cls in by_name.items())}",
    )
