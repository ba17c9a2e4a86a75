"""The rules that keep the project readable: import directions, light edges, names that agree, accepted code."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

from reel.code_hash import GOLDEN, accept
from reel.op import catalogue, get

ROOT = Path(__file__).parents[1]
LAYERS = {"reel": {"reel"}, "tasks": {"reel", "tasks"}, "flows": {"reel", "tasks", "flows"}}
OWNERS = {
    "prefect": lambda path: path == "tasks/cached.py" or path.startswith("flows/"),
    "mlflow": lambda path: path.startswith("tasks/tracking"),
    "optuna": lambda path: (
        path in ("tasks/search/optuna_study.py", "reel/search/goals.py")
    ),  # the latter: its hypervolume
    "hydra": lambda path: path.startswith("flows/"),
    "omegaconf": lambda path: path.startswith("flows/"),
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


def test_each_big_library_has_one_place():
    wrong = []
    for path in modules():
        relative = path.relative_to(ROOT).as_posix()
        wrong += [f"{relative} imports {name}" for name in imports(path) & set(OWNERS) if not OWNERS[name](relative)]
    assert wrong == []


def test_heavy_imports_stay_inside_functions():
    wrong = []
    for path in modules():
        relative = path.relative_to(ROOT)
        if relative.parts[:2] == ("tasks", "sprite"):  # its networks are torch classes; nothing imports it early
            continue
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
    assert ops == {"encode", "embed", "denoise", "decode"}
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
