"""The rules that keep the project readable: import directions, light edges, names that agree, accepted code."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from collections.abc import Collection, Mapping
from pathlib import Path

import pytest

from reel.code_hash import GOLDEN, accept
from reel.op import catalogue, get

ROOT = Path(__file__).parents[1]
LAYERS = {"reel": {"reel"}, "tasks": {"reel", "tasks"}, "flows": {"reel", "tasks", "flows"}}
HYDRAS_PLUGINS = ("flows/sweep/sweeper.py", "flows/sweep/ray.py")
OWNERS = {
    "prefect": lambda path: path == "tasks/cached.py" or path.startswith("flows/"),
    "mlflow": lambda path: path.startswith("tasks/tracking"),
    "optuna": lambda path: (
        path in ("tasks/search/optuna_study.py", "reel/search/goals.py")
    ),  # the latter: its hypervolume
    "hydra": lambda path: path.startswith("flows/config/") or path in HYDRAS_PLUGINS,
    "omegaconf": lambda path: path.startswith("flows/config/") or path in HYDRAS_PLUGINS,
}
HEAVY = ("torch", "torchvision", "diffusers", "transformers", "cv2", "mlflow", "controlnet_aux")


def imports(path: Path, *, top_level_only: bool = False) -> set[str]:
    tree = ast.parse(path.read_text("utf-8"))
    nodes = tree.body if top_level_only else list(ast.walk(tree))
    found: set[str] = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
    return {name.split(".")[0] for name in found}


def modules() -> list[Path]:
    return [path for layer in LAYERS for path in sorted((ROOT / layer).rglob("*.py"))]


def test_imports_go_one_way():
    wrong = []
    for path in modules():
        layer = path.relative_to(ROOT).parts[0]
        for name in imports(path) & set(LAYERS):
            if name not in LAYERS[layer]:
                wrong += [f"{path.relative_to(ROOT)} imports {name}"]
    assert len(modules()) > 20
    assert wrong == []


def module_name(path: Path) -> str:
    relative = path.relative_to(ROOT).with_suffix("")
    return ".".join(relative.parts[:-1] if relative.name == "__init__" else relative.parts)


def import_graph() -> dict[str, set[str]]:
    """Which module imports which, imports inside functions included, those for the type checker alone left out."""
    paths = {module_name(path): path for layer in (*LAYERS, "benchmarks") for path in (ROOT / layer).rglob("*.py")}
    return {name: imported(ast.parse(path.read_text("utf-8")), paths.keys()) for name, path in paths.items()}


def imported(tree: ast.AST, known: Collection[str]) -> set[str]:
    """The known modules that are imported in a tree."""
    found: set[str] = set()
    todo = list(ast.iter_child_nodes(tree))
    while todo:
        node = todo.pop()
        if isinstance(node, ast.If) and ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING"):
            todo += node.orelse
            continue
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            whole = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= whole & set(known) or {node.module}
        todo += ast.iter_child_nodes(node)
    return found & set(known)


def cycles(graph: Mapping[str, set[str]]) -> list[set[str]]:
    """Modules that import one another in a ring, directly or not (the graph's strong components, Tarjan 1972)."""
    order: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[set[str]] = []

    def visit(name: str) -> None:
        order[name] = low[name] = len(order)
        stack.append(name)
        for other in sorted(graph[name]):
            if other not in order:
                visit(other)
            if other in stack:
                low[name] = min(low[name], low[other])
        if low[name] == order[name]:
            ring = set(stack[stack.index(name) :])
            del stack[stack.index(name) :]
            if len(ring) > 1 or name in graph[name]:
                found.append(ring)

    for name in sorted(graph):
        if name not in order:
            visit(name)
    return found


def test_no_modules_import_one_another_in_a_ring():
    assert [sorted(ring) for ring in cycles(import_graph())] == []


def test_rings_are_found_inside_functions_and_not_for_the_type_checker():
    def graph(**sources: str) -> dict[str, set[str]]:
        return {name: imported(ast.parse(source), sources.keys()) for name, source in sources.items()}

    assert cycles(graph(a="import b", b="def f():\n    from c import x", c="import a", d="import a")) == [
        {"a", "b", "c"}
    ]
    assert cycles(graph(a="import b", b="if TYPE_CHECKING:\n    import a")) == []
    assert cycles(graph(a="import b", b="if TYPE_CHECKING:\n    import c\nelse:\n    import a", c="")) == [{"a", "b"}]


OPS = {"blank", "encode", "embed", "denoise", "decode", "match_colour", "ordered"}
"""The renderer's, each a module of its own above its packages."""
RENDERER = ("engine", "settings", "models", "job")
"""Packages of tasks/stylize/, each of which imports only itself and those before it; the ops import all of them."""


def test_the_renderers_packages_import_downwards():
    """So the engine knows no settings, and no setting knows what is loaded for it."""
    parts = {name: name.split(".")[2] for name in import_graph() if name.startswith("tasks.stylize.")}
    levels = {name: RENDERER.index(part) if part in RENDERER else len(RENDERER) for name, part in parts.items()}
    assert {part for part in parts.values() if part not in RENDERER} == OPS
    wrong = [
        f"{name} imports {other}"
        for name, others in import_graph().items()
        if name in parts
        for other in others & parts.keys()
        if levels[other] > levels[name] or (levels[other] == len(RENDERER) and other != name)
    ]
    assert wrong == []


def test_each_big_library_has_one_place():
    wrong = []
    for path in modules():
        relative = path.relative_to(ROOT).as_posix()
        wrong += [f"{relative} imports {name}" for name in imports(path) & set(OWNERS) if not OWNERS[name](relative)]
    assert wrong == []


def test_hydras_private_names_stand_in_one_module():
    private = re.compile(r"hydra\._internal|\b(loader|engine|hydra|config_loader)\._[a-z]")
    texts = {path.relative_to(ROOT).as_posix(): path.read_text("utf-8") for path in modules()}
    assert [path for path, text in texts.items() if private.search(text)] == ["flows/config/hydra_private.py"]


def test_heavy_imports_stay_inside_functions():
    wrong = []
    for path in modules():
        relative = path.relative_to(ROOT)
        if relative.parts[:2] == ("tasks", "sprite") or relative == Path("tasks/finish/rife.py"):
            continue  # networks are torch classes; nothing imports these early
        wrong += [f"{relative} imports {name}" for name in imports(path, top_level_only=True) & set(HEAVY)]
    assert wrong == []


def test_edges_start_without_heavy_modules():
    code = (
        "import importlib, json, pkgutil, sys, reel, flows.edge.entry, flows.dance.flow, flows.search.flow, flows.cli\n"
        "for module in pkgutil.walk_packages(reel.__path__, 'reel.'): importlib.import_module(module.name)\n"
        f"print(json.dumps([m for m in {HEAVY!r} + ('prefect', 'optuna') if m in sys.modules]))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert json.loads(out.stdout) == []


def test_hashing_an_ops_code_imports_no_network():
    """A class in a module of torch networks is a name in an import: looking for its file must not run that module."""
    code = (
        "import json, sys\n"
        "from reel.code_hash import closure\n"
        "found = closure('tasks.measure.probe_joints')\n"
        f"print(json.dumps(['tasks.sprite.loop' in found, [m for m in {HEAVY!r} if m in sys.modules]]))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert json.loads(out.stdout) == [True, []]


def test_packages_hold_no_code_in_init():
    inits = [path for layer in (*LAYERS, "conf") for path in (ROOT / layer).rglob("__init__.py")]
    assert inits
    assert [str(path) for path in inits if path.read_text("utf-8").strip()] == []


def test_the_renderers_ops_are_modules_of_their_own():
    """They share one YAML, conf/stylize/animatediff.yaml: a render's settings, which are split among them."""
    ops = {name for kind, name in catalogue() if kind == "stylize"}
    assert ops == OPS
    assert {get("stylize", name).module for name in ops} == {f"tasks.stylize.{name}" for name in ops}


@pytest.mark.parametrize("kind", ["measure", "preprocess"])
def test_op_names_are_the_stems_of_modules_and_settings(kind: str):
    ops = {name for known, name in catalogue() if known == kind}
    settings = {path.stem for path in (ROOT / "conf" / kind).glob("*.yaml")} - {"none"}
    assert ops
    assert ops == settings
    for name in ops:
        assert get(kind, name).module == f"tasks.{kind}.{name}"


def test_accepted_ops_match_the_code():
    golden = json.loads(GOLDEN.read_text("utf-8")) if GOLDEN.exists() else {}
    current = accept()
    changed = sorted(name for name in current.keys() | golden.keys() if current.get(name) != golden.get(name))
    assert current
    assert not changed, (
        f"the code that these ops run has changed: {', '.join(changed)}. Until it is accepted their results go to a "
        "development namespace. If the output can differ, raise the op's version; then run `make accept-ops`."
    )
