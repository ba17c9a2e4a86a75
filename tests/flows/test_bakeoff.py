"""bakeoff as a whole with LTX's own classes at toy size: each animator in a process of its own, one out of memory."""

from __future__ import annotations

import contextlib
import csv
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from flows import cli
from flows.bakeoff import processes, run, table
from flows.bakeoff.plan import Contest, prepare
from flows.bakeoff.settings import Bakeoff
from flows.config.compose import settings
from flows.config.quoting import literal_overrides
from flows.config.root import Root
from flows.edge.job import Job, as_job
from flows.sweep.point import claimed
from reel.errors import UserError
from reel.files import explained
from reel.history.record import RenderRecord, list_records
from reel.history.sweep import Manifest
from reel.store import Store
from tests.tasks import animate_models as tiny

pytestmark = [pytest.mark.usefixtures("families"), pytest.mark.filterwarnings("ignore")]
FILES = ["transformer/*", "vae/*", "text_encoder/*", "tokenizer/*", "scheduler/*"]
TINY = f"model.base: {{kind: embedded, id: tiny_ltx, files: [{', '.join(FILES)}]}}"
LARGE = "width: 1536, height: 1536, frames: 25, model.limits.most_pixels: 4000000"
SMALL = [
    *("width=64", "height=64", "frames=9", "animate.num_inference_steps=1", "animate.guidance_scale=1"),
    *("compute.dtype=float32", "tracking=none", "prompt=the figure waves slowly", "assemble.contact_sheet=2"),
    *("measure=[flicker]", "animate.extra_frames=0", "assemble.side_by_side=false", "animate.timesteps=null"),
]
LIMITED = """
import resource, sys
import diffusers, torch, transformers
import prefect.flow_engine, prefect.task_engine
from diffusers import AutoencoderKLLTXVideo, LTXConditionPipeline, LTXVideoTransformer3DModel
from transformers import T5EncoderModel
from flows.bakeoff import worker
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + (1 << 30),) * 2)
sys.exit(worker.main())
"""
"""The worker with 1 GiB of address space beside its libraries."""


def each(*names: str, **more: str) -> str:
    """Settings of animators: weights of random numbers, and what further ones say."""
    own = [", ".join(filter(None, [TINY, more.get(name)])) for name in names]
    return "each={" + ", ".join(f"{name}: {{{one}}}" for name, one in zip(names, own, strict=True)) + "}"


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    here = tmp_path_factory.mktemp("files")
    tiny.write_ltx(here / "models" / "tiny_ltx")
    tiny.picture(0, 96, 96).save(here / "key.png")
    return here


@pytest.fixture
def families(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROTOSCOPE_MODELS", str(files / "models"))


@pytest.fixture(scope="module")
def baked(files: Path, tmp_path_factory: pytest.TempPathFactory, prefect_server: Path) -> Iterator[Path]:
    """A bakeoff of two animators, each of which may take 1 GiB; the second asks for more."""
    command = processes.child.command
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ROTOSCOPE_MODELS", str(files / "models"))
        patch.setenv("MALLOC_ARENA_MAX", "1")  # each thread's arena takes address space
        limited = [sys.executable, "-c", LIMITED]
        patch.setattr(
            *(processes.child, "command"),
            lambda name, *rest: limited if name == "flows.bakeoff.worker" else command(name, *rest),
        )
        folder = tmp_path_factory.mktemp("baked")
        asked = ["animators=[ltx_13b,ltx_2b]", each("ltx_2b", "ltx_13b", ltx_13b=LARGE)]
        assert bake(folder, files, *asked) == 0
        yield folder


def bake(folder: Path, files: Path, *more: str) -> int:
    where = [f"picture={files}/key.png", f"paths.store={folder / 'store'}", f"paths.output={folder / 'out'}"]
    return cli.main(["bakeoff", *SMALL, *where, *more])


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "out" / "bakeoff.csv").open() as file:
        return list(csv.DictReader(file))


@pytest.mark.slow
def test_one_that_runs_out_of_memory_is_a_line_of_the_table_and_the_next_one_goes_on(baked: Path):
    large, small = rows(baked)
    assert (large["animator"], large["outcome"]) == ("ltx_13b", "out of memory")
    assert large["reason"].startswith("out of memory on cpu")
    assert (small["animator"], small["outcome"], small["reason"]) == ("ltx_2b", "done", "")
    assert (small["seed"], small["size"], small["frames"], small["fps"]) == ("0", "64x64", "9", "24.0")
    assert float(small["film_seconds"]) == 9 / 24
    assert 0 < float(small["starting_seconds"]) < float(small["seconds"])
    assert float(small["seconds_a_frame"]) == pytest.approx(float(small["seconds"]) / 9)
    assert 100 < float(small["host_mib"]) < 10_000
    assert (small["device_mib"], float(small["flicker.mean"]) > 0) == ("", True)


@pytest.mark.slow
def test_the_table_the_page_and_the_films_lie_in_one_folder(baked: Path):
    made = {path.name for path in (baked / "out").iterdir()}
    assert {"bakeoff.md", "bakeoff.csv", "compare.html", "grid.mp4", "ltx_2b-0"} <= made
    assert (baked / "out" / "ltx_2b-0" / "movie.mp4").is_file()
    text = (baked / "out" / "bakeoff.md").read_text()
    assert "| ltx_2b | 0 | done | 64x64 | 9 | 24 | 0.375 |" in text
    assert "- ltx_13b, seed 0, out of memory: out of memory on cpu" in text
    page = (baked / "out" / "compare.html").read_text()
    assert "ltx_13b" in page
    [record] = of_flow(baked, "bakeoff")
    assert record.sweep == Manifest.load(Store(baked / "store"), "latest").id
    roles = {one.name: one.role for one in record.outputs}
    assert (roles["bakeoff.md"], roles["bakeoff.csv"], roles["compare.html"]) == ("table", "table", "page")
    [film] = [one for one in of_flow(baked, "animate") if one.status == "done"]
    assert (film.sweep, film.point) == (record.sweep, 1)


def of_flow(folder: Path, flow: str) -> list[RenderRecord]:
    return [one for one in list_records(Store(folder / "store"))[0] if one.flow == flow]


@pytest.mark.slow
def test_of_a_second_bakeoff_with_one_animator_added_only_that_one_runs(
    baked: Path, files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    shutil.copytree(baked / "store", tmp_path / "store")
    begun: list[Any] = []
    do = processes.Processes.do
    monkeypatch.setattr(processes.Processes, "do", lambda self, task: (begun.append(task), do(self, task))[1])
    names = ("ltx_2b", "ltx_distilled", "ltx_13b")
    asked = [f"animators=[{','.join(names)}]", each(*names, ltx_13b=LARGE)]
    assert bake(tmp_path, files, *asked) == 0
    assert [[film["index"] for film in task["films"]] for task in begun] == [[2]]
    assert [(row["animator"], row["outcome"]) for row in rows(tmp_path)] == [
        *(("ltx_13b", "out of memory"), ("ltx_2b", "done"), ("ltx_distilled", "done")),
    ]
    assert len(of_flow(tmp_path, "animate")) == len(of_flow(baked, "animate")) + 1
    assert bake(tmp_path, files, *asked) == 0
    assert len(begun) == 1, "nothing is missing"


def prepared(store: Store, files: Path, *more: str) -> Contest:
    """A bakeoff checked, and nothing of it made."""
    root: Root[Bakeoff] = Root("bakeoff", Bakeoff)
    given = literal_overrides([*SMALL, f"picture={files}/key.png", *more], root.keys, multirun=False)
    with as_job(Job("bakeoff", given)):
        return prepare(settings(root, given, literal=False).config, store)


TWO = ["animators=[ltx_2b,ltx_13b]", each("ltx_2b", "ltx_13b")]


def test_each_is_brought_within_its_own_limits_and_what_moved_is_told(store: Store, files: Path):
    own = "{step: 4, rest: 1, least: 5, most: 21}"
    limits = f"model.limits.frames: {own}, model.limits.most_fps: 16, model.limits.most_pixels: 8192"
    asked = ["animators=[ltx_2b,ltx_13b]", each("ltx_2b", "ltx_13b", ltx_13b=limits), "seconds=1", "width=128",
             "height=128", "animate.extra_frames=8"]  # fmt: skip
    contest = prepared(store, files, *asked)
    first, second = (contest.entrants[name].film(0) for name in ("ltx_2b", "ltx_13b"))
    assert (first.frames, first.fps, first.width, first.height, first.animate.extra_frames) == (25, 24, 128, 128, 8)
    assert (second.frames, second.fps, second.width, second.height) == (13, 16, 64, 96)
    assert second.frames + second.animate.extra_frames == 21
    assert contest.entrants["ltx_2b"].moved == ["frames: 25 instead of 24"]
    assert contest.entrants["ltx_13b"].moved == [
        *("fps: 16 instead of 24", "frames: 13 instead of 16", "width: 64 instead of 128", "height: 96 instead of 128"),
    ]


def test_points_grow_and_the_question_stays_the_same(store: Store, files: Path):
    first = prepared(store, files, "animators=[ltx_13b]", each("ltx_13b"), "seeds=2")
    more = prepared(store, files, *TWO, "seeds=1", "again=true")
    assert more.manifest.id == first.manifest.id
    values = [(point.values["model"], point.values["seed"]) for point in more.manifest.planned]
    assert values == [("ltx_13b", "0"), ("ltx_13b", "1"), ("ltx_2b", "0")]
    assert more.points("ltx_13b") == [0], "one seed is asked for"
    assert prepared(store, files, *TWO, "prompt=he bows").manifest.id != first.manifest.id
    assert prepared(store, files, *TWO, "seconds=2").manifest.id != first.manifest.id


def test_what_speaks_against_one_is_its_result(store: Store, files: Path, tmp_path: Path):
    more = [*TWO[:1], each("ltx_2b", "ltx_13b", ltx_2b="model.territory: 'the EU, the UK'"), "territory=UK", "seeds=2"]
    contest = prepared(store, files, *more)
    assert contest.entrants["ltx_13b"].refused is None
    given = settings(Root("bakeoff", Bakeoff), [*SMALL, *more]).config
    killed = lambda task: -9  # noqa: E731
    assert run.run(contest, given, tmp_path, killed) == 2
    found = table.rows(contest.manifest, {})
    assert [row.values["outcome"] for row in found] == ["refused", "refused", "ended", "ended"]
    assert "it is not licensed in the EU, the UK" in found[0].reason
    assert "ended by SIGKILL: out of memory, most likely" in found[2].reason
    assert run.run(contest, given, tmp_path, killed) == 0, "a failure is a result"
    assert run.run(contest, given.model_copy(update={"again": True}), tmp_path, killed) == 2


def test_seeds_after_one_that_ran_out_of_memory_are_not_tried(store: Store, files: Path, tmp_path: Path):
    contest = prepared(store, files, "animators=[ltx_2b]", each("ltx_2b"), "seeds=3")

    def out_of_memory(task: Any) -> int:
        claim = contest.manifest.claim(task["films"][0]["index"])
        assert claim is not None
        claim.fail("out of memory on cpu", "UserError")
        return 3

    given = settings(Root("bakeoff", Bakeoff), [*SMALL, "animators=[ltx_2b]"]).config
    run.run(contest, given, tmp_path, out_of_memory)
    found = table.rows(contest.manifest, {})
    assert [row.values["outcome"] for row in found] == ["out of memory", "not tried", "not tried"]
    assert found[1].reason == "not tried, since seed 0 ran out of memory"


def on_a_full_disk() -> None:
    with explained(Path("film.png")), Path("/dev/full").open("wb", buffering=0) as disk:
        disk.write(b"a frame")


def refused() -> None:
    raise UserError("too large")


def test_films_that_found_the_disk_full_are_made_by_the_same_command(store: Store, files: Path, tmp_path: Path):
    contest = prepared(store, files, *TWO, "seeds=2")
    given = settings(Root("bakeoff", Bakeoff), [*SMALL, *TWO, "seeds=2"]).config
    begun: list[list[int]] = []

    def films(*ways: Callable[[], None]) -> run.Do:
        """A process in which each film of its animator ends in one of these ways."""

        def process(task: Any) -> int:
            begun.append([film["index"] for film in task["films"]])
            for film, way in zip(task["films"], ways, strict=True):
                with contextlib.suppress(UserError):
                    claimed(contest.manifest, film["index"], task["statuses"], task["driver"], 4, way)
            return 0

        return process

    assert run.run(contest, given, tmp_path, films(on_a_full_disk, refused)) == 4
    first = table.rows(contest.manifest, {})[0]
    assert first.values["outcome"] == "no room"
    assert "no room left while writing film.png" in first.reason
    assert run.run(contest, given, tmp_path, films(on_a_full_disk)) == 2, "what failed otherwise stays a result"
    assert run.run(contest, given, tmp_path, films(lambda: None)) == 2
    assert begun == [[0, 1], [2, 3], [0], [2], [0], [2]]
    assert run.run(contest, given, tmp_path, films()) == 0
    assert [contest.manifest.point(index).status for index in range(4)] == ["done", "failed"] * 2


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["animators=[]"], "animators: there is none"),
        (["animators=[ltx_2b,wan_vace_1_3b]", each("ltx_2b")], "animators: wan_vace_1_3b: "),
        (["animators=[ltx_2c]"], "there is no model 'ltx_2c'; nearest: ltx_2b"),
        ([*TWO, "model=ltx2"], "several take part"),
        ([*TWO, "prompt="], "prompt: model ltx_2b needs one"),
        ([*TWO, "last=nowhere.png"], "last: there is no file nowhere.png"),
    ],
)
def test_what_is_wrong_whoever_takes_part_is_told_at_once(
    more: Sequence[str], said: str, store: Store, files: Path, monkeypatch: pytest.MonkeyPatch
):
    with pytest.raises(UserError, match=said):
        prepared(store, files, *more)
