"""Graphs in API format: read, searched by name, refused in words; held against what a real server says of its nodes."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reel.comfy.definitions import definitions, look, typed
from reel.comfy.graph import Graph, as_key, parsed
from reel.comfy.packs import PACKS, pack_of
from reel.errors import UserError
from tests.comfyui.record import graph
from tests.comfyui.server import RECORDED
from tests.examples import examples

KNOWN = definitions(RECORDED["object_info"])


def read(nodes: Any) -> Graph:
    return parsed(json.dumps(nodes).encode())


def problems(nodes: dict[str, Any], **own: str) -> list[str]:
    looked = look(read(nodes), KNOWN)
    return [f"{one.node.id} {one.input}: {one.message} | {one.fix}" for one in looked.problems]


def changed(id: str, name: str, value: Any) -> dict[str, Any]:
    nodes = graph()
    nodes[id]["inputs"][name] = value
    return nodes


def test_a_node_is_found_by_id_title_and_class():
    nodes = graph()
    nodes["1"]["_meta"] = {"title": "The Probe (grey)"}
    nodes["4"] = {**nodes["3"], "_meta": {"title": "second"}}
    found = read(nodes)
    for name in ("1", "The Probe (grey)", "The_Probe_grey", "RotoscopeProbe"):
        assert found.find(name, "inputs").id == "1"
    assert found.find("second", "output").id == "4"
    with pytest.raises(UserError, match="2 nodes are called SaveImage"):
        found.find("SaveImage", "output")
    with pytest.raises(UserError, match="nearest: The Probe"):
        found.find("The Prob", "inputs")
    assert as_key("Load Image: (first)") == "Load_Image_first"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is not JSON"),
        ("{}", "holds no graph: it is empty"),
        ("[1]", "holds no graph: it is list"),
        ("3", "holds no graph: it is int"),
        ('{"nodes": [], "links": []}', "is a workflow of the editor"),
        ('{"1": 3}', "node 1 has no class_type"),
        ('{"1": {"class_type": ""}}', "node 1 has no class_type"),
        ('{"1": {"class_type": "A", "inputs": [1]}}', "its inputs are not a mapping"),
        ('{"1": {"class_type": "A", "inputs": {"x": ["2", 0]}}}', "comes from node 2, which is not in the graph"),
        ('{"1": {"class_type": "A", "inputs": {"x": ["1", 0]}}}', "is made of itself"),
        ('{"1": {"class_type": "A", "inputs": {"x": ["1", -1]}}}', "outputs count from 0"),
        ('{"1": {"class_type": "A", "inputs": {"x": 1e999}}}', "a number without end"),
        ('{"1": {"class_type": "A", "inputs": {"x": NaN}}}', "NaN is no number"),
        ("[" * 100_000, "is nested too deeply"),
        ("9" * 5000, "holds a number that cannot be read"),
    ],
)
def test_what_is_no_graph_is_refused_in_words(text: str, said: str):
    with pytest.raises(UserError, match=said):
        parsed(text.encode())


def test_a_graph_as_it_is_posted_is_read_too():
    assert read({"prompt": graph(), "client_id": "x"}).plain == graph()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 3) | st.floats() | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["1", "2", "class_type", "inputs", "_meta", "title"]), inner, max_size=4)
    ),
    max_leaves=12,
)


@settings(max_examples=examples(500), deadline=None)
@given(JSON)
def test_any_json_is_a_graph_or_refused(found: Any):
    with contextlib.suppress(UserError):
        assert parsed(json.dumps(read(found).plain).encode()).plain == read(found).plain


@settings(max_examples=examples(300), deadline=None)
@given(JSON, st.dictionaries(st.sampled_from(["RotoscopeProbe", "A"]), JSON, max_size=2))
def test_whatever_a_server_says_of_its_nodes_is_met(spec: Any, info: Any):
    known = definitions({**info, "ImageScale": {"input": {"required": {"width": spec}}, "output": ["IMAGE"]}})
    look(read(graph()), known)
    assert definitions(spec) is not None


def test_a_recorded_graph_fits_the_recorded_server():
    looked = look(read(graph()), KNOWN)
    assert (looked.problems, looked.ignored) == ([], [])
    assert looked.graph.plain == graph()


@pytest.mark.parametrize(
    ("nodes", "said"),
    [
        (changed("1", "steps", "x"), "1 steps: must be a whole number, got 'x'"),
        (changed("1", "steps", "1,2"), "choice(1,2,3)"),
        (changed("1", "steps", 5000), "1 steps: must be from 1 to 1000, got 5000"),
        (changed("1", "steps", 2.5), "1 steps: must be a whole number, got 2.5"),
        (changed("1", "steps", True), "1 steps: must be a whole number, got True"),
        (changed("1", "seconds", "nan"), "1 seconds: must be a number"),
        (changed("1", "fail", "perhaps"), "1 fail: must be true or false"),
        (changed("1", "caption", {"a": 1}), "1 caption: must be a text"),
        (changed("2", "upscale_method", "linear"), "does not offer linear; nearest: bilinear"),
        (changed("2", "image", "a.png"), "2 image: takes a link that gives IMAGE"),
        (changed("2", "image", ["1", 1]), "comes from output 1 of 1 (RotoscopeProbe), which has 1 outputs"),
        (changed("3", "images", ["4", 0]) | {"4": {"class_type": "EmptyLatentImage", "inputs": {}}},
         "3 images: takes IMAGE, and 4 (EmptyLatentImage) gives LATENT"),
        (changed("1", "captoin", "x"), "1 captoin: RotoscopeProbe has no such input; nearest: caption"),
        ({"1": {"class_type": "RotoscopeProb", "inputs": {}}}, "has no node of class RotoscopeProb; nearest: Roto"),
        ({"1": {"class_type": "VHS_VideoCombine", "inputs": {}}}, "github.com/Kosinkadink/ComfyUI-VideoHelperSuite"),
        ({"1": {"class_type": "EmptyImage", "inputs": {"width": 64}}}, "height, batch_size, color: not given"),
        ({"1": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "sd15.safetensors"}}},
         "does not offer sd15.safetensors; model files on the server: none | put the file into"),
        ({"1": {"class_type": "LoadImage", "inputs": {"image": "key.png"}}}, "files on the server: example.png"),
    ],
)  # fmt: skip
def test_what_the_server_would_refuse_is_told(nodes: dict[str, Any], said: str):
    assert said in "\n".join(problems(nodes))


def test_an_input_that_no_node_has_is_told_where_the_server_says_nothing():
    """The server takes `zzz` without a word: an error where it is set here, a warning where the file has it."""
    nodes = read(changed("1", "zzz", 1))
    assert [one.input for one in look(nodes, KNOWN).ignored] == ["zzz"]
    assert [one.input for one in look(nodes, KNOWN, own={("1", "zzz")}).problems] == ["zzz"]


def test_dynamic_inputs_of_the_newer_nodes_fit():
    scaled = {"resize_type": "scale by multiplier", "resize_type.multiplier": 2.0, "input": ["1", 0],
              "scale_method": "area"}  # fmt: skip
    nodes = graph() | {
        "4": {"class_type": "ResizeImageMaskNode", "inputs": scaled},
        "5": {"class_type": "BatchImagesNode", "inputs": {"images.image0": ["1", 0], "images.image1": ["4", 0]}},
    }
    assert problems(nodes) == []


def test_texts_are_read_as_what_the_server_declares():
    nodes = changed("1", "steps", "7")
    nodes["1"]["inputs"] |= {"seconds": "0.5", "seed": "18446744073709551615", "fail": "true"}
    made = look(read(nodes), KNOWN).graph.nodes["1"].inputs
    assert made == {"steps": 7, "seconds": 0.5, "seed": 18446744073709551615, "fail": True}
    assert typed("8", KNOWN["SaveAnimatedWEBP"].inputs["fps"])[0] == 8.0


def test_a_class_comes_from_one_pack():
    for pack in PACKS:
        for kind in (*pack.nodes, *(f"{one}X" for one in pack.begins)):
            assert pack_of(kind) == pack
    assert pack_of("KSampler") is None
