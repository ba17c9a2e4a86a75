"""What a settings class says of its fields: the texts that stand under them.

pydantic can read them when a class is made (``use_attribute_docstrings``), which takes as long as all the rest of that:
every command would pay for what only help shows.
"""

from __future__ import annotations

import ast
import functools
import inspect
import textwrap
from collections.abc import Mapping

from reel.config import Config


@functools.cache
def descriptions(cls: type[Config]) -> Mapping[str, str]:
    """Texts by field, those of the bases' fields included; a field's own ``description`` comes first."""
    found: dict[str, str] = {}
    for base in reversed(cls.__mro__):
        if issubclass(base, Config) and base is not Config:
            found |= _texts(base)
    return found | {name: field.description for name, field in cls.model_fields.items() if field.description}


def _texts(cls: type[Config]) -> dict[str, str]:
    """Texts under the fields that a class's own body names; none where its source is not to be had."""
    try:
        source = textwrap.dedent(inspect.getsource(cls))
    except (OSError, TypeError):
        return {}
    [node] = ast.parse(source).body
    assert isinstance(node, ast.ClassDef)
    return {
        field.target.id: inspect.cleandoc(text.value.value)
        for field, text in zip(node.body, node.body[1:], strict=False)
        if isinstance(field, ast.AnnAssign)
        and isinstance(field.target, ast.Name)
        and isinstance(text, ast.Expr)
        and isinstance(text.value, ast.Constant)
        and isinstance(text.value.value, str)
    }
