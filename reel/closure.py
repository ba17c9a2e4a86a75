"""What code an op runs: a hash over its first-party import closure, compared with a golden file.

While the two differ the op's keys live in a development namespace, so that half-finished code can neither read nor
leave results under released keys. ``make accept-ops`` writes the golden file anew after a version was raised, or when
the change cannot alter the output.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import importlib.util
import json
import time
from pathlib import Path

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
            todo.extend(_imports(name))
    return tuple(sorted(seen))


@functools.cache
def closure_hash(module: str) -> str:
    """sha256 over the syntax trees of the closure: comments, docstrings and layout do not count."""
    total = hashlib.sha256()
    for name in closure(module):
        total.update(f"{name}:{_tree_hash(name)}\n".encode())
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


def _file(name: str) -> Path | None:
    """The file of a first-party module, found without importing anything; None for other names."""
    top, *rest = name.split(".")
    if top not in FIRST_PARTY:
        return None
    # not find_spec: it imports what the name lies in, and a class in a module of torch networks would cost torch
    base = _root(top).joinpath(*rest)
    return next((path for path in (base / "__init__.py", base.with_suffix(".py")) if path.is_file()), None)


@functools.cache
def _root(package: str) -> Path:
    spec = importlib.util.find_spec(package)
    assert spec is not None
    return Path(next(iter(spec.submodule_search_locations or [])))


@functools.cache
def _tree(name: str) -> ast.Module:
    path = _file(name)
    assert path is not None
    text = path.read_text("utf-8")
    for _ in range(20):
        try:
            return ast.parse(text)
        except SystemError:  # CPython counts recursion for all threads together (python/cpython#106905)
            time.sleep(0.01)
    return ast.parse(text)


def _imports(name: str) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(_tree(name)):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            found.add(node.module)
            found.update(f"{node.module}.{alias.name}" for alias in node.names)
    return {item for item in found if item.split(".")[0] in FIRST_PARTY}


@functools.cache
def _tree_hash(name: str) -> str:
    return code_hash(_tree(name))


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
