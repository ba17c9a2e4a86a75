"""How much a round of the random search tries: cases drawn by Hypothesis in this folder, as its tests are declared."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

WANTED = 20_000


def drawn(path: Path) -> Iterator[tuple[str, int]]:
    """(test, cases of a search) of every test with ``@settings(max_examples=examples(...))``, times its dialects."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if not isinstance(node, ast.FunctionDef):
            continue
        calls = {ast.unparse(call.func): call for call in node.decorator_list if isinstance(call, ast.Call)}
        if "settings" in calls and "given" in calls:
            times = calls.get("pytest.mark.parametrize")
            many = len(times.args[1].elts) if times is not None and isinstance(times.args[1], ast.List) else 1
            asked = next(k.value for k in calls["settings"].keywords if k.arg == "max_examples")
            assert isinstance(asked, ast.Call)
            yield node.name, many * ast.literal_eval(asked.args[0])


def test_enough_cases_are_drawn() -> None:
    found = dict(pair for path in Path(__file__).parent.glob("test_*.py") for pair in drawn(path))
    assert found["test_agrees_with_numpy"] == 4000
    assert sum(found.values()) >= WANTED, found
