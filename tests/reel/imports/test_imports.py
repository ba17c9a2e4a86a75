"""Importing other tools' files: nothing is dropped in silence, and what is mapped means the same."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from reel.imports import report
from reel.imports.draft import ASK, Draft
from reel.imports.read import read
from reel.imports.settle import settle
from reel.imports.write import HYDRAS, experiment
from reel.nested import at
from tests.reel.imports.deforum import DEFORUM, deforum
from tests.reel.imports.files import INFOTEXTS, TRAVEL, File, infotext, png, travel
from tests.reel.imports.graph_files import GRAPHS
from tests.reel.imports.graphs import animatediff, controlled, link, ltx, node, of_editor

FILES = [*TRAVEL, *INFOTEXTS, *DEFORUM, *GRAPHS]
FAMILIES = [path.stem for path in (Path(__file__).parents[3] / "conf" / "model").glob("*.yaml")]


def imported(tmp_path: Path, file: File) -> Draft:
    path = tmp_path / file.name
    path.write_bytes(file.data)
    return settle(read(path), FAMILIES)


def of_text(tmp_path: Path, text: str, name: str = "a.json") -> Draft:
    return imported(tmp_path, File(name, text, "", {}))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_every_value_of_a_file_is_in_exactly_one_list(tmp_path: Path, file: File) -> None:
    draft = imported(tmp_path, file)
    told = report.plain(draft)
    listed = [entry.leaf.path for fate in report.FATES for entry in draft.of(fate)]
    assert not [path for path, count in Counter(listed).items() if count > 1]
    assert {path for path in listed if path[0] != "PNG"} == set(draft.source.leaves)
    assert sum(len(told[fate.replace(" ", "_")]) for fate in report.FATES) == len(listed)
    assert all(row["how"] for row in told["not_mapped"]), "each must say why"
    assert all(row["how"] for row in told["approximated"]), "each must say how"
    assert all(row["how"] or row["keys"] for row in told["mapped"])


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_what_a_file_says_is_in_its_experiment(tmp_path: Path, file: File) -> None:
    draft = imported(tmp_path, file)
    assert draft.flow == file.flow
    found = draft.nested()
    for key, value in file.settings.items():
        assert at(found, key) == value, key
    for key in file.asked:
        assert key in draft.asked, f"{key} must be asked for"
    text = experiment(draft, "x")
    assert all(key.rpartition(".")[2] in text for key in draft.asked)
    assert text.count(ASK) + text.count(HYDRAS) >= len(file.asked)


def test_thirty_files_are_tried() -> None:
    assert len(FILES) >= 30
    assert len({file.name for file in FILES}) == len(FILES)


def why(draft: Draft, *path: str) -> tuple[str, str]:
    """Fate and reason of a leaf."""
    entry = draft.known[path]
    return entry.fate, entry.how


def test_what_is_approximated_says_how(tmp_path: Path) -> None:
    draft = of_text(tmp_path, travel(scheduler="k_lms", prompt_map={"0": "a __colour__ top", "8": "x"}))
    assert why(draft, "scheduler") == ("approximated", "there is no k_lms here; unipc is the nearest")
    fate, how = why(draft, "prompt_map", "0")
    assert (fate, "__colour__" in how) == ("approximated", True)


def test_switched_off_is_not_unmapped(tmp_path: Path) -> None:
    draft = of_text(tmp_path, deforum())
    assert why(draft, "frame_interpolation_x_amount") == ("mapped", "frame_interpolation_engine is off")
    assert why(draft, "cn_1_model")[0] == "mapped"
    assert why(draft, "zoom")[0] == "not mapped"


def test_a_file_that_is_there_is_taken(tmp_path: Path) -> None:
    (tmp_path / "mix.safetensors").write_bytes(b"")
    (tmp_path / "style.safetensors").write_bytes(b"")
    (tmp_path / "dance.mp4").write_bytes(b"")
    draft = of_text(tmp_path, travel(path="mix.safetensors", lora_map={"style.safetensors": 0.5}))
    assert draft.choices["model"] == "civitai"
    assert draft.values["model.base.id"] == str(tmp_path / "mix.safetensors")
    assert draft.values["stylize.loras"][0]["source"]["id"] == str(tmp_path / "style.safetensors")
    assert not draft.asked
    assert of_text(tmp_path, json.dumps(controlled())).values["clip"] == str(tmp_path / "dance.mp4")


def test_an_unknown_model_is_never_guessed(tmp_path: Path) -> None:
    graph = animatediff(**{"1": node("CheckpointLoaderSimple", ckpt_name="mine.ckpt"),
                           "2": node("ADE_LoadAnimateDiffModel", model_name="mine_mm.ckpt")})  # fmt: skip
    draft = of_text(tmp_path, json.dumps(graph))
    assert {"model.base.id", "model.motion.id"} <= draft.asked.keys()
    assert draft.values["model.base.id"] == draft.values["model.motion.id"] == ASK
    assert "mine.ckpt" in draft.asked["model.base.id"]
    assert why(draft, "1", "inputs", "ckpt_name")[0] == "not mapped"


def test_what_a_flow_cannot_do_without_is_asked_for_and_no_sample_is_taken(tmp_path: Path) -> None:
    draft = of_text(tmp_path, json.dumps({"1": node("KSampler", seed=1)}))
    assert {"prompt", "model.base.id"} <= draft.asked.keys()
    assert {"clip", "prompt"} <= of_text(tmp_path, infotext("", "Denoising strength: 0.5"), "a.txt").asked.keys()
    film = of_text(
        tmp_path, json.dumps({"1": node("LTXVImgToVideo", width=512), "2": node("KSampler", latent_image=link("1"))})
    )
    assert {"picture", "prompt", "model"} <= film.asked.keys()
    assert film.values["negative_prompt"] == ""


def test_a_distilled_model_keeps_its_times(tmp_path: Path) -> None:
    graph = ltx(**{"ck": node("CheckpointLoaderSimple", ckpt_name="ltxv-13b-0.9.8-distilled-fp8.safetensors")})
    draft = of_text(tmp_path, json.dumps(graph))
    assert draft.choices["model"] == "ltx_distilled"
    assert why(draft, "sch", "inputs", "steps")[0] == "approximated"
    assert "8 bits" in why(draft, "ck", "inputs", "ckpt_name")[1]


def test_an_unknown_node_is_named_and_what_is_behind_it_is_read(tmp_path: Path) -> None:
    graph = animatediff(**{"6": node("TextMangler", text="x", source=link("60")),
                           "60": node("CLIPTextEncode", text="behind it", clip=link("1", 1))})  # fmt: skip
    draft = of_text(tmp_path, json.dumps(graph))
    assert draft.values["prompt"] == "behind it"
    assert why(draft, "6", "inputs", "text") == ("not mapped", "TextMangler is not known here")


def test_a_computed_value_is_told(tmp_path: Path) -> None:
    graph = animatediff(**{"8": node("EmptyLatentImage", width=512, height=512, batch_size=link("70")),
                           "70": node("MathExpression", expression="2*8")})  # fmt: skip
    draft = of_text(tmp_path, json.dumps(graph))
    assert "frames" not in draft.values
    assert why(draft, "8", "inputs", "batch_size") == (
        "not mapped",
        "node 70 MathExpression computes it, which is not read",
    )


def test_an_input_that_no_row_names_is_told(tmp_path: Path) -> None:
    graph = animatediff(**{"7": node("CLIPTextEncode", text="hat", clip=link("1", 1), brand_new=3)})
    assert why(of_text(tmp_path, json.dumps(graph)), "7", "inputs", "brand_new")[0] == "not mapped"


def test_a_second_pass_is_told_and_the_first_is_mapped(tmp_path: Path) -> None:
    file = next(file for file in GRAPHS if file.name == "second_pass_api.json")
    draft = imported(tmp_path, file)
    assert "further pass" in why(draft, "31", "inputs", "denoise")[1]
    assert draft.values["stylize.num_inference_steps"] == 20


def test_the_same_graph_from_the_editor_gives_the_same_settings(tmp_path: Path) -> None:
    one = of_text(tmp_path, json.dumps(controlled()), "api.json")
    two = of_text(tmp_path, json.dumps(of_editor(controlled())), "editor.json")
    assert one.values == two.values
    assert one.choices == two.choices


def test_an_older_workflow_says_how_to_export(tmp_path: Path) -> None:
    from reel.errors import UserError

    (tmp_path / "w.json").write_text(json.dumps(of_editor(controlled(), named=False)))
    with pytest.raises(UserError, match="does not say which value is which widget's") as told:
        read(tmp_path / "w.json")
    assert "Export (API)" in (told.value.fix or "")


def test_bypassed_and_muted_nodes_of_the_editor(tmp_path: Path) -> None:
    data = of_editor(controlled())
    nodes = {one["id"]: one for one in data["nodes"]}
    nodes[23]["mode"], nodes[2]["mode"] = 4, 2
    for one in data["nodes"]:
        for given in one["inputs"]:
            given["type"] = "CONDITIONING" if given["name"] in ("positive", "negative") else "*"
    draft = of_text(tmp_path, json.dumps(data))
    assert draft.choices["control"] == ["edges"]
    assert draft.values["prompt"] == "a red top"
    assert "model.motion.id" not in draft.values
    told = {entry.how for entry in draft.of("not mapped")}
    assert {"the node is muted", "the node is bypassed", "what the editor draws"} <= told


def test_numbers_of_frames_are_those_that_comfyui_makes(tmp_path: Path) -> None:
    graph = ltx()
    graph["i2v"]["inputs"]["length"] = 96
    draft = of_text(tmp_path, json.dumps(graph))
    assert draft.values["frames"] == 89
    assert any("ComfyUI makes 89" in note for note in draft.notes)


def test_a_seed_beyond_ours_and_a_random_one_are_told(tmp_path: Path) -> None:
    graph = animatediff()
    graph["9"]["inputs"]["seed"] = 2**64 - 1
    assert "seeds are below" in why(of_text(tmp_path, json.dumps(graph)), "9", "inputs", "seed")[1]
    assert "another seed each time" in why(of_text(tmp_path, deforum(seed=-1)), "seed")[1]


def test_keys_written_twice_are_told(tmp_path: Path) -> None:
    draft = of_text(tmp_path, travel()[:-1] + ', "steps": 9}')
    assert draft.values["stylize.num_inference_steps"] == 9
    assert any("steps" in note and "twice" in note for note in draft.notes)


def test_schedules_mean_the_same(tmp_path: Path) -> None:
    """Frame by frame: the tool's own schedule, read in its dialect, and the experiment's."""
    import yaml

    from reel.schedule.compile import compile_prompts
    from reel.schedule.read import read as read_schedule

    text = json.dumps({"head_prompt": "1girl", "prompt_map": {"0": "red top", "8": "blue top"}, "tail_prompt": "park"})
    draft = of_text(tmp_path, travel())
    ours = read_schedule(yaml.safe_dump(draft.values["prompt_schedule"], sort_keys=False), "yaml")
    theirs = read_schedule(text, "travel")
    assert compile_prompts(ours, 24).same(compile_prompts(theirs, 24))


def test_guidance_over_frames_means_the_same(tmp_path: Path) -> None:
    import numpy as np
    import yaml

    from reel.schedule.compile import compile_values
    from reel.schedule.read import read as read_schedule

    for said in ("0: (5), 30: (10)", "0: (7+2*sin(t/10)), 20: (3)"):
        draft = of_text(tmp_path, deforum(cfg_scale_schedule=said))
        factors = read_schedule(yaml.safe_dump(draft.values["guidance_schedule"], sort_keys=False), "yaml", "value")
        theirs = read_schedule(said, "fizz-value", "value")
        ours = compile_values(factors, 40) * draft.values["stylize.guidance_scale"]
        assert np.allclose(ours, compile_values(theirs, 40), atol=1e-6)


def test_a_redrawn_clip_runs_as_many_steps(tmp_path: Path) -> None:
    """ComfyUI's 20 steps of the last 0.6 of the noise."""
    for part in (0.6, 0.35, 0.9):
        graph = next(json.loads(str(file.content)) for file in GRAPHS if file.name == "redrawn_api.json")
        graph["9"]["inputs"]["denoise"] = part
        values = of_text(tmp_path, json.dumps(graph)).values
        assert int(values["stylize.num_inference_steps"] * values["stylize.strength"]) == 20


def test_texts_that_omegaconf_would_read_are_escaped(tmp_path: Path) -> None:
    import yaml
    from omegaconf import OmegaConf

    for prompt in (
        "a ${oc.env:HOME} sign",
        "a \\${x}",
        "??? what",
        "# no comment: yes",
        "a: b",
        "- x",
        "\u2028line",
        "'\"",
        "null",
    ):
        draft = of_text(tmp_path, infotext(prompt), "a.txt")
        loaded: Any = OmegaConf.to_container(OmegaConf.create(yaml.safe_load(experiment(draft, "x"))), resolve=True)
        assert loaded["prompt"] == draft.values["prompt"] == prompt.strip()


def test_texts_in_pictures_of_all_kinds_of_chunks(tmp_path: Path) -> None:
    import zlib

    text = infotext("a girl")
    plain = png()
    packed = b"parameters\0\0" + zlib.compress(text.encode())
    chunk = len(packed).to_bytes(4, "big") + b"zTXt" + packed + zlib.crc32(b"zTXt" + packed).to_bytes(4, "big")
    (tmp_path / "a.png").write_bytes(plain[:-12] + chunk + plain[-12:])
    assert settle(read(tmp_path / "a.png"), FAMILIES).values["prompt"] == "a girl"
