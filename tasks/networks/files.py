"""Model files as they lie on the disk: safetensors only, nothing from the network, errors that name the source."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from reel.errors import UserError
from reel.models.source import ModelSource
from tasks.weights import fetch as weights
from tasks.weights.files import parameter_bytes
from tasks.weights.header import read_header, shown

BYTES = {"float32": 4, "bfloat16": 2, "float16": 2}
"""Memory of a number, by number format."""


def builder(kind: Any, folder: Path, dtype: str, source: ModelSource) -> Callable[[], Any]:
    """A call that loads one part from its folder: safetensors only, nothing from the network."""

    def build() -> Any:
        import torch

        for file in folder.glob("*.safetensors"):
            read_header(file)  # what is no such file, or cut short, is told by its name
        variant = {"variant": source.variant} if source.variant and list(folder.glob(f"*.{source.variant}.*")) else {}
        try:
            return kind.from_pretrained(
                str(folder),
                torch_dtype=getattr(torch, dtype),
                use_safetensors=True,
                local_files_only=True,
                **variant,
            )
        except (OSError, ValueError, KeyError, RuntimeError) as error:
            raise not_a_model(source, f"a {kind.__name__} in {folder}", error) from None

    return build


def source_bytes(source: ModelSource, each: int) -> int:
    """Memory of a source's weights at ``each`` bytes a number; of a part of a base only that part's."""
    root = weights.path(source)
    if root.is_file() or not source.files:
        return parameter_bytes(root, each)
    found = {file for pattern in source.files for file in root.glob(pattern) if file.suffix == ".safetensors"}
    return sum(parameter_bytes(file, each) for file in found)


def safetensors_file(source: ModelSource) -> Path:
    """The source's file, which must be a safetensors one."""
    file = weights.path(source)
    if file.is_dir():
        files = sorted(file.glob("*.safetensors"))
        if len(files) != 1:
            raise UserError(f"{source.label}: {len(files)} safetensors files in its folder", fix="name one with file:")
        return files[0]
    if file.suffix != ".safetensors":
        raise UserError(
            f"{source.label}: only .safetensors files are loaded, a {file.suffix or 'nameless'} file may hold code",
            fix="most authors offer the same model as .safetensors",
        )
    return file


def refuse_not_finite(source: ModelSource) -> None:
    """Read a small model's file through, one tensor at a time.

    Raises:
        UserError: a tensor holds NaN or infinity, which would make every picture black.
    """
    import torch
    from safetensors import safe_open

    with safe_open(safetensors_file(source), framework="pt") as opened:
        for name in opened.keys():  # noqa: SIM118  (not a dict)
            if not bool(torch.isfinite(opened.get_tensor(name).float()).all()):
                raise UserError(
                    f"{source.label}: {shown(name)} holds numbers that are not finite (NaN or infinity); every "
                    "picture would be black",
                    fix="its training or conversion went wrong: take another of its author's files",
                )


def not_a_model(source: ModelSource, wanted: str, error: Exception, where: str = "") -> UserError:
    """The error for files that a library refused.

    Args:
        wanted: what they should be, with its article.
        error: the library's; its text, as one line, is part of the message.
        where: the setting that names the source; empty: not known.
    """
    told = " ".join(str(error).split()) or type(error).__name__
    return UserError(
        f"{where + ': ' if where else ''}{source.label}: not {wanted} ({told[:400]})",
        fix=f"check {where or 'the setting that names it, or its file in conf/model'}",
    )


def read_json(path: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(path.read_text()))
    except (OSError, ValueError) as error:
        raise UserError(
            f"{path}: {error}", fix="the model's files are incomplete: remove and fetch them again"
        ) from None
