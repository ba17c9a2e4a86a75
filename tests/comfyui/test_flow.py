"""comfyui as a whole: the real program against a server that speaks ComfyUI's recorded protocol."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from flows import cli
from flows.comfyui import asked
from reel.clip import Clip
from reel.history.record import RenderRecord, list_records
from reel.history.sweep import Manifest
from reel.keys import make_key, remember
from reel.op import get
from reel.pointer import write_pointer
from reel.store import Store
from tasks.comfyui.settings import Run, Version
from tests.comfyui.record import graph
from tests.comfyui.server import Scripted, serving
from tests.flows.rendering import computed

pytestmark = pytest.mark.filterwarnings("ignore")
OPS = ["comfyui.run", "comfyui.frames", "assemble"]


def with_pictures() -> Scripted:
    """A server whose probe takes a picture, too."""
    script = Scripted()
    script.info["RotoscopeProbe"]["input"]["optional"]["image"] = [["example.png"], {"image_upload": True}]
    return script


@pytest.fixture(scope="module")
def comfy() -> Iterator[Scripted]:
    with serving(with_pictures()) as script:
        yield script


@pytest.fixture
def workflow(tmp_path: Path) -> Path:
    nodes = graph()
    nodes["1"]["_meta"] = {"title": "The Probe"}
    (path := tmp_path / "graph.json").write_text(json.dumps(nodes))
    return path


def command(comfy: Scripted, workflow: Path, *overrides: str) -> list[str]:
    fixed = [f"workflow={workflow}", f"server={comfy.url}", f"paths.store={workflow.parent}/store", "tracking=none"]
    return [*fixed, "measure=none", "assemble.contact_sheet=2", *overrides]


def rendered(comfy: Scripted, workflow: Path, *overrides: str) -> RenderRecord:
    output = f"paths.output={workflow.parent}/out"
    assert cli.main(["comfyui", *command(comfy, workflow, *overrides), output]) == 0
    return list_records(Store(workflow.parent / "store"))[0][-1]


@pytest.mark.usefixtures("prefect_server")
def test_a_graph_becomes_a_film_and_only_what_changed_is_made_again(comfy: Scripted, workflow: Path):
    first = rendered(comfy, workflow)
    store = Store(workflow.parent / "store")
    assert computed(first) == OPS
    clip = Clip.open(store, first.pictures["frames"])
    assert (clip.count, clip.width, clip.height, clip.fps) == (3, 64, 48, 8)
    assert {path.name for path in (workflow.parent / "out").iterdir()} >= {"movie.mp4", "contact_sheet.png"}
    facts = first.stages[0].facts
    assert facts["server"] == {"comfyui": "0.8.0", "pytorch": "2.14.1+cu130", "device": "cpu"}
    assert facts["unknown"] == ["code of the custom nodes in rotoscope_probe"]

    verify = ["verify", first.run, f"server={comfy.url}", f"--store={store.root}"]
    assert cli.main(verify) == 0, "made again to the last bit; the lock holds no address"
    queued = len(comfy.prompts)
    assert computed(rendered(comfy, workflow)) == []
    nodes = json.loads(workflow.read_text())
    nodes["1"]["_meta"]["title"] = "Probe"
    workflow.write_text(json.dumps(nodes))  # another title is the same graph
    assert computed(rendered(comfy, workflow)) == []
    assert len(comfy.prompts) == queued
    assert computed(rendered(comfy, workflow, "fps=12")) == ["comfyui.frames", "assemble"]
    assert len(comfy.prompts) == queued

    Image.new("RGB", (8, 8)).save(picture := workflow.parent / "key.png")
    found = rendered(comfy, workflow, "inputs.Probe.seed=3", f"files.Probe.image={picture}", "inputs.1.caption=a, $b")
    assert computed(found)[0] == "comfyui.run"
    [name] = comfy.uploads
    given = {**graph()["1"]["inputs"], "seed": 3, "image": name, "caption": "a, $b"}
    assert comfy.graphs[-1]["1"]["inputs"] == given
    comfy.system["system"]["comfyui_version"] = "0.9.0"
    assert computed(rendered(comfy, workflow))[0] == "comfyui.run"
    comfy.system["system"]["comfyui_version"] = "0.8.0"


@pytest.mark.usefixtures("prefect_server")
def test_what_is_damaged_is_told_as_work_and_made_again(
    comfy: Scripted, workflow: Path, capsys: pytest.CaptureFixture[str]
):
    first = rendered(comfy, workflow)
    folder = Store(workflow.parent / "store").folder(first.pictures["frames"])
    (folder / "manifest.json").write_text("{}")
    capsys.readouterr()
    assert computed(rendered(comfy, workflow)) == ["comfyui.frames"]
    assert "  to do    frames, assemble\n" in capsys.readouterr().err, "what comes after it may be the same again"


@pytest.mark.usefixtures("prefect_server")
def test_what_is_in_the_store_needs_no_server(workflow: Path, capsys: pytest.CaptureFixture[str]):
    Image.new("RGB", (8, 8)).save(picture := workflow.parent / "key.png")
    given = ["inputs.1.seed=3", f"files.1.image={picture}"]
    with serving(with_pictures()) as gone:
        rendered(gone, workflow, *given)
    capsys.readouterr()
    assert computed(rendered(gone, workflow, *given)) == []
    said = capsys.readouterr().err
    assert f"{gone.url} cannot be reached" in said
    assert "when it last answered (ComfyUI 0.8.0 on cpu) is in the store" in said
    assert computed(rendered(gone, workflow, *given, "fps=12")) == ["comfyui.frames", "assemble"]

    assert cli.main(["comfyui", *command(gone, workflow, *given, "inputs.1.steps=4")]) == 2
    Image.new("RGB", (8, 8), "red").save(picture)
    assert cli.main(["comfyui", *command(gone, workflow, *given)]) == 2
    assert capsys.readouterr().err.count("error: server: ") == 2


def test_only_the_version_that_the_server_stated_last_stands_for_it(tmp_path: Path):
    """What it made before it was another one is not what it would make now."""
    store, request = Store(tmp_path), {"graph": graph()}
    then = Run(graph=graph(), output="3", server=Version(comfyui="0.8.0", pytorch="2", device="cpu"))
    now = then.model_copy(update={"server": Version(comfyui="0.9.0", pytorch="2", device="cpu")})
    asked.note(store, request, then, {})
    assert asked.recalled(store, request, {}) is None, "it was never made"
    key = make_key(get("comfyui", "run"), then, {}, {})
    remember(store, key, "0" * 64, {}, 1.0)
    write_pointer(store, key.digest, "0" * 64)
    assert asked.recalled(store, request, {}) == then
    assert asked.recalled(store, {**request, "output": "2"}, {}) is None
    asked.note(store, request, now, {})
    assert asked.recalled(store, request, {}) is None
    next((tmp_path / "comfyui").iterdir()).write_bytes(b"\xff")
    assert asked.recalled(store, request, {}) is None


@pytest.mark.usefixtures("prefect_server")
def test_a_sweep_goes_on_with_what_is_open(comfy: Scripted, workflow: Path, capsys: pytest.CaptureFixture[str]):
    swept = ["comfyui", "-m", *command(comfy, workflow, "inputs.The_Probe.seed=choice(5,6)")]
    before = len(comfy.prompts)
    assert cli.main([*swept, f"paths.renders={workflow.parent}/renders"]) == 0
    manifest = Manifest.load(Store(workflow.parent / "store"), "latest")
    assert [point.status for point in manifest.points] == ["done", "done"]
    assert [one["1"]["inputs"]["seed"] for one in comfy.graphs[before:]] == [5, 6]
    assert cli.main([*swept, f"paths.renders={workflow.parent}/renders"]) == 0
    assert len(comfy.prompts) == before + 2


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["inputs.The_Probe.sede=3"], "inputs.The_Probe.sede: RotoscopeProbe has no such input; nearest: seed"),
        (["inputs.Prob.seed=3"], "inputs.Prob: no node of the graph has the id, title or class Prob; nearest: "),
        (["inputs.1.seed=1,2"], "inputs.1.seed: must be a whole number, got '1,2'"),
        (["inputs.1.seed=1", "inputs.The_Probe.seed=2"], "inputs.The_Probe.seed: inputs.1.seed sets the same input"),
        (["files.1.image=none.png"], "files.1.image: there is no file"),
        (["inputs.1.image=key.png"], "fix: files.<node>.<input>=<file> uploads one of yours"),
        (["output=2"], "output: node 2 (ImageScale) saves nothing"),
        (["inputs.2.upscale_method=linear", "inputs.1.steps=0"], "does not fit the server:\n  inputs.1.steps: must be"),
        (["server=http://me:hunter2@127.0.0.1:1"], "got 'http://me:***@127.0.0.1:1'"),
        (["server=http://127.0.0.1:1"], "server: http://127.0.0.1:1 cannot be reached"),
        (["server=file:///etc/passwd"], "server: must be the address of a server"),
        (["workflow="], "workflow: none is given"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_told_before_anything_is_queued(
    comfy: Scripted, workflow: Path, capsys: pytest.CaptureFixture[str], overrides: list[str], said: str
):
    before = len(comfy.prompts)
    assert cli.main(["comfyui", *command(comfy, workflow, *overrides)]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert "hunter2" not in error
    assert len(comfy.prompts) == before


def test_who_one_is_comes_from_the_environment(comfy: Scripted, workflow: Path, monkeypatch: pytest.MonkeyPatch):
    from reel.errors import UserError
    from tasks.comfyui.address import PASSWORD, TOKEN, Address, checked
    from tasks.comfyui.server import Server

    monkeypatch.setenv(PASSWORD, "secret word")
    address = Address(checked(comfy.url.replace("//", "//me@")))
    assert "me" not in address.base
    Server(address).system()
    assert comfy.headers[-1]["Authorization"] == "Basic bWU6c2VjcmV0IHdvcmQ="
    monkeypatch.setenv(TOKEN, "abc")
    Server(address).system()
    assert comfy.headers[-1]["Authorization"] == "Bearer abc"
    monkeypatch.setenv(TOKEN, "a\nb")
    with pytest.raises(UserError, match="COMFYUI_TOKEN in the environment holds characters"):
        Server(address).system()


def test_an_address_has_one_spelling():
    from tasks.comfyui.address import Address, checked

    assert checked("http://host/") == "http://host:80"
    assert checked("https://u@[::1]:99/comfy/") == "https://u@[::1]:99/comfy"
    assert Address("https://u@[::1]:99/comfy").websocket("x y") == "wss://[::1]:99/comfy/ws?clientId=x+y"
    for wrong in ("", "host:80", "ftp://host", "http://", "http://h:x", "http://h/?a=b", "http://a b", "http://h#x"):
        with pytest.raises(ValueError, match="must"):
            checked(wrong)
