"""verify: a render made again by its lock in an empty store, graded, and what differs named."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from flows import cli
from flows.render import anew, locks
from reel.clip import Clip, ClipWriter
from reel.errors import UserError
from reel.history import lock
from reel.history.lock import RenderLock
from reel.history.record import list_records
from reel.keys import entry_path
from reel.store import Store
from tests.flows import rendering, test_text2video

pytestmark = [pytest.mark.usefixtures("prefect_server"), pytest.mark.filterwarnings("ignore")]
WORDS = [*test_text2video.SMALL, "compute.threads=1"]
DANCE = [*rendering.SMALL, "control=[]", "measure=none", "compute.threads=1"]


def rendered(flow: str, settings: Sequence[str], folder: Path) -> Path:
    """The folder of a render, whose store lies beside it."""
    where = [f"paths.store={folder / 'store'}", f"paths.output={folder / 'out'}"]
    assert cli.main([flow, *settings, *where]) == 0
    return folder / "out"


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory, prefect_server: Path) -> Path:
    """A render of words, of which tests verify locks that were changed."""
    return rendered("text2video", WORDS, tmp_path_factory.mktemp("words"))


def changed(words: Path, folder: Path, **fields: Any) -> Path:
    """A lock with other fields, somewhere else."""
    return lock.write(folder, lock.read(words / lock.NAME).model_copy(update=fields))


def verified(path: Path, store: Path, *beside: str) -> int:
    return cli.main(["verify", str(path), *beside, f"--store={store}"])


def test_a_dance_is_made_again_to_the_last_bit(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    out = rendered("dance", DANCE, tmp_path)
    assert verified(out, tmp_path / "store") == 0
    told = capsys.readouterr().out
    assert ": bit-identical" in told
    assert "the same bytes" in told
    assert "differs" not in told
    assert list((tmp_path / "store" / "verify").iterdir()) == []


def test_metrics_of_a_render_that_was_made_before_are_no_difference(tmp_path: Path):
    """Its lock is made of its record, and a lock that is laid when the film is made knows of no metric yet."""
    store = tmp_path / "store"
    for _ in range(2):  # the second time nothing is new: no folder, and no lock in it
        settings = [*DANCE, "measure=[ssim]", f"paths.store={store}", f"paths.renders={tmp_path / 'renders'}"]
        assert cli.main(["dance", *settings]) == 0
    [path] = (tmp_path / "renders").glob(f"*/{lock.NAME}")
    first = lock.read(path)
    latest = max(list_records(Store(store))[0], key=lambda record: record.run)
    assert latest.run != first.run
    assert "scikit-image" in latest.packages
    assert "scikit-image" not in first.packages
    assert lock.environments(first, locks.find(latest.run, store)) == []
    entry_path(Store(store), next(stage.key for stage in latest.stages if stage.op == "assemble")).unlink()
    unsure = locks.find(latest.run, store)
    assert "scikit-image" in unsure.packages, "who knows what the film was made with, now that one stage is forgotten"


def test_a_friend_has_the_lock_and_the_checkout_alone(words: Path, tmp_path: Path, capsys: Any):
    path = shutil.copy(words / lock.NAME, tmp_path / "from_a_friend.lock")
    assert verified(Path(path), tmp_path / "store") == 0
    assert "bit-identical" in capsys.readouterr().out
    assert not list_records(Store(tmp_path / "store"))[0], "what is made anew is no render of that store"


def test_another_library_and_another_number_of_threads_are_named_and_not_taken_for_a_difference(
    words: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    then = lock.read(words / lock.NAME)
    other = {"packages": {**then.packages, "diffusers": "0.1"}, "environment": {**then.environment, "threads": "2"}}
    assert verified(changed(words, tmp_path, **other), words.parent / "store", "compute.threads=1") == 0
    told = capsys.readouterr().out
    assert ": bit-identical" in told
    assert f"packages.diffusers: 0.1 -> {then.packages['diffusers']}" in told
    assert "environment.threads: 2 -> 1" in told
    assert "since" not in told, "all stages gave the same"


def repainted(words: Path, paint: Callable[[Any], Any]) -> str:
    """Digest of the render's clip with its second frame painted over."""
    store = Store(words.parent / "store")
    clip = Clip.open(store, lock.read(words / lock.NAME).shown["frames"])
    with ClipWriter(store, "rgb", like=clip) as writer:
        for number, frame in enumerate(clip.frames()):
            writer.add(paint(frame) if number == 1 else frame)
    return writer.digest


def test_a_changed_frame_is_different(words: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    digest = repainted(words, lambda frame: 255 - frame)
    assert verified(changed(words, tmp_path, shown={"frames": digest}), words.parent / "store") == 4
    told = capsys.readouterr().out
    assert ": different: the worst frame has " in told
    assert "1 of 3 frames of 64x64 px differ, frame 1 most" in told
    assert "nothing that the lock holds" in told


def one_brighter(frame: Any) -> Any:
    frame[0, 0, 0] ^= 1
    return frame


@pytest.mark.parametrize(
    ("paint", "grade", "said"),
    [
        (lambda frame: frame, "bit-identical", "the same, to the last bit"),
        (one_brighter, "near", "1 of 3 frames of 64x64 px differ, frame 1 most: "),
        (lambda frame: frame // 2, "different", "differ, frame 1 most: "),
    ],
)
def test_the_grade_is_that_of_the_worst_frame(words: Path, paint: Callable[[Any], Any], grade: str, said: str):
    store, then = Store(words.parent / "store"), lock.read(words / lock.NAME)
    verdict = anew.held(then.model_copy(update={"shown": {"frames": repainted(words, paint)}}), then, store, store)
    assert verdict.grade == grade
    assert said in verdict.shown["frames"]
    assert verdict.psnr is not None
    assert (verdict.psnr >= anew.NEAR) == (grade != "different")


def test_frames_that_are_gone_are_no_proof(words: Path, tmp_path: Path):
    store, then = Store(words.parent / "store"), lock.read(words / lock.NAME)
    verdict = anew.held(then.model_copy(update={"shown": {"frames": "0" * 64}}), then, store, store)
    assert (verdict.grade, verdict.psnr) == ("different", None)
    assert "how near cannot be told" in verdict.shown["frames"]
    assert anew.held(then.model_copy(update={"shown": {}}), then, store, store).grade == "different"


def test_what_was_broken_off_goes_on(words: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any):
    store = tmp_path / "store"
    monkeypatch.setattr(anew, "publish", interrupted)
    assert verified(words, store) == 130
    assert len(list((store / "verify").iterdir())) == 1
    monkeypatch.undo()
    own: list[Store] = []
    held = anew.held

    def looked_at(*given: Any) -> anew.Verdict:
        own.append(given[3])
        [*_, record] = list_records(given[3])[0]
        assert record.reused, "all stages were finished before"
        return held(*given)

    monkeypatch.setattr(anew, "held", looked_at)
    assert verified(words, store) == 0
    assert len(own) == 1
    assert list((store / "verify").iterdir()) == []


def interrupted(*given: Any) -> None:
    raise KeyboardInterrupt


def test_a_lock_says_all_that_a_render_is_made_of(words: Path):
    then = lock.read(words / lock.NAME)
    assert [stage.op for stage in then.stages] == [
        *("stylize.blank", "stylize.embed", "stylize.denoise", "stylize.decode", "assemble"),
    ]
    assert {"diffusers", "torch", "numpy", "imageio-ffmpeg", "rotoscope"} <= then.packages.keys()
    assert then.environment["threads"] == "1"
    assert {"device", "ffmpeg", "python", "system"} <= then.environment.keys()
    assert then.models
    assert "movie.mp4" in then.files
    assert then.settings["frames"] == 3
    assert not {"paths", "tracking"} & then.settings.keys()


def test_a_render_is_found_by_all_its_names_and_without_its_folder(words: Path, tmp_path: Path):
    store = words.parent / "store"
    then = lock.read(words / lock.NAME)
    names = [then.run, then.run[-6:], "last", str(words), str(words / "movie.mp4"), str(words / "settings.yaml")]
    assert all(locks.find(name, store) == then for name in names)
    away = words.rename(words.with_name("away"))
    try:
        again = locks.find(then.run, store)
        assert again == then, "made of the record"
    finally:
        away.rename(words)
    shutil.copy(words / "movie.mp4", tmp_path / "mine.mp4")
    assert locks.find(str(tmp_path / "mine.mp4"), store) == then, "by the key in the film"


def test_settings_come_from_a_lock_as_well(words: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    more = ["tracking=none", "measure=none", f"paths.store={words.parent / 'store'}", f"paths.output={tmp_path / 'b'}"]
    assert cli.main(["text2video", "--from", str(words / lock.NAME), *more]) == 0
    assert "nothing rendered anew" in capsys.readouterr().out


def test_the_wrong_clip_is_told_before_anything_is_computed(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    locked = lock.read(rendered("dance", [*DANCE, "stylize.num_inference_steps=1"], tmp_path) / lock.NAME)
    assert locked.sources.keys() == {"clip"}
    other = lock.write(tmp_path, locked.model_copy(update={"sources": {"clip": "0" * 64}}))
    assert verified(other, tmp_path / "other") == 2
    told = capsys.readouterr().err
    assert "is not the file of then (sha256 " in told
    assert "fix: say where that one lies: clip=FILE" in told
    assert list((tmp_path / "other" / "verify").iterdir()) == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("seed=3", "seed=3: what is rendered stands in the lock"),
        ("frames", "frames: what is rendered stands in the lock"),
        ("prompt=x", "cannot be changed"),
        ("paths.store=/tmp/x", "it is rendered in a folder of its own"),
    ],
)
def test_nothing_is_changed_beside_a_lock(text: str, said: str, words: Path):
    with pytest.raises(UserError, match=said):
        anew.verify(lock.read(words / lock.NAME), [text], Store(words.parent / "store"))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "is not the lock of a render"),
        ("- a", "is not the lock of a render"),
        ("{", "cannot be read"),
        ("lock: 2", "a lock of version 2"),
        ("lock: [1]", "a lock of version"),
        ("lock: 1\nflow: dance", "run: Field required"),
        ("[" * 2000 + "]" * 2000, "cannot be read|is not the lock"),
        ("!!python/object/apply:os.system ['true']", "cannot be read"),
        ("\0", "cannot be read"),
    ],
)
def test_a_file_that_is_no_lock_is_told(content: str, said: str, tmp_path: Path):
    path = tmp_path / "x.lock"
    path.write_text(content)
    with pytest.raises(UserError, match=said):
        lock.read(path)


def test_a_lock_of_no_flow_or_of_what_renders_nothing(words: Path, tmp_path: Path):
    for flow, said in (("ballet", "there is no flow 'ballet'"), ("compare", "renders nothing"), ("os", "no flow")):
        data = yaml.safe_load((words / lock.NAME).read_text()) | {"flow": flow}
        with pytest.raises(UserError, match=said):
            anew.verify(RenderLock.model_validate(data), [], Store(tmp_path / "store"))
