"""AnimateDiff families in a bakeoff: the picture as a track, what is asked of all in its words, films beside LTX's."""

from __future__ import annotations

import csv
import re
from pathlib import Path
from typing import Any

import pytest

from flows import cli
from flows.bakeoff.plan import Contest, prepare
from flows.bakeoff.settings import Bakeoff
from flows.config.compose import settings
from flows.config.quoting import literal_overrides
from flows.config.root import Root
from flows.edge.job import Job, as_job
from flows.flow import RenderPlan
from flows.timeframe.stages import TimeframePlan
from reel.errors import UserError
from reel.history.record import list_records
from reel.store import Store
from tests.tasks import animate_models as tiny
from tests.tasks import sprite_sparse

pytestmark = [pytest.mark.usefixtures("families"), pytest.mark.filterwarnings("ignore")]
FILES = ["transformer/*", "vae/*", "text_encoder/*", "tokenizer/*", "scheduler/*"]
LTX = (
    f"ltx_2b: {{model.base: {{kind: embedded, id: tiny_ltx, files: [{', '.join(FILES)}]}}, animate.timesteps: null, "
    "animate.num_inference_steps: 1, animate.guidance_scale: 1, animate.extra_frames: 0}"
)
SPARSE = sprite_sparse.SETTING.replace("=", ": ", 1)
SMALL = [
    *("tracking=none", "compute.dtype=float32", "prompt=red top", "measure=[flicker,first_frame]"),
    *("assemble.contact_sheet=2", "assemble.side_by_side=false"),
]


def sprite(*more: str, sparse: bool = True) -> str:
    """What `each` says of the embedded family, which has no SparseCtrl of its own."""
    return f"sprite: {{{', '.join([*([SPARSE] if sparse else []), *more])}}}"


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    here = tmp_path_factory.mktemp("files")
    sprite_sparse.write(here / "models")
    tiny.write_ltx(here / "models" / "tiny_ltx")
    tiny.picture(0, 96, 96).save(here / "key.png")
    return here


@pytest.fixture
def families(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROTOSCOPE_MODELS", str(files / "models"))


@pytest.fixture
def prepared(store: Store, files: Path) -> Any:
    """A bakeoff checked, and nothing of it made."""

    def prepared(*more: str) -> Contest:
        root: Root[Bakeoff] = Root("bakeoff", Bakeoff)
        given = literal_overrides([*SMALL, f"picture={files}/key.png", *more], root.keys, multirun=False)
        with as_job(Job("bakeoff", given)):
            return prepare(settings(root, given, literal=False).config, store)

    return prepared


def planned(contest: Contest, store: Store) -> TimeframePlan:
    one = contest.entrants["sprite"]
    assert one.flow.plan is not None
    found: RenderPlan = one.flow.plan(one.film(0), store)
    assert isinstance(found, TimeframePlan)
    return found


def test_what_is_asked_of_all_reaches_the_other_flow_and_what_is_not_is_its_own(prepared, store):
    contest = prepared(f"each={{{sprite()}}}", "animators=[sprite]", "negative_prompt=hat", "seed=7")
    film = contest.entrants["sprite"].film(7)
    assert (film.prompt, film.negative_prompt, film.seed, film.frames, film.fps) == ("red top", "hat", 7, 16, 8)
    assert (film.by, list(film.measure), film.compute.dtype) == ("sparsectrl", ["flicker", "first_frame"], "float32")
    assert (film.tracking.enabled, film.assemble.contact_sheet) == (False, 2)
    todo = planned(contest, store)
    assert (todo.size.width, todo.size.height, todo.size.frames) == (192, 192, 16), "the size that it advises"
    assert todo.stylize.denoise.sparse["pictures"].at == [0, 4, 8, 12], "held over the whole film"
    assert prepared(f"each={{{sprite()}}}", "animators=[sprite]").entrants["sprite"].film(0).negative_prompt == ""


def test_each_is_brought_within_its_own_limits(prepared):
    more = ["seconds=1", "width=100", "height=70", "territory=EU"]
    contest = prepared(f"each={{{LTX}, {sprite('by: tile', sparse=False)}}}", "animators=[sprite,ltx_2b]", *more)
    assert [(name, one.refused) for name, one in contest.entrants.items()] == [("sprite", None), ("ltx_2b", None)]
    drawn, ltx = (one.film(0) for one in contest.entrants.values())
    assert (drawn.frames, drawn.fps, drawn.width, drawn.height, drawn.by) == (8, 8, 96, 72, "tile")
    assert (ltx.frames, ltx.fps, ltx.width, ltx.height) == (25, 24, 96, 64)
    assert contest.entrants["sprite"].moved == ["width: 96 instead of 100", "height: 72 instead of 70"]
    faster = prepared(f"each={{{sprite()}}}", "animators=[sprite]", "fps=12", "seconds=1", "width=96")
    film = faster.entrants["sprite"].film(0)
    assert (film.fps, film.frames, film.width, film.height) == (12, 12, 96, 96), "the height by the picture's shape"


def test_words_and_names_reach_it_letter_by_letter(prepared, store, files):
    words, picture = "1984, {red} top: a; 'b' [c] @d", files / "it's: a, b #1.png"
    tiny.picture(0, 96, 96).save(picture)
    contest = prepared(f"each={{{sprite()}}}", "animators=[sprite]", f"prompt={words}", f"picture={picture}")
    assert contest.entrants["sprite"].film(0).prompt == words
    assert [source.path for source in planned(contest, store).sources.values()] == [picture]


def test_another_picture_of_the_same_name_is_another_film(prepared, files):
    asked = [f"each={{{sprite()}}}", "animators=[sprite]", f"picture={files}/other.png"]
    tiny.picture(1, 96, 96).save(files / "other.png")
    [first] = prepared(*asked).manifest.planned
    tiny.picture(2, 96, 96).save(files / "other.png")
    [second] = prepared(*asked).manifest.planned
    assert first.digest != second.digest


@pytest.mark.parametrize(
    ("own", "more", "said"),
    [
        ("", "loop=true", "loop: model sprite is AnimateDiff: a film that ends as it begins"),
        ("", "last={files}/key.png", "last: model sprite is AnimateDiff: it is given the one picture"),
        ("", "animate.decode_tiling=true", "animate.decode_tiling: model sprite is AnimateDiff"),
        ("by: ip_adapter", "seed=0", "by: model sprite has no IP-Adapter to hold its film to the picture; what it has "
         "would do: each={sprite: {by: sparsectrl}} or each={sprite: {by: tile}}"),
        ("sparsectrl.kind: scribble", "seed=0", "by: model sprite has no SparseCtrl 'scribble'"),
    ],
)  # fmt: skip
def test_what_it_does_not_make_is_its_result_and_the_others_go_on(prepared, files, own, more, said):
    asked = [f"each={{{LTX}, {sprite(*filter(None, [own]))}}}", "animators=[ltx_2b,sprite]", "frames=9"]
    contest = prepared(*asked, more.format(files=files), "width=64", "height=64")
    assert contest.entrants["ltx_2b"].refused is None
    refused = contest.entrants["sprite"].refused
    assert refused is not None
    assert refused.message.startswith(said)


@pytest.mark.parametrize(
    ("own", "more", "said"),
    [
        ("animate.num_inference_steps: 3", [], "animators: sprite: unknown key 'animate.num_inference_steps'"),
        ("by: glue", [], "animators: sprite: by: must be 'tile', 'sparsectrl' or 'ip_adapter'"),
        ("seed: 3", [], "each: sprite: seed is of all animators"),
        ("by: tile", ["picture=nowhere.png"], "picture: there is no file nowhere.png"),
        ("by: tile", ["picture="], "picture: there is none"),
        ("by: tile", ["width=192", "height=64"], "picture: key.png is 96x96 px and the film 192x64: cropping"),
    ],
)
def test_what_is_wrong_is_told_at_once(prepared, own, more, said):
    with pytest.raises(UserError, match=re.escape(said)):
        prepared("animators=[sprite]", f"each={{{sprite(own, sparse=False)}}}", *more)


@pytest.mark.slow
@pytest.mark.usefixtures("prefect_server")
def test_both_kinds_make_a_film_of_the_picture_and_stand_in_one_table(files, tmp_path):
    each = f"each={{{LTX}, {sprite('stylize.num_inference_steps: 1')}}}"
    where = [f"picture={files}/key.png", f"paths.store={tmp_path / 'store'}", f"paths.output={tmp_path / 'out'}"]
    size = ["width=64", "height=64", "seconds=0.4"]
    assert cli.main(["bakeoff", *SMALL, "animators=[ltx_2b,sprite]", each, *size, *where]) == 0
    with (tmp_path / "out" / "bakeoff.csv").open() as file:
        ltx, drawn = csv.DictReader(file)
    assert (ltx["animator"], ltx["outcome"], ltx["frames"], ltx["fps"]) == ("ltx_2b", "done", "9", "24.0")
    assert (drawn["animator"], drawn["outcome"], drawn["frames"], drawn["fps"]) == ("sprite", "done", "3", "8.0")
    for row in (ltx, drawn):
        assert row["size"] == "64x64"
        assert float(row["seconds"]) > 0
        assert float(row["host_mib"]) > 100
        assert float(row["first_frame.psnr"]) > 0
    made = {one.flow: one for one in list_records(Store(tmp_path / "store"))[0]}
    assert made["animate"].sweep == made["timeframe"].sweep == made["bakeoff"].sweep
    assert (tmp_path / "out" / "sprite-0" / "movie.mp4").is_file()
    page = (tmp_path / "out" / "compare.html").read_text()
    assert all(name in page for name in ("ltx_2b", "sprite"))
