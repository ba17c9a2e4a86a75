"""The gallery's server: what it shows, what it takes, and from whom."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from flows import cli
from flows.gallery.server import TOKEN, Gallery
from reel.errors import UserError
from reel.history import marks
from reel.history.record import Output, list_records, save
from reel.store import Store
from tasks.gallery.thumbs import RATE, SECONDS, SIDE, shown, thumb
from tests.flows.galleries import FAILED, HOSTILE, RUNNING, SEARCH, ask, fill, served


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Store:
    folder = tmp_path_factory.mktemp("gallery")
    store = Store(folder / "store")
    fill(store, folder)
    return store


@pytest.fixture(scope="module")
def gallery(filled: Store) -> Iterator[Gallery]:
    with served(filled) as server:
        yield server


@pytest.fixture
def data(gallery: Gallery) -> dict[str, Any]:
    status, body, _ = ask(f"{gallery.url}data.json")
    assert status == 200
    return json.loads(body)


def own(gallery: Gallery) -> dict[str, str]:
    return {"Origin": gallery.url.rstrip("/"), TOKEN: gallery.token}


def test_every_render_is_there_newest_first_with_what_changed(data: dict[str, Any]):
    renders = data["renders"]
    assert [one["run"] for one in renders][:2] == [RUNNING, FAILED]
    assert len(renders) == 12
    assert [one["status"] for one in renders][:3] == ["running", "failed", "done"]
    assert (renders[-1]["trial"], renders[-1]["sweep"]) == (True, f"search {SEARCH}")
    last = renders[2]
    assert (last["of"], last["prompt"], last["model"]) == ("dance", " ".join(HOSTILE.split()), "sprite")
    assert {key: now for key, _, now in last["changes"]} == {"prompt": HOSTILE, "lineart weight": "1.0"}
    assert last["command"] == f"rotoscope dance --from {last['run']}"
    whole = {**data["common"], **last["settings"]}
    assert whole["controls.lineart.weight"] == "1.0"
    assert whole["seed"] == "7"
    assert {metric["key"] for metric in data["metrics"]} >= {"pose.pck", "flicker.mean", "own_number"}


def test_of_a_control_that_is_new_one_setting_stands_for_all(tmp_path: Path):
    store = Store(tmp_path / "store")
    one, other = fill(store, tmp_path)[:2]
    controls = {**other.config["controls"], "depth": {"weight": 0.7, "kind": "depth", "preprocess": "midas"}}
    config = {**one.config, "controls": controls, "seed": 8, "clip": "/elsewhere/dance.mp4"}
    save(store, other.model_copy(update={"config": config}))
    with served(store) as server:
        renders = json.loads(ask(f"{server.url}data.json")[1])["renders"]
    changes = next(render for render in renders if render["run"] == other.run)["changes"]
    assert [key for key, _, _ in changes][:2] == ["depth weight", "lineart weight"]
    assert {key for key, _, _ in changes} == {"depth weight", "lineart weight", "seed"}


def test_a_render_that_goes_on_says_how_far_it_is_and_one_that_failed_says_why(data: dict[str, Any], gallery: Gallery):
    running, failed = data["renders"][:2]
    at = running["progress"]
    assert (at["stage"], at["done"], at["total"], at["left"], at["expected"]) == ("denoise", 4, 16, 30.0, 60.0)
    assert at["picture"]
    assert failed["reason"] == "no room left while writing movie.mp4", "without this machine's folders"
    status, body, _ = ask(f"{gallery.url}live/{RUNNING}.webp")
    assert status == 200
    assert Image.open(io.BytesIO(body)).n_frames == 2
    changes = json.loads(ask(f"{gallery.url}changes.json")[1])
    assert changes["version"] == data["version"]
    assert changes["running"][RUNNING]["done"] == 4


def test_no_folder_and_no_secret_of_this_machine_is_in_the_page(gallery: Gallery, filled: Store):
    page = ask(gallery.url)[1].decode()
    assert str(filled.root.parent) not in page
    assert "/films/" not in page
    assert "user:secret" not in page
    assert page.count("</script>") == 2, "hostile words end no script element"
    assert "connect-src 'self'" in page


def test_thumbnails_are_made_once_small_and_play(gallery: Gallery, filled: Store, data: dict[str, Any]):
    run = data["renders"][2]["run"]
    for role in ("result", "source"):
        status, body, headers = ask(f"{gallery.url}thumb/{run}/{role}.webp")
        assert (status, headers["Content-Type"]) == (200, "image/webp")
        picture = Image.open(io.BytesIO(body))
        assert picture.size == (48, 64)
        assert picture.n_frames == 8
    made = {path: path.stat().st_mtime_ns for path in (filled.root / "thumbs").iterdir()}
    ask(f"{gallery.url}thumb/{run}/result.webp")
    assert {path: path.stat().st_mtime_ns for path in (filled.root / "thumbs").iterdir()} == made
    assert ask(f"{gallery.url}thumb/{FAILED}/result.webp")[0] == 404


@pytest.mark.parametrize(("count", "fps"), [(1, 8), (24, 24), (32, 8), (2400, 24), (90, 30), (10, 1)])
def test_a_thumbnail_shows_seconds_of_the_middle_at_their_own_speed(count: int, fps: int):
    frames, step = shown(count, fps)
    assert frames == sorted(set(frames))
    assert 0 <= frames[0] <= frames[-1] < count
    assert len(frames) <= SECONDS * RATE
    assert len(frames) * step == pytest.approx(min(count / fps, SECONDS))
    assert abs((frames[0] + frames[-1]) / 2 - count / 2) <= count / len(frames), "the middle"


def test_films_are_handed_over_in_the_parts_that_players_ask_for(tmp_path: Path):
    store = Store(tmp_path / "store")
    record = fill(store, tmp_path)[0]
    film = tmp_path / "movie.mp4"
    film.write_bytes(bytes(range(200)))
    from reel.files import sha256_file

    noted = Output(name="movie.mp4", sha256=sha256_file(film), size=200, role="movie")
    save(store, record.model_copy(update={"output": str(tmp_path), "outputs": (noted,)}))
    with served(store) as server:
        server.catalogue.records()
        url = f"{server.url}film/{record.run}"
        assert ask(url)[1] == bytes(range(200))
        status, body, headers = ask(url, Range="bytes=10-19")
        assert (status, body, headers["Content-Range"]) == (206, bytes(range(10, 20)), "bytes 10-19/200")
        assert ask(url, Range="bytes=190-")[1] == bytes(range(190, 200))
        assert ask(url, Range="bytes=-5")[1] == bytes(range(195, 200))
        film.write_bytes(b"other bytes")
        assert ask(url)[0] == 404, "no longer the film that was made"


def test_a_comparison_that_was_made_is_a_link_to_a_page_of_its_own_origin(tmp_path: Path):
    from reel.files import sha256_file

    store = Store(tmp_path / "store")
    filled = fill(store, tmp_path)
    runs = [record.run for record in filled[:2]]
    page = tmp_path / "compare.html"
    page.write_text("<!doctype html>side by side")
    noted = Output(name=page.name, sha256=sha256_file(page), size=page.stat().st_size, role="page")
    made = filled[0].model_copy(
        update={"run": "20260104-000000-00000c", "flow": "compare", "config": {"runs": runs[::-1]},
                "output": str(tmp_path), "outputs": (noted,)}
    )  # fmt: skip
    save(store, made)
    with served(store) as server:
        data = json.loads(ask(f"{server.url}data.json")[1])
        assert data["pages"] == [{"run": made.run, "runs": sorted(runs)}]
        assert made.run not in [one["run"] for one in data["renders"]]
        status, body, headers = ask(f"{server.url}page/{made.run}")
        assert (status, body) == (200, page.read_bytes())
        assert headers["Content-Security-Policy"] == "sandbox allow-scripts"


def test_stars_and_a_note_are_kept_beside_the_record(gallery: Gallery, filled: Store, data: dict[str, Any]):
    run = data["renders"][3]["run"]
    status, _, _ = ask(f"{gallery.url}marks/{run}", {"stars": 4, "note": "the arms"}, **own(gallery))
    assert status == 200
    assert marks.read(filled, run) == marks.Marks(4, "the arms")
    changed = json.loads(ask(f"{gallery.url}data.json")[1])
    assert changed["version"] != data["version"]
    found = next(one for one in changed["renders"] if one["run"] == run)
    assert (found["stars"], found["note"]) == (4, "the arms")
    ask(f"{gallery.url}marks/{run}", {"stars": 0, "note": ""}, **own(gallery))
    assert not marks.marks_path(filled, run).exists()


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"stars": 6, "note": ""}, 400),
        ({"stars": True, "note": ""}, 400),
        ({"stars": 1, "note": 3}, 400),
        ({"stars": 1, "note": "x" * 4001}, 400),
        ({"stars": 1}, 400),
        ([], 400),
        ({"stars": 1, "note": "x" * 70_000}, 413),
    ],
)
def test_marks_of_another_form_are_refused(gallery: Gallery, filled: Store, body: Any, status: int):
    run = list_records(filled)[0][0].run
    assert ask(f"{gallery.url}marks/{run}", body, **own(gallery))[0] == status
    assert not list((filled.root / "marks").glob("*")) if (filled.root / "marks").exists() else True


def test_only_the_page_itself_writes(gallery: Gallery, filled: Store):
    run, url = list_records(filled)[0][0].run, gallery.url
    said, good = {"stars": 5, "note": "mine"}, own(gallery)
    for headers in (
        {},
        {"Origin": good["Origin"]},
        {TOKEN: good[TOKEN]},
        {**good, "Origin": "http://elsewhere.example"},
        {**good, "Origin": "null"},
        {**good, TOKEN: "another"},
        {**good, TOKEN: ""},
    ):
        assert ask(f"{url}marks/{run}", said, **headers)[0] == 403
    for path in (f"records/{run}", "marks/../records", "marks/20260103-000000-zzzzzz/x", ""):
        assert ask(f"{url}{path}", said, **good)[0] == 404
    for missing in ("20990101-000000-000000", "nothing"):
        assert ask(f"{url}marks/{missing}", said, **good)[0] == 400
    assert not marks.marks_path(filled, run).exists()


def test_other_names_get_nothing(gallery: Gallery):
    port = gallery.server_port
    for host in ("elsewhere.example", f"elsewhere.example:{port}", "127.0.0.1:1", ""):
        assert ask(gallery.url, Host=host)[0] == 421
    assert ask(gallery.url, Host=f"localhost:{port}")[0] == 200
    for path in ("../records", "thumb/x/../../y", f"thumb/{FAILED}/other.webp", "film/..%2f..%2fetc", "settings/none"):
        assert ask(f"{gallery.url}{path}")[0] == 404


def test_settings_come_as_yaml_without_folders_of_the_store(gallery: Gallery, data: dict[str, Any]):
    import yaml

    found = yaml.safe_load(ask(f"{gallery.url}settings/{data['renders'][2]['run']}")[1])
    assert found["controls"]["lineart"]["weight"] == 1.0
    assert "tracking" not in found


def test_marks_are_of_runs_alone_and_damage_is_none(store: Store):
    for name in ("../records/x", "", "x", "20260103-000000-00000a/../y"):
        with pytest.raises(UserError):
            marks.write(store, name, marks.Marks(1))
    path = marks.marks_path(store, FAILED)
    path.parent.mkdir()
    for text in ("{", '{"stars": 9}', "[]", '{"note": 1}'):
        path.write_text(text)
        assert marks.read(store, FAILED) == marks.Marks()


def test_as_files_it_has_its_thumbnails_and_no_token(filled: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert cli.main(["gallery", "--store", str(filled.root), "--export", str(tmp_path / "page")]) == 0
    assert "12 renders" in capsys.readouterr().out
    page = (tmp_path / "page" / "index.html").read_text("utf-8")
    found = re.search(r'id="data">(.*?)</script>', page, re.DOTALL)
    assert found is not None
    assert json.loads(found[1])["token"] == ""
    assert len(list((tmp_path / "page" / "thumb").glob("*/result.webp"))) == 9
    assert "connect-src" not in page, "it asks nobody"


def test_large_pictures_are_made_small(store: Store):
    from benchmarks.synthetic_renders import grid

    made = thumb(store, grid(store, 1, size=(640, 320), count=2)[0], "frames")
    assert made is not None
    assert Image.open(made).size == (SIDE, SIDE // 2)
