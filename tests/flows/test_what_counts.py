"""What counts for a result is said once, at the field: each setting of each flow is changed, and all who ask agree.

Sweeps, DVC's file, comparisons and searches are held against the cache keys of a dry run. A setting that has no effect
beside others (a mask's size without a mask) may count all the same, but each must have an effect somewhere or a marker.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from benchmarks.runs import ROOT
from flows import cli
from flows import flow as flows
from flows.commands import resolve
from flows.config.compose import settings
from flows.config.root import Root
from flows.flow import Flow
from flows.render import measures
from flows.search.plan import Job
from flows.search.settings import EXTENT, Searched
from flows.sweep.axes import digest
from reel.canonical import canonical
from reel.config import FIGURES, FILES, OPERATIONAL, Place, leaves, parse, places
from reel.errors import UserError
from reel.history.comparison import settings as compared
from reel.history.record import RenderRecord
from reel.op import Context
from reel.store import Store
from tasks.cached import dry_run
from tests.comfyui.server import serving
from tests.flows.counting.bases import BASES, DECIDED, SMALL
from tests.flows.counting.values import ELSEWHERE, NO_OTHER, NO_OTHER_OF, PASSED_OVER
from tests.flows.counting.walking import at, candidates, filled, for_people, put, walk, walked
from tests.other_values import others
from tests.tasks import animate_models, ltx2_models, sprite_sparse, video_models


def pair(layer: str, width: int) -> dict[str, tuple[int, ...]]:
    """A LoRA's two matrices of rank 2 for a square layer."""
    return {f"{layer}.lora_A.weight": (2, width), f"{layer}.lora_B.weight": (width, 2)}


TO_Q = "transformer_blocks.0.attn1.to_q"
MODEL_FILES: dict[str, dict[str, tuple[int, ...]]] = {
    "lora": pair(f"unet.down_blocks.0.attentions.0.{TO_Q}", 48),
    "motion_lora": pair(f"unet.down_blocks.0.motion_modules.0.{TO_Q}", 48),
    "ltx_lora": pair(f"transformer.{TO_Q}", 32),
    "embedding": {"emb_params": (1, 96)},
    "ip_adapter": {"image_proj.proj.weight": (96, 96), "ip_adapter.1.to_k_ip.weight": (96, 96)},
}
"""What makes a file's header right for the setting that names it: layers and their shapes."""


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Files that settings name, by the word that stands for each."""
    import numpy as np
    from PIL import Image
    from safetensors.numpy import save_file

    here = tmp_path_factory.mktemp("files")
    for name, shade in (("mask", 0), ("picture", 255)):
        Image.new("L", (64, 64), shade).save(here / f"{name}.png")
    (here / "clip.mp4").write_bytes((ROOT / "data/source/sample.mp4").read_bytes() + b"\0\0\0\x08free")
    for kind, layers in MODEL_FILES.items():
        for number, name in enumerate((kind, f"{kind}2")):
            tensors = {layer: np.full(shape, number, np.float32) for layer, shape in layers.items()}
            save_file(tensors, here / f"{name}.safetensors")
    for name, shot in (("story", f"picture: {here}/wide.png, motion: she waves"), ("story2", "prompt: a pier")):
        (here / f"{name}.yaml").write_text(f"shots:\n  - {{{shot}}}\n  - prompt: a boat\n")
    Image.new("L", (90, 64), 128).save(here / "wide.png")
    (here / "families").mkdir()
    for name in ("sprite", "sprite2"):
        (here / "families" / name).symlink_to(ROOT / "data/models/sprite")
    for name in ("sparse", "sparse2"):
        sprite_sparse.save(here / "families" / name)
    for name in ("tiny_ltx", "tiny_ltx2"):
        animate_models.write_ltx(here / "families" / name)
    for name in ("tiny_av", "tiny_av2"):
        ltx2_models.write(here / "families" / name)
    for name, size in (("graph", 16), ("other_graph", 24)):
        (here / f"{name}.json").write_text(json.dumps(comfyui_graph(size)))
    for name in ("tiny_vace", "tiny_vace2"):
        animate_models.write_vace(here / "families" / name)
    for name in ("tiny_wan_animate", "tiny_wan_animate2"):
        video_models.write(here / "families" / name, video_models.wan_animate())
    named = {f"${path.stem}": str(path) for path in here.iterdir() if path.is_file()}
    with serving() as comfyui:
        yield {**named, "$here": str(here), "$comfyui": comfyui.url}


def comfyui_graph(height: int) -> dict[str, Any]:
    """A picture scaled, and saved in two ways."""
    size = {"upscale_method": "area", "width": 16, "height": height, "crop": "disabled"}
    saved = {"images": ["2", 0], "filename_prefix": "x"}
    return {
        "1": {"class_type": "LoadImage", "inputs": {"image": "example.png"}},
        "2": {"class_type": "ImageScale", "inputs": {"image": ["1", 0], **size}, "_meta": {"title": "Size"}},
        "3": {"class_type": "SaveImage", "inputs": saved, "_meta": {"title": "Save"}},
        "4": {"class_type": "SaveImage", "inputs": saved},
    }


@pytest.fixture(autouse=True)
def families(files: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROTOSCOPE_MODELS", f"{files['$here']}/families")


def composed(flow: Flow[Any], base: Sequence[str], files: Mapping[str, str]) -> dict[str, Any]:
    """A flow's settings as plain data, defaults included."""
    known = {place.key for place in places(flow.settings)}
    given = [text for text in (*SMALL, *DECIDED) if text.partition("=")[0] in known] + list(base)
    root = Root(flow.name, flow.settings)
    data: dict[str, Any] = settings(root, [filled(text, files) for text in given]).config.model_dump(mode="json")
    return data


@dataclass(frozen=True)
class Seen:
    """A render's ops and cache keys, as far as its frames, its files, its figures; and what those who ask say of it."""

    ops: Sequence[str]
    drawn: Sequence[str]
    made: Sequence[str]
    measured: Sequence[str]
    sweep: str
    file: Mapping[str, Any]
    page: Mapping[str, Any]
    search: Mapping[str, Any]

    def changed(self, other: Seen) -> set[str]:
        """Names of the fields in which two differ."""
        return {name for name, value in vars(self).items() if value != getattr(other, name)}


def seen(flow: Flow[Any], data: Mapping[str, Any], store: Store) -> Seen:
    """Raises: UserError for settings that the flow refuses."""
    cfg = parse(flow.settings, data)
    assert flow.plan is not None
    plan, ctx = flow.plan(cfg, store), Context(store, cfg.compute)
    with dry_run() as found:
        made = plan.draw(ctx)
        drawn = len(found)
        plan.assemble(made, ctx)
    with dry_run() as measured:
        measures.run(plan.measures, made, ctx)
    record = RenderRecord(
        run="20260101-000000-abcdef",
        flow=flow.name,
        started=datetime.now(UTC),
        config={},
        result=canonical(cfg.result_part({FIGURES})),
    )
    job = Job(flow, store, Searched(), cfg, data, axes=[], goals=[], limits=[], plan=plan, trials=1)  # type: ignore[arg-type]
    keys = [one.stage.key for one in found]
    return Seen(
        ops=[one.stage.op for one in [*found, *measured]],
        drawn=keys[:drawn],
        made=keys,
        measured=[one.stage.key for one in measured],
        sweep=digest(cfg),
        file=resolve.stages(found),
        page=compared(record),
        search=canonical(job.about()),
    )


ASKED = ("sweep", "file", "page", "search")


def wrong(key: str, place: Place, changed: set[str], *, quiet: bool) -> Iterator[str]:
    """What does not fit the keys that changed, and the setting's markers.

    Args:
        quiet: it must change nothing.
    """
    must = {
        "sweep": bool(changed & {"made", "measured"}),
        "file": "made" in changed,
        "page": "made" in changed,
        "search": bool(changed & {"drawn", "measured"}),
    }
    may_not = {"file"} if "made" not in changed else set()
    may_not |= {"file", "page", "made"} if FIGURES in place.markers else set()
    may_not |= {"search", "drawn"} if FILES in place.markers else set()
    may_not |= {"made", "measured", *ASKED} if quiet else set()
    for name in ASKED:
        if must[name] and name not in changed:
            yield f"{key}: cache keys change and {name} does not"
    for name in sorted(may_not & changed):
        yield f"{key}: {name} changes"


RENDERING = [name for name in flows.names() if flows.get(name).plan]


@pytest.mark.parametrize("name", RENDERING)
def test_who_asks_what_counts_agrees_with_the_cache_keys(name: str, files: dict[str, str], tmp_path: Path):
    flow, store = flows.get(name), Store(tmp_path / "store")
    mistakes: list[str] = []
    effect: dict[str, bool] = {}
    for base in BASES.get(name, [[]]):
        data = composed(flow, base, files)
        before = seen(flow, data, store)
        for key, place, path in walk(flow.settings, data, before.ops):
            quiet = OPERATIONAL in place.markers or for_people(flow.settings, place)
            if effect.get(key) or place.path[0] in PASSED_OVER.get(name, ()):
                continue
            effect.setdefault(key, quiet or key in NO_OTHER or key in NO_OTHER_OF.get(name, {}))
            for value in itertools.islice(candidates(key, place, at(data, path), files), 16):
                try:
                    changed = seen(flow, put(data, path, value), store).changed(before)
                except UserError:
                    continue
                mistakes += wrong(f"{key}={value!r}", place, changed, quiet=quiet)
                if quiet or changed & {"made", "measured"}:
                    effect[key] = True
                    break
    assert not mistakes, "\n".join(mistakes)
    idle = [key for key, found in effect.items() if not found]
    assert not idle, f"no other value of these changes a cache key; mark them, or give them a base: {', '.join(idle)}"
    here = [place for place in walked(flow.settings) if place.path[0] not in PASSED_OVER.get(name, ())]
    missing = {place.key for place in here if not for_people(flow.settings, place)} - effect.keys()
    missing -= set(ELSEWHERE.get(name, ()))
    assert not missing, f"no base has a place for {', '.join(missing)}"


@pytest.mark.parametrize("name", [name for name in flows.names() if name not in RENDERING])
def test_a_flow_that_renders_nothing_itself_counts_all_that_is_not_marked(name: str, files: dict[str, str]):
    flow = flows.get(name)
    quiet: set[str] = set()
    counts: dict[str, bool] = {}
    for base in BASES.get(name, [[]]):
        data = composed(flow, base, files)
        before = digest(parse(flow.settings, data))
        for key, place, path in walk(flow.settings, data):
            if OPERATIONAL in place.markers or for_people(flow.settings, place):
                quiet.add(key)
            for value in candidates(key, place, at(data, path), files):
                try:
                    after = digest(parse(flow.settings, put(data, path, value)))
                except UserError:
                    continue
                counts[key] = counts.get(key, False) or after != before
                if counts[key] or key != "compute.dtype":  # one of its values is what `auto` comes to on this machine
                    break
    assert quiet
    idle = {key for key, found in counts.items() if not found} - set(NO_OTHER_OF.get(name, {}))
    assert idle == quiet & counts.keys()


def test_a_sweep_with_another_kernel_is_another_sweep(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    def id(*overrides: str) -> str:
        common = ["extract.max_frames=4", "extract.short_side=64", f"paths.store={tmp_path}/store"]
        assert cli.main(["dance", "-m", "seed=1,2", "sweep.plan=true", *common, *overrides]) == 0
        return capsys.readouterr().out.split()[1].rstrip(":")

    elsewhere = ("compute.device=cpu", "compute.threads=1", "compute.batch=2", "tracking=none")
    assert id().startswith("dance-")
    assert id(*elsewhere) == id()
    assert len({id(), id("compute.attention=math"), id("compute.memory_format=contiguous")}) == 3


def test_how_far_a_search_goes_makes_no_other_search():
    before = Searched().result_part({EXTENT})
    for place in leaves(Searched):
        for value in others(place, at(Searched().model_dump(), place.path)):
            try:
                after = parse(Searched, put({}, place.path, value)).result_part({EXTENT})
            except UserError:
                continue
            assert (after == before) is (EXTENT in place.markers), f"search.{place.key}={value!r}"
            break


@pytest.mark.parametrize("name", flows.names())
def test_where_things_lie_and_who_is_told_never_counts(name: str):
    """A flow that forgets the marker of these would render everything anew in another folder."""
    for place in places(flows.get(name).settings):
        if place.key in ("paths", "tracking"):
            assert OPERATIONAL in place.markers, place.key
