"""`rotoscope import`: every imported file composes and passes the checks of its flow; no text makes it break."""

from __future__ import annotations

import contextlib
import functools
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf

from flows import cli, flow
from flows.commands.imported import STAND_IN, agreed, merged
from flows.commands.models import names
from flows.config.compose import plain_settings
from flows.config.compose import settings as composed
from flows.config.root import Root, project_root
from reel.config import parse
from reel.errors import UserError
from reel.imports.draft import ASK
from reel.imports.read import read, read_text
from reel.imports.settle import settle
from reel.imports.write import HYDRAS, experiment
from reel.nested import at
from tests.examples import examples
from tests.reel.imports.deforum import DEFORUM, deforum
from tests.reel.imports.files import INFOTEXTS, TRAVEL, File, infotext, png, travel
from tests.reel.imports.graph_files import GRAPHS
from tests.reel.imports.graphs import animatediff, controlled, ltx, of_editor, wan

FILES = [*TRAVEL, *INFOTEXTS, *DEFORUM, *GRAPHS]


@pytest.fixture(scope="module")
def conf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A conf/ of its own, for experiments."""
    folder = tmp_path_factory.mktemp("project") / "conf"
    shutil.copytree(project_root() / "conf", folder, ignore=shutil.ignore_patterns("__pycache__", "local"))
    return folder


def given_all(text: str) -> str:
    """An experiment with something in the place of all that it asks for."""
    text = text.replace(f"override /model: {HYDRAS}", "override /model: ltx_2b")
    text = text.replace(f"override /control: {HYDRAS}", "override /control: [pose]")
    return text.replace(ASK, STAND_IN)


@functools.cache
def base(name: str, picks: tuple[str, ...]) -> dict[str, Any]:
    return plain_settings(Root(name, flow.get(name).settings), list(picks))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_an_imported_file_passes_the_checks_of_its_flow(tmp_path: Path, file: File) -> None:
    (tmp_path / file.name).write_bytes(file.data)
    draft = agreed(settle(read(tmp_path / file.name), names()))
    text = yaml.safe_load(given_all(experiment(draft, file.name)))
    defaults = [next(iter(one.items())) for one in text.pop("defaults", [])]
    picks = [f"{key.rpartition('/')[2]}={_listed(choice)}" for key, choice in defaults]
    written: Any = OmegaConf.to_container(OmegaConf.create(text), resolve=True)
    config = parse(flow.get(draft.flow).settings, merged(base(draft.flow, tuple(picks)), written))
    kept = [key for key in ("seed", "frames") if key in draft.values and key in file.settings]
    assert all(getattr(config, key) == file.settings[key] for key in kept)
    refused = [entry.how for entry in draft.of("not mapped") if "flow refuses" in entry.how]
    assert refused == [], "what these files say is what a flow takes"


def _listed(choice: Any) -> str:
    return f"[{','.join(choice)}]" if isinstance(choice, list) else str(choice)


@pytest.mark.parametrize("name", ["controls.json", "travel.txt", "cn.txt", "ltx_guides_api.json", "vace_api.json"])
def test_an_experiment_is_composed_from_its_file(tmp_path: Path, conf: Path, name: str) -> None:
    file = next(file for file in FILES if file.name == name)
    (tmp_path / name).write_bytes(file.data)
    draft = agreed(settle(read(tmp_path / name), names()))
    where = conf / "experiment" / draft.flow / "imported.yaml"
    where.parent.mkdir(parents=True, exist_ok=True)
    where.write_text(given_all(experiment(draft, "imported")))
    root: Root[Any] = Root(draft.flow, flow.get(draft.flow).settings, conf)
    data = composed(root, [f"experiment={draft.flow}/imported"]).data
    for key, value in file.settings.items():
        assert at(data, key) == value, key
    if draft.choices.get("model") in names():
        assert at(data, "model.name") == draft.choices["model"], "also beside a renderer that brings another"


def test_what_a_flow_refuses_is_taken_back_and_told(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(
        travel(guidance_scale=80, output={"format": "gif", "fps": 8, "encode_param": {"crf": 9}})
    )
    draft = agreed(settle(read(tmp_path / "a.json"), names()))
    told = {entry.leaf.place: entry.how for entry in draft.of("not mapped")}
    assert "less than or equal to 50" in told["guidance_scale"]
    assert "crf does nothing for gif" in told["output.encode_param.crf"]
    assert draft.values["assemble.format"] == "gif"
    assert "stylize.guidance_scale" not in draft.values


def test_a_prompt_that_a_flow_refuses_is_asked_for(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text(infotext("a" * 30_000))
    draft = agreed(settle(read(tmp_path / "a.txt"), names()))
    assert "prompt" in draft.asked
    assert any("20000" in entry.how for entry in draft.of("not mapped"))


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The command writes into a conf/ of its own."""
    (tmp_path / "conf").mkdir()
    monkeypatch.setattr("flows.commands.import_file.project_root", lambda: tmp_path)
    return tmp_path


def test_the_command_writes_and_reports(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / "My walk.json").write_text(travel())
    assert cli.main(["import", str(project / "My walk.json")]) == 0
    said = capsys.readouterr().out
    where = project / "conf" / "experiment" / "text2video" / "My_walk.yaml"
    assert "steps=20 -> stylize.num_inference_steps" in said
    assert f"written: {where}" in said
    assert "experiment=text2video/My_walk model.base.id=..." in said
    first = where.read_text()
    assert cli.main(["import", str(project / "My walk.json"), "--flow", "text2video"]) == 2
    assert "there is such an experiment already" in capsys.readouterr().err
    assert cli.main(["import", str(project / "My walk.json"), "--force"]) == 0
    assert where.read_text() == first


def test_the_report_as_json_and_the_experiment_on_the_screen(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / "a.png").write_bytes(png(prompt=json.dumps(animatediff())))
    assert cli.main(["import", str(project / "a.png"), "--format", "json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert {"mapped", "approximated", "not_mapped", "asked"} <= told.keys()
    assert cli.main(["import", str(project / "a.png"), "--print"]) == 0
    shown = capsys.readouterr()
    assert shown.out.startswith("# @package _global_")
    assert "mapped (" in shown.err


def test_a_flow_refuses_what_is_asked_for_by_its_key(conf: Path) -> None:
    where = conf / "experiment" / "text2video" / "open.yaml"
    where.parent.mkdir(parents=True, exist_ok=True)
    root: Root[Any] = Root("text2video", flow.get("text2video").settings, conf)
    where.write_text(f"# @package _global_\ndefaults:\n  - override /model: civitai\nmodel:\n  base:\n    id: {ASK}\n")
    with pytest.raises(UserError, match=r"model\.base\.id: to be given before anything runs") as told:
        composed(root, ["experiment=text2video/open"])
    assert "model.base.id=VALUE" in (told.value.fix or "")
    given = composed(root, ["experiment=text2video/open", "model.base.id=/a.safetensors"]).config
    assert given.model.base.id == "/a.safetensors"
    where.write_text("# @package _global_\ndefaults:\n  - override /model: ???\n")
    with pytest.raises(UserError, match="model: none is chosen yet"):
        composed(root, ["experiment=text2video/open"])
    assert composed(root, ["experiment=text2video/open", "model=sd15"]).config.model.name == "sd15"


BASES: list[Any] = [
    *(json.loads(text) for text in (travel(), deforum(cn_1_enabled=True))),
    *(animatediff(), controlled(), ltx(), wan("WanImageToVideo", "x.safetensors"), of_editor(controlled())),
]
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=12),
    st.sampled_from(
        ["1", "4", "inf", "???", ASK, "${x}", "[1, 2]", "0:(1)", "[a:b:0.5]", "<lora:x:y>", "embedding:a.b", "(a:b"]
    ),
)
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)
PROPERTY = settings(max_examples=examples(150), deadline=None, suppress_health_check=[HealthCheck.too_slow])


def imports_or_says_why(text: str) -> None:
    """Either all of it is told, or there is one clear line."""
    try:
        draft = settle(read_text(text, "a", Path("nowhere")), names())
    except UserError:
        return
    assert {path for path in draft.known if path[0] != "PNG"} == set(draft.source.leaves)
    experiment(draft, "x")


@PROPERTY
@given(JSON)
def test_any_json(data: Any) -> None:
    imports_or_says_why(json.dumps(data))


@PROPERTY
@given(
    st.text(),
    st.sampled_from(["", "{", "Steps: 20, Sampler: ", "a\nNegative prompt: b\nSteps: 1, Size: ", '{"prompt_map": ']),
)
def test_any_text(text: str, start: str) -> None:
    imports_or_says_why(start + text)


def _changed(data: Any, path: list[int], value: Any) -> Any:
    """A copy in which one value is another."""
    if not path or not isinstance(data, dict | list) or not data:
        return value
    keys = list(data) if isinstance(data, dict) else list(range(len(data)))
    key = keys[path[0] % len(keys)]
    made = dict(data) if isinstance(data, dict) else list(data)
    made[key] = _changed(made[key], path[1:], value)
    return made


@PROPERTY
@given(st.integers(0, len(BASES) - 1), st.lists(st.integers(0, 60), min_size=1, max_size=4), JSON)
def test_real_shapes_with_any_value_in_some_place(base: int, path: list[int], value: Any) -> None:
    imports_or_says_why(json.dumps(_changed(BASES[base], path, value)))


@settings(max_examples=examples(40), deadline=None)
@given(st.integers(0, len(BASES) - 2), st.lists(st.integers(0, 60), min_size=1, max_size=4), SCALARS)
def test_a_flow_takes_what_is_left_of_any_value(base: int, path: list[int], value: Any) -> None:
    try:
        draft = agreed(settle(read_text(json.dumps(_changed(BASES[base], path, value)), "a", Path("nowhere")), names()))
    except UserError:
        return
    assert agreed(draft).values == draft.values


@PROPERTY
@given(st.binary(max_size=300), st.booleans())
def test_any_bytes(tmp_path_factory: pytest.TempPathFactory, data: bytes, as_png: bool) -> None:
    path = tmp_path_factory.getbasetemp() / "any.bin"
    path.write_bytes((b"\x89PNG\r\n\x1a\n" if as_png else b"") + data)
    with contextlib.suppress(UserError):
        settle(read(path), names())


def test_graphs_that_go_around_in_rings_and_wide_ones_end() -> None:
    ring = animatediff()
    ring["1"]["inputs"]["ckpt_name"] = ["1", 0]
    ring["9"]["inputs"]["latent_image"] = ["10", 0]
    imports_or_says_why(json.dumps(ring))
    many: dict[str, Any] = animatediff()
    for number in range(100, 1500):
        many[str(number)] = {
            "class_type": "ControlNetApplyAdvanced",
            "inputs": {
                "positive": [str(number - 1), 0],
                "negative": [str(number - 1), 1],
                "image": ["9", 0],
                "strength": 0.1,
                "control_net": [str(number - 1), 0],
            },
        }
    many["100"]["inputs"] |= {"positive": ["6", 0], "negative": ["7", 0]}
    many["9"]["inputs"] |= {"positive": ["1499", 0], "negative": ["1499", 1]}
    imports_or_says_why(json.dumps(many))


@pytest.mark.parametrize(
    "text",
    [
        "[" * 5000,
        '{"a":' * 5000,
        "9" * 6000,
        '{"prompt_map": {"0": "' + "(" * 9000 + '"}}',
        infotext("(" * 9000),
        infotext("a\n0: " + "[a|b]" * 3000),
        '"' * 9000 + "Steps: 1, Sampler: x",
    ],
)
def test_texts_that_are_meant_to_hurt(text: str) -> None:
    imports_or_says_why(text)
