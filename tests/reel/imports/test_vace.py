"""Graphs of Wan VACE become `dance renderer=vace`, and what it does not take is told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from reel.imports import vace as settled
from reel.imports.draft import ASK, Draft
from reel.imports.places import VACE_RATE
from tests.reel.imports.graphs import combined, link, node, vace, wan, wrapped
from tests.reel.imports.test_imports import FAMILIES, of_text, why

FAMILY = Path(__file__).parents[3] / "conf" / "model" / "wan_vace_1_3b.yaml"


def of(tmp_path: Path, graph: dict[str, Any]) -> Draft:
    return of_text(tmp_path, json.dumps(graph))


def test_the_clip_its_map_and_the_character_are_taken(tmp_path: Path) -> None:
    for name in ("dance.mp4", "fox.png"):
        (tmp_path / name).write_bytes(b"")
    draft = of(tmp_path, vace())
    assert not draft.asked
    assert draft.choices == {"renderer": "vace", "model": "wan_vace_14b", "control": ["pose"]}
    assert draft.values["clip"] == str(tmp_path / "dance.mp4")
    assert draft.values["stylize.references"] == [str(tmp_path / "fox.png")]
    assert why(draft, "52", "inputs", "image")[0] == "approximated"
    assert why(draft, "3", "inputs", "sampler_name") == ("mapped", "as the family's own scheduler")


def test_masks_loras_and_other_rates_are_told_and_not_guessed(tmp_path: Path) -> None:
    graph = vace(control_masks=link("70")) | {
        "70": node("LoadImageMask", image="mask.png", channel="red"),
        "71": node("LoraLoaderModelOnly", lora_name="causvid.safetensors", strength_model=0.5, model=link("37")),
        "48": node("ModelSamplingSD3", shift=8.0, model=link("71")),
        "28": combined(link("8"), frame_rate=24),
        "3": {**vace()["3"], "inputs": {**vace()["3"]["inputs"], "seed": 2**62}},
    }
    draft = of(tmp_path, graph)
    assert "stylize.composite=keep_background" in why(draft, "50", "inputs", "control_masks")[1]
    assert why(draft, "71", "inputs", "lora_name") == ("not mapped", "`dance renderer=vace` takes no LoRAs")
    assert why(draft, "28", "inputs", "frame_rate")[0] == "not mapped"
    assert "2**62" in why(draft, "3", "inputs", "seed")[1]
    assert not {"seed", "extract.fps", "stylize.composite", "stylize.loras"} & draft.values.keys()


def test_a_finished_map_is_not_the_clip(tmp_path: Path) -> None:
    (tmp_path / "dance.mp4").write_bytes(b"")
    draft = of(tmp_path, vace(control_video=link("61")))
    assert draft.values["clip"] == draft.choices["control"] == ASK
    assert "a finished map" in why(draft, "61", "inputs", "file")[1]
    assert why(draft, "50", "inputs", "strength")[0] == "not mapped"


@pytest.mark.parametrize(
    ("maker", "said"),
    [("CannyEdgePreprocessor", "not trained on maps of kind canny"), ("ScribblePreprocessor", "is not known here")],
)
def test_a_map_that_it_was_not_trained_on_is_asked_for(tmp_path: Path, maker: str, said: str) -> None:
    (tmp_path / "dance.mp4").write_bytes(b"")
    draft = of(tmp_path, vace() | {"60": node(maker, image=link("61"))})
    assert draft.choices["control"] == ASK
    assert said in why(draft, "60", "class_type")[1]


def test_of_two_maps_one_drives_it(tmp_path: Path) -> None:
    graph = vace()
    inputs = graph["50"]["inputs"]
    graph["80"] = node("WanVaceToVideo", **{**inputs, "strength": 0.4, "control_video": link("81")})
    graph["81"] = node("MiDaS-DepthMapPreprocessor", image=link("61"))
    inputs |= {"positive": link("80"), "negative": link("80", 1)}
    draft = of(tmp_path, graph)
    assert draft.choices["control"] == ["pose"]
    assert draft.values["controls.pose.weight"] == 0.8
    assert "VACE reads one map" in why(draft, "80", "inputs", "strength")[1]


def test_the_wrappers_parts_are_one_family_here(tmp_path: Path) -> None:
    draft = of(tmp_path, wrapped(vace_end_percent=0.6))
    assert draft.choices["model"] == "wan_vace_14b"
    assert "stylize.storage=float8" in why(draft, "1", "inputs", "vace_model")[1]
    assert why(draft, "2", "inputs", "model") == ("not mapped", "the family's own parts are used")
    assert why(draft, "8", "inputs", "vace_end_percent") == ("not mapped", "the map counts for all steps here")


def test_other_weights_are_asked_for(tmp_path: Path) -> None:
    draft = of(tmp_path, vace() | {"37": node("UNETLoader", unet_name="mine.safetensors", weight_dtype="default")})
    assert draft.choices["model"] == ASK
    assert "mine.safetensors" in draft.asked["model"]


def test_weights_in_eight_bits_are_said_to_be_full_here(tmp_path: Path) -> None:
    draft = of(tmp_path, wan("WanImageToVideo", "wan2.1_i2v_480p_14B_fp8_e4m3fn.safetensors", start_image=link("52")))
    assert why(draft, "37", "inputs", "unet_name")[0] == "approximated"


def test_the_tables_are_the_familys_own() -> None:
    limits = yaml.safe_load(FAMILY.read_text())["limits"]
    assert list(settled.MAPS) == limits["maps"]
    assert limits["least_fps"] == limits["most_fps"] == VACE_RATE
    assert set(settled.FAMILIES) == {name for name in FAMILIES if "vace" in name}
