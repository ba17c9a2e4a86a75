"""Bad inputs of `comfyui`: workflow files, names of nodes and inputs, files, addresses; no server is asked for a graph.

What a server itself may answer, and how it may fail, is in tests/comfyui/.
"""

from __future__ import annotations

import json
from typing import Any

from benchmarks.hostile.case import Case, case
from benchmarks.hostile.made import fifo, file, folder, link, sparse, together

NODES: dict[str, Any] = {
    "1": {"class_type": "LoadImage", "inputs": {"image": "a.png"}, "_meta": {"title": "First"}},
    "2": {"class_type": "ImageInvert", "inputs": {"image": ["1", 0]}, "_meta": {"title": "Twice"}},
    "3": {
        "class_type": "SaveImage",
        "inputs": {"images": ["2", 0], "filename_prefix": "x"},
        "_meta": {"title": "Twice"},
    },
}
COMFY = "comfyui workflow=g.json server=http://127.0.0.1:1"


def graph(text: Any, *said: str) -> Case:
    """A workflow file with that content."""
    content = text if isinstance(text, bytes | str) else json.dumps(text)
    return case(COMFY, *said, make=file("g.json", content))


def given(arguments: str, *said: str) -> Case:
    """Arguments beside a sound workflow file."""
    made = together(file("g.json", json.dumps(NODES)), folder("d"), file("empty.png"), file("k.png", "x"))
    return case(f"{COMFY} {arguments}", *said, make=made)


def node(**has: Any) -> dict[str, Any]:
    return {"1": {"class_type": "A", "inputs": {}, **has}}


COMFYUI = [
    case("comfyui", "workflow: none is given", "workflow=graph.json"),
    case("comfyui workflow=", "workflow: none is given"),
    case(COMFY, "workflow: there is no file g.json", "Export (API)"),
    case(COMFY, "g.json is a folder", make=folder("g.json")),
    case(COMFY, "g.json is not a regular file", make=fifo("g.json")),
    case(COMFY, "at most 16777216 are read", make=sparse("g.json", 1 << 33)),
    case(COMFY, "workflow: there is no file g.json", make=link("g.json", "nowhere.json")),
    case("comfyui workflow=/dev/zero", "/dev/zero is not a regular file"),
    case(f"comfyui workflow={'a' * 5000}", "5000 bytes, at most 255"),
    graph("", "g.json: is not JSON: line 1, column 1"),
    graph("{", "g.json: is not JSON: line 1, column 2"),
    graph(b"\xff\xfe", "g.json: is not UTF-8 text"),
    graph(b"\x89PNG\r\n\x1a\n", "g.json: is not UTF-8 text"),
    graph("[" * 200_000, "g.json: is nested too deeply"),
    graph("{}", "g.json: holds no graph: it is empty"),
    graph("[]", "g.json: holds no graph: it is empty"),
    graph("null", "g.json: holds no graph"),
    graph('"graph"', "g.json: holds no graph: it is str"),
    graph({"nodes": [], "links": [], "version": 0.4}, "g.json: is a workflow of the editor", "Export (API)"),
    graph({str(number): node()["1"] for number in range(10_001)}, "g.json: has 10001 nodes, at most 10000"),
    graph({"1": None}, "node 1 has no class_type"),
    graph({"x" * 500: 3}, "has no class_type"),
    graph(node(class_type=3), "node 1 has no class_type"),
    graph(node(inputs=None), "node 1: its inputs are not a mapping"),
    graph(node(inputs=["a"]), "node 1: its inputs are not a mapping"),
    graph(node(inputs={"a": ["7", 0]}), "node 1 (A): a comes from node 7, which is not in the graph"),
    graph(node(inputs={"a": ["1", 0]}), "node 1 (A) is made of itself"),
    graph(node(inputs={"a": ["1", -3]}), "outputs count from 0"),
    graph('{"1": {"class_type": "A", "inputs": {"a": NaN}}}', "g.json: holds a number that cannot be read: NaN"),
    graph('{"1": {"class_type": "A", "inputs": {"a": -Infinity}}}', "-Infinity is no number"),
    graph('{"1": {"class_type": "A", "inputs": {"a": 1e999}}}', "node 1: a is a number without end"),
    graph('{"1": {"class_type": "A", "inputs": {"a": ' + "9" * 5000 + "}}}", "a number that cannot be read"),
    given("", "server: http://127.0.0.1:1 cannot be reached", "start ComfyUI"),
    given("server=127.0.0.1:8188", "server: must be the address of a server, such as http://127.0.0.1:8188"),
    given("server=file:///etc/passwd", "server: must be the address of a server"),
    given("server=http://", "server: must be the address of a server"),
    given("server=http://127.0.0.1:99999", "server: must be the address of a server"),
    given("server=http://me:hunter2@127.0.0.1:1", "server: must hold no password", "http://me:***@127.0.0.1:1"),
    given("server=http://127.0.0.1:1?token=hunter2", "server: must hold no password, query or fragment"),
    given("server=http://no-such-host.invalid:8188", "no-such-host.invalid:8188 cannot be reached"),
    given("inputs.9.seed=1", "inputs.9: no node of the graph has the id, title or class 9", "1 (First), 2 (Twice)"),
    given("inputs.Frist.seed=1", "nearest: First"),
    given("inputs.Twice.seed=1", "inputs.Twice: 2 nodes are called Twice: 2 (Twice), 3 (Twice)", "inputs.2"),
    given("inputs.First=1", "inputs"),
    given("inputs=[1]", "inputs"),
    given("'inputs={First: {image: [1, 2]}}'", "inputs"),
    given("inputs.1.image=a inputs.First.image=b", "inputs.First.image: inputs.1.image sets the same input"),
    given("inputs.1.image=a files.1.image=k.png", "files.1.image: inputs.1.image sets the same input"),
    given("files.1.image=nowhere.png", "files.1.image: there is no file", "inputs.1.image="),
    given("files.1.image=d", "files.1.image", "is not a regular file"),
    given("files.1.image=empty.png", "files.1.image", "is empty"),
    given("files.1.image=/dev/zero", "files.1.image: /dev/zero is not a regular file"),
    given("files.Frist.image=k.png", "files.Frist: no node of the graph", "nearest: First"),
    given("output=7", "output: no node of the graph has the id, title or class 7"),
    given("output=Twice", "output: 2 nodes are called Twice"),
    given("fps=0", "fps: must be greater than 0"),
    given("fps=nan", "fps: must be a finite number"),
    given("fps=1000", "fps: must be less than or equal to 240"),
    given("fps=source", "fps"),
    given("model=sd15", "model"),
    given("seed=3", "unknown key 'seed'"),
    given("sever=http://127.0.0.1:2", "sever", "server"),
    given("assemble.format=avi", "assemble.format"),
]
