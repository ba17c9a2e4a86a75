"""What code an op runs: a hash over its first-party import closure, compared with a golden file.

While the two differ the op's keys live in a development namespace, so that half-finished code can neither read nor
leave results under released keys. ``make accept-ops`` writes the golden file anew after a version was raised, or when
the change cannot alter the output.
"""

from __future__ import annotations

import ast
import contextlib
import functools
import hashlib
import importlib.util
import json
import os
import sys
import time
from pathlib import Path
from typing import NamedTuple

from reel.errors import UserError
from reel.files import write_atomic
from reel.op import catalogue, get

FIRST_PARTY = ("reel", "tasks")
GOLDEN = Path(__file__).parents[1] / "tasks" / "ops.json"


@functools.cache
def closure(module: str) -> tuple[str, ...]:
    """Names of all first-party modules that a module imports, directly or not, itself included; sorted."""
    seen: set[str] = set()
    todo = [module]
    while todo:
        name = todo.pop()
        if name not in seen and _file(name) is not None:
            seen.add(name)
            todo.extend(_read(name).imports)
    return tuple(sorted(seen))


@functools.cache
def closure_hash(module: str) -> str:
    """sha256 over the syntax trees of the closure: comments, docstrings and layout do not count."""
    before = dict(_remembered())
    total = hashlib.sha256()
    for name in closure(module):
        total.update(f"{name}:{_read(name).code}\n".encode())
    if _remembered() != before:
        _remember()
    return total.hexdigest()


def namespace(op_id: str, version: int, module: str) -> str:
    """Empty for accepted code, ``dev-...`` for code that differs from the golden file."""
    current = closure_hash(module)
    accepted = golden().get(op_id)
    if accepted == {"version": version, "code": current}:
        return ""
    return f"dev-{current[:16]}"


def accept() -> dict[str, dict[str, int | str]]:
    """The golden content for the code as it stands, by op id."""
    ops = [get(kind, name) for kind, name in catalogue()]
    return {op.id: {"version": op.version, "code": closure_hash(op.module)} for op in ops}


@functools.cache
def golden() -> dict[str, dict[str, int | str]]:
    return json.loads(GOLDEN.read_text("utf-8")) if GOLDEN.exists() else {}


@functools.cache
def _file(name: str) -> Path | None:
    """The file of a first-party module, found without importing anything; None for other names."""
    top, *rest = name.split(".")
    if top not in FIRST_PARTY:
        return None
    # not find_spec: it imports what the name lies in, and a class in a module of torch networks would cost torch
    base = os.path.join(_root(top), *rest)  # noqa: PTH118  (hundreds of names: a Path for each takes longer than a look)
    return next((Path(path) for path in (f"{base}/__init__.py", f"{base}.py") if os.path.isfile(path)), None)  # noqa: PTH113


@functools.cache
def _root(package: str) -> Path:
    spec = importlib.util.find_spec(package)
    assert spec is not None
    return Path(next(iter(spec.submodule_search_locations or [])))


class _Read(NamedTuple):
    """What one source file says: sha256 of its bytes, first-party names that it imports, and its code hash."""

    source: str
    imports: tuple[str, ...]
    code: str


@functools.cache
def _read(name: str) -> _Read:
    path = _file(name)
    assert path is not None
    source = path.read_bytes()
    digest = hashlib.sha256(source).hexdigest()
    known = _remembered().get(name)
    if known is None or known.source != digest:
        tree = _parse(source)
        known = _remembered()[name] = _Read(digest, _imports(tree), code_hash(tree))
    return known


@functools.cache
def _remembered() -> dict[str, _Read]:
    """What earlier processes read of modules, by name: reading them anew takes seconds."""
    try:
        known = json.loads(_memory().read_text("utf-8"))
        return {name: _Read(source, tuple(imports), code) for name, (source, imports, code) in known.items()}
    except (OSError, ValueError):
        return {}


def _remember() -> None:
    """Keep it for the next process, where the disk allows; like Python's own cache it may be missing."""
    with contextlib.suppress(OSError, UserError):
        write_atomic(_memory(), json.dumps(_remembered()).encode())


def _memory() -> Path:
    """Beside Python's own cache of the ops, and void with another Python or another text of this module."""
    reader = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()[:8]
    return GOLDEN.parent / "__pycache__" / f"closure.{sys.implementation.cache_tag}.{reader}.json"


def _parse(source: bytes) -> ast.Module:
    for _ in range(20):
        try:
            return ast.parse(source)
        except SystemError:  # CPython counts recursion for all threads together (python/cpython#106905)
            time.sleep(0.01)
    return ast.parse(source)


def _imports(tree: ast.Module) -> tuple[str, ...]:
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            found.add(node.module)
            found.update(f"{node.module}.{alias.name}" for alias in node.names)
    return tuple(sorted(item for item in found if item.split(".")[0] in FIRST_PARTY))


def code_hash(tree: ast.AST) -> str:
    """sha256 of a syntax tree without docstrings and descriptions; the tree is changed."""
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list):
            node.body = [item for item in body if not _is_text(item)]  # type: ignore[attr-defined]
    return hashlib.sha256(ast.dump(tree).encode()).hexdigest()


def _is_text(node: ast.AST) -> bool:
    """A string that stands alone: a docstring, or the description under a settings field."""
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


if __name__ == "__main__":
    GOLDEN.write_text(json.dumps(accept(), indent=2, sort_keys=True) + "\n", "utf-8")
